"""Blocking work leaves the reactor's thread, and its result comes back."""

# mypy: no-check-untyped-defs

from threading import get_ident

from twisted.internet import reactor
from twisted.trial.unittest import TestCase

from smtpgw.net.threads import ReactorThreads


class ReactorThreadsTests(TestCase):
    """A pool of our own."""

    def setUp(self):
        self.threads = ReactorThreads(reactor, 2)
        self.threads.start()
        self.addCleanup(self.threads.stop)

    async def test_elsewhere(self):
        """The function runs in another thread."""
        self.assertNotEqual(await self.threads.run(get_ident), get_ident())

    async def test_arguments_and_errors(self):
        """It gets its arguments, and what it raises comes back."""
        self.assertEqual(await self.threads.run(divmod, 7, 2), (3, 1))
        with self.assertRaises(ZeroDivisionError):
            await self.threads.run(divmod, 1, 0)
