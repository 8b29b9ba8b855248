"""What ``--delivery`` may name: a delivery, or what makes one, and nothing else."""

from typing import Any

from twisted.mail.smtp import IMessageDelivery, IMessageDeliveryFactory
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from smtpgw.config.targets import find_delivery, make_delivery

_HERE = __name__


class _Methods:
    """Has the methods, and says nothing of interfaces."""

    def validateFrom(self, helo: Any, origin: Any) -> Any:
        return origin

    def validateTo(self, user: Any) -> Any:
        return user

    def receivedHeader(self, helo: Any, origin: Any, recipients: Any) -> bytes:
        return b""


@implementer(IMessageDelivery)
class Delivery(_Methods):
    """Says so."""


class Plain(_Methods):
    """Does not say so."""


@implementer(IMessageDeliveryFactory)
class DeliveryFactory:
    """One delivery for each connection."""

    def getMessageDelivery(self) -> Delivery:
        """A new one."""
        return Delivery()


made = Delivery()


def make_plain() -> Plain:
    """A function that makes one."""
    return Plain()


def make_nothing() -> object:
    """A function that makes something else."""
    return object()


def make_trouble() -> object:
    """A function that fails."""
    raise OSError("two\nlines")


class DeliveryTests(SynchronousTestCase):
    """A slip is one line, before a client is served by something that can't."""

    def test_taken(self) -> None:
        """Objects, classes and functions, of either interface, or with the three methods."""
        for name, kind in (
            ("made", Delivery),
            ("Delivery", Delivery),
            ("DeliveryFactory", DeliveryFactory),
            ("Plain", Plain),
            ("make_plain", Plain),
        ):
            self.assertIsInstance(make_delivery(f"{_HERE}.{name}"), kind)
        self.assertIs(make_delivery(f"{_HERE}.made"), made)

    def test_refused_unseen(self) -> None:
        """What is importable is not yet a delivery; nothing is called to find that out."""
        for name, words in (
            ("os.path", "os.path provides neither IMessageDelivery nor"),
            ("json.JSONDecoder", "json.JSONDecoder provides neither IMessageDelivery nor"),
            ("os.sep", "os.sep provides neither"),
            ("json", "'json' is not a dotted name"),
            ("a b.c", "'a b.c' is not a dotted name"),
            ("no.such.module", "no.such.module: "),
            (f"{_HERE}.Nothing", "Nothing"),
        ):
            for find in (find_delivery, make_delivery):
                error = str(self.assertRaises(ValueError, find, name))
                self.assertIn(words, error)
                self.assertNotIn("\n", error)

    def test_refused_when_made(self) -> None:
        """A function must make one."""
        for name, words in (("make_nothing", "provides neither"), ("make_trouble", "OSError: two lines")):
            find_delivery(f"{_HERE}.{name}")
            self.assertIn(words, str(self.assertRaises(ValueError, make_delivery, f"{_HERE}.{name}")))
