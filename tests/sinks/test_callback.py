"""Tests for users' own coroutines as a sink."""

import asyncio
import sys
from functools import partial
from types import ModuleType
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.handlers.message import HEAD_OCTETS, IncomingMessage
from smtpgw.handlers.outcome import Defer, Reject
from smtpgw.model.outcome import Delayed, Delivered, Failed, Scope
from smtpgw.sinks.callback import CallbackSink, TargetError, load_callable
from tests.contracts.sink import CallerThreads, SinkContract
from tests.handlers.bodies import CountedThreads, MemoryBody, message_for

CONTENT = b"Subject: hello\r\n\r\ntext\r\n"


class DeliverTests(SynchronousTestCase):
    """What the coroutine does becomes one outcome for all its recipients."""

    def start(self, handler, *, content=CONTENT, is_large=False, recipients=("bob", "eve")):
        """A delivery, begun."""
        self.logged: list[BaseException] = []
        self.threads = CountedThreads()
        self.body = MemoryBody(content, is_large=is_large)
        sink = CallbackSink(
            handler,
            self.threads,
            lambda message, exception: self.logged.append(exception),
            (CancelledError, asyncio.CancelledError),
        )
        message = message_for(*recipients, size=len(content))
        return Deferred.fromCoroutine(sink.deliver(message, message.envelope.recipients, self.body))

    def outcomes(self, handler, **more):
        """The outcomes of a delivery that ends at once."""
        return self.successResultOf(self.start(handler, **more))

    def raising(self, exception):
        """The outcomes when the coroutine raises this."""

        async def handler(message):
            raise exception

        return self.outcomes(handler)

    def test_delivered(self):
        """It returns: delivered. It was called once, with all recipients."""
        got = []

        async def handler(message):
            got.append((message.recipients, message.subject, await message.content()))
            return "ignored"

        self.assertEqual(self.outcomes(handler), (Delivered("handler"),) * 2)
        self.assertEqual(got, [(("bob@ours.example", "eve@ours.example"), "hello", CONTENT)])
        self.assertEqual((self.logged, self.threads.runs), ([], 0))

    def test_large(self):
        """Of a large message only the beginning is read before the call."""
        content = b"Subject: big\r\n\r\n" + b"x" * (2 * HEAD_OCTETS)

        async def handler(message):
            self.assertEqual(message.subject, "big")

        self.assertEqual(self.outcomes(handler, content=content, is_large=True)[0], Delivered("handler"))
        self.assertEqual(self.threads.runs, 1)
        self.assertTrue(self.body.opened[0].closed)

    def test_reject(self):
        """Reject: failed, with the text and status given, and nothing to log."""
        self.assertEqual(
            self.raising(Reject("We don't want this", "5.7.26")),
            (Failed("5.7.26", "We don't want this", Scope.MESSAGE),) * 2,
        )
        self.assertEqual(self.logged, [])

    def test_defer(self):
        """Defer: delayed, until the time given."""
        self.assertEqual(self.raising(Defer("Busy", 30.0)), (Delayed("4.3.0", "Busy", retry_after_seconds=30.0),) * 2)
        self.assertEqual(self.raising(Defer())[0].retry_after_seconds, None)
        self.assertEqual(self.logged, [])

    def test_broken(self):
        """Anything else: delayed, logged in full, and nothing of it told to the sender."""
        for exception in (KeyError("secret"), RecursionError("secret"), UnicodeDecodeError("x", b"secret", 0, 1, "y")):
            outcomes = self.raising(exception)
            self.assertEqual({type(outcome) for outcome in outcomes}, {Delayed})
            self.assertEqual(outcomes[0].status, "4.3.0")
            self.assertNotIn("secret", outcomes[0].reason)
            self.assertEqual(self.logged, [exception])

    def test_exit(self):
        """Trying to end the program is a fault like any other: the message is tried again, nothing is stuck."""
        for exception in (SystemExit(1), KeyboardInterrupt()):
            outcomes = self.raising(exception)
            self.assertEqual([(type(outcome), outcome.status) for outcome in outcomes], [(Delayed, "4.3.0")] * 2)
            self.assertEqual(self.logged, [exception])

    def test_late_exit(self):
        """Also behind something that it waited for."""
        answer: Deferred[None] = Deferred()

        async def handler(message):
            await answer
            sys.exit("enough")

        delivery = self.start(handler)
        answer.callback(None)
        self.assertEqual([outcome.status for outcome in self.successResultOf(delivery)], ["4.3.0"] * 2)
        self.assertIsInstance(self.logged[0], SystemExit)

    def test_closed(self):
        """A delivery that is thrown away while it waits ends, and that is no fault."""
        answer: Deferred[None] = Deferred()
        logged: list[BaseException] = []

        async def handler(message):
            await answer

        message = message_for("bob", size=len(CONTENT))
        sink = CallbackSink(handler, CountedThreads(), lambda message, exception: logged.append(exception))
        delivery = sink.deliver(message, message.envelope.recipients, MemoryBody(CONTENT))
        delivery.send(None)
        delivery.close()
        self.assertEqual(logged, [])

    def test_unreadable(self):
        """A content that can't be read now is a delay, too."""

        async def handler(message):
            raise AssertionError("not called")

        class BrokenBody(MemoryBody):
            def open(self):
                raise OSError("disk")

        delivery = self.start(handler, is_large=True)
        self.successResultOf(delivery)
        body = BrokenBody(CONTENT, is_large=True)
        message = message_for("bob", size=1)
        sink = CallbackSink(handler, CountedThreads(), lambda message, exception: self.logged.append(exception))
        outcomes = self.successResultOf(
            Deferred.fromCoroutine(sink.deliver(message, message.envelope.recipients, body))
        )
        self.assertEqual([type(outcome) for outcome in outcomes], [Delayed])
        self.assertIsInstance(self.logged[-1], OSError)

    def test_waiting(self):
        """It may take its time; nothing is decided before."""
        answer: Deferred[None] = Deferred()

        async def handler(message):
            await answer

        delivery = self.start(handler)
        self.assertNoResult(delivery)
        answer.callback(None)
        self.assertEqual(self.successResultOf(delivery), (Delivered("handler"),) * 2)

    def test_cancelled(self):
        """Cancelled, by Twisted or asyncio: delayed, and not logged as a fault."""
        answer: Deferred[None] = Deferred()

        async def handler(message):
            await answer

        delivery = self.start(handler)
        delivery.cancel()
        self.assertEqual([type(outcome) for outcome in self.successResultOf(delivery)], [Delayed, Delayed])
        self.assertEqual(self.logged, [])
        self.assertEqual(type(self.raising(asyncio.CancelledError())[0]), Delayed)
        self.assertEqual(self.logged, [])


