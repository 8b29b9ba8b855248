"""A protocol without a factory of ours."""

# Wrong types are handed in on purpose, and boundaries replaced.
# mypy: no-check-untyped-defs

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase, TestCase

from smtpgw.net.server_owner import Owner, SoleOwner
from smtpgw.net.server_settings import ServerSettings


class SoleOwnerTests(SynchronousTestCase):
    """It lets everybody in and sweeps nobody."""

    def test_lets_in(self):
        """Nothing is counted, nothing is told."""
        owner = SoleOwner(ServerSettings(hostname="mx"))
        self.assertIsNone(owner.enter(None))
        self.assertIsNone(owner.claim(None, "192.0.2.1"))
        owner.leave(None)
        owner.publish(None)
        self.assertEqual((owner.new_session_id(), owner.seconds(), owner.sweeps), ("", 0.0, False))


class TurnTests(TestCase):
    """Its protocol lets others have their turn, too."""

    async def test_later(self) -> None:
        """By the reactor."""
        turn: Deferred[None] = Deferred()
        SoleOwner(ServerSettings(hostname="mx")).call_later(0, lambda: turn.callback(None))
        self.assertFalse(turn.called)
        await turn


class OwnerTests(SynchronousTestCase):
    """The base decides nothing."""

    def test_session_terms(self):
        """Made from the settings once, and anew for others."""
        owner = Owner()
        first, other = ServerSettings(hostname="mx", recipients=7), ServerSettings(hostname="mx", recipients=8)
        rules, tables = owner.session_terms(first)
        self.assertEqual(rules.recipients, 7)
        self.assertIs(owner.session_terms(first)[0], rules)
        self.assertEqual(owner.session_terms(other)[0].recipients, 8)
        self.assertEqual(owner.session_terms(first)[0].recipients, 7)
        self.assertIn("SIZE", tables.mail)

    def test_abstract(self):
        """Whoever forgets a method hears of it."""
        owner = Owner()
        for call in (owner.new_session_id, owner.seconds):
            self.assertRaises(NotImplementedError, call)
        for call in (owner.leave, owner.publish, owner.enter):
            self.assertRaises(NotImplementedError, call, None)
        self.assertRaises(NotImplementedError, owner.claim, None, "")
        self.assertRaises(NotImplementedError, owner.call_later, 1, None)
