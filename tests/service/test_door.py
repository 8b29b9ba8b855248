"""Tests for the door of a listener."""

# mypy: no-check-untyped-defs

from msgspec.structs import replace
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.boundaries.reception import Door
from smtpgw.model.reply import reply
from smtpgw.model.verdict import ACCEPT, Accept, Refuse
from smtpgw.service.door import PolicyDoor
from tests.contracts.check import STRANGER
from tests.policy.rig import waited

NO = Refuse(reply(554, "5.7.25", "No"), "say")


class Say:
    """A rule that says what it is told to."""

    name = "say"

    def __init__(self, answer):
        self.answer = answer
        self.asked = 0

    def check_connect(self, client):
        """That."""
        self.asked += 1
        return self.answer


class PolicyDoorTests(SynchronousTestCase):
    """In with those that no rule refuses, with the name they have."""

    def test_empty(self):
        """Without rules everybody comes in at once, as he is."""
        door: Door = PolicyDoor(())
        self.assertIs(door.connect(STRANGER), STRANGER)
        door.leave(STRANGER)

    def test_is_open(self):
        """Only without rules, and where no names are found out."""
        self.assertTrue(PolicyDoor(()).is_open)
        self.assertFalse(PolicyDoor((Say(ACCEPT),)).is_open)
        self.assertFalse(PolicyDoor((), lambda address: None).is_open)

    def test_refused(self):
        """The first refusal counts; later rules are not asked."""
        last = Say(ACCEPT)
        self.assertIs(PolicyDoor([Say(Accept(("say: x",))), Say(NO), last]).connect(STRANGER), NO)
        self.assertEqual(last.asked, 0)

    def test_later(self):
        """A rule that must wait is waited for."""
        for verdict, expected in ((NO, NO), (ACCEPT, STRANGER)):
            answer = Deferred()
            last = Say(ACCEPT)
            waiting = waited(PolicyDoor([Say(answer), last]).connect(STRANGER))
            self.assertNoResult(waiting)
            self.assertEqual(last.asked, 0)
            answer.callback(verdict)
            self.assertIs(self.successResultOf(waiting), expected)

    def test_name(self):
        """The name that was found out goes in with the client; it is asked for when the rules are done."""
        names = {}
        answer = Deferred()
        door = PolicyDoor([Say(answer)], names.get)
        waiting = waited(door.connect(STRANGER))
        names[STRANGER.address] = "mail.remote.example"
        answer.callback(ACCEPT)
        named = replace(STRANGER, name="mail.remote.example")
        self.assertEqual(self.successResultOf(waiting), named)
        door = PolicyDoor((), names.get)
        self.assertEqual(door.connect(STRANGER), named)
        names.clear()
        self.assertIs(door.connect(STRANGER), STRANGER)

    def test_broken(self):
        """What a rule raises comes out, so that the server says 421."""

        class Broken(Say):
            def check_connect(self, client):
                raise KeyError("x")

        with self.assertRaises(KeyError):
            PolicyDoor([Broken(ACCEPT)]).connect(STRANGER)
        answer = Deferred()
        waiting = waited(PolicyDoor([Say(answer)]).connect(STRANGER))
        answer.errback(KeyError("x"))
        self.failureResultOf(waiting, KeyError)