class LoadTests(SynchronousTestCase):
    """What a configuration names is found, or it is said in one line why not."""

    def setUp(self):
        """A module of a user."""

        async def good(message):
            pass

        def plain(message):
            pass

        class Callable:
            async def __call__(self, message):
                pass

            async def method(self, message):
                pass

        module: Any = ModuleType("users_mail")
        module.good = good
        module.plain = plain
        module.Callable = Callable
        module.instance = Callable()
        module.part = partial(good)
        module.text = "x"
        self.module = module
        self.patch(sys, "modules", {**sys.modules, "users_mail": module})

    def test_found(self):
        """Coroutine functions, methods, and objects that are called like them."""
        self.assertIs(load_callable("users_mail:good"), self.module.good)
        self.assertIs(load_callable("users_mail:instance"), self.module.instance)
        self.assertIs(load_callable("users_mail:part"), self.module.part)
        self.assertEqual(load_callable("users_mail:instance.method"), self.module.instance.method)

    def test_errors(self):
        """Each mistake has its own words."""
        table = {
            "users_mail": "form",
            "users_mail:": "form",
            ":good": "form",
            "users mail:good": "form",
            "users_mail:good()": "form",
            "../x:good": "form",
            "users_mail.py:good:x": "form",
            "no_such_module_here:good": "there is no module 'no_such_module_here'",
            "no_such_module_here.mail:good": "there is no module 'no_such_module_here'",
            "smtpgw.nothing:good": "there is no module 'smtpgw.nothing'",
            "users_mail:missing": "has no 'missing'",
            "users_mail:good.missing": "has no 'good.missing'",
            "users_mail:text": "can't be called",
            "users_mail:plain": "async",
            "users_mail:Callable": "async",
        }
        for target, words in table.items():
            error = self.assertRaises(TargetError, load_callable, target)
            self.assertIn(words, str(error), target)
            self.assertNotIn("\n", str(error))

    def test_broken_module(self):
        """A module that fails while it is imported, or misses one of its own, says so."""

        class Finder:
            def find_spec(self, name, path=None, target=None):
                if name == "users_broken":
                    raise ZeroDivisionError("at import")
                if name == "users_leaving":
                    raise SystemExit(3)
                if name == "users_missing":
                    raise ModuleNotFoundError("No module named 'requests'", name="requests")

        self.patch(sys, "meta_path", [Finder(), *sys.meta_path])
        error = self.assertRaises(TargetError, load_callable, "users_broken:good")
        self.assertIn("importing 'users_broken' failed: ZeroDivisionError: at import", str(error))
        error = self.assertRaises(TargetError, load_callable, "users_leaving:good")
        self.assertIn("importing 'users_leaving' failed: SystemExit: 3", str(error))
        error = self.assertRaises(TargetError, load_callable, "users_missing:good")
        self.assertIn("importing 'users_missing' failed: No module named 'requests'", str(error))


class ContractTests(SinkContract, SynchronousTestCase):
    """A handler keeps the promises of every sink."""

    def make_sink(self) -> CallbackSink:
        """One that reads the whole message and takes it."""

        async def receive(message: IncomingMessage) -> None:
            await message.content()

        return CallbackSink(receive, CallerThreads(), lambda message, error: self.fail(str(error)))
