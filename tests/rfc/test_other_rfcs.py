"""RFCs of which there is little to say: 2852, 3834, 3848, 4865, 6710, 7504."""

# mypy: no-check-untyped-defs

from email import message_from_bytes

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.model.envelope import DeliverBy
from smtpgw.model.outcome import Failed
from smtpgw.model.route import TlsNeed
from smtpgw.smtp.extension import Facts
from tests.clauses import does_not_hold, holds, holds_in_part
from tests.net.server_rig import Rig
from tests.rfc.talk import CONTENT, ENVELOPE, Inside, Talk
from tests.service.house import House, ScriptedLink, refuses, relays
from tests.smtp.test_conversation import Receiver, Stage, converse, make_job

_NOW = 1_700_000_000.0
_LATEST = "2023-11-14T23:13:20Z"


class DeliverByTests(SynchronousTestCase):
    """RFC 2852."""

    def kept(self, value):
        """BY of the envelope."""
        talk = Talk(deliver_by=True).greet()
        talk.say(f"MAIL FROM:<a@a.example> BY={value}", ENVELOPE[1], "DATA", *CONTENT)
        return talk.messages[0].envelope.parameters.deliver_by if talk.messages else None

    @holds("2852", "2", "DELIVERBY is offered, with the shortest time behind it if there is one.")
    def test_offer(self):
        """Any time is enough for us."""
        self.assertEqual(Talk(deliver_by=True).offers()["DELIVERBY"], "")
        inside = Inside(facts=Facts(), deliver_by=True, deliver_by_seconds=60)
        self.assertEqual(inside.offers()["DELIVERBY"], "60")

    @holds("2852", "4", "BY is a number of at most nine digits, with a sign or without, a mode, and perhaps T.")
    def test_value(self):
        """501 for anything else."""
        self.assertEqual(self.kept("120;R"), DeliverBy(120, returns=True))
        self.assertEqual(self.kept("+120;nt"), DeliverBy(120, returns=False, traces=True))
        for value in ("120", "120;", "120;X", "1234567890;N", "x;R", "12;RTT"):
            self.assertEqual(Talk(deliver_by=True).greet().codes(f"MAIL FROM:<> BY={value}"), [501], value)

    @holds(
        "2852", "4", "With mode R a time that is over, or shorter than what is offered, is refused; with N it is taken."
    )
    def test_over(self):
        """N may be negative: it was late before it came."""
        self.assertEqual(self.kept("-5;N"), DeliverBy(-5, returns=False))
        for value in ("0;R", "-5;R"):
            self.assertEqual(Talk(deliver_by=True).greet().codes(f"MAIL FROM:<> BY={value}"), [501])
        talk = Inside(facts=Facts(), deliver_by=True, deliver_by_seconds=60).greet()
        self.assertEqual(talk.codes("MAIL FROM:<> BY=59;R", "MAIL FROM:<> BY=60;R"), [501, 250])


class FutureReleaseTests(SynchronousTestCase):
    """RFC 4865."""

    def talk(self):
        """With a clock, and an hour."""
        return Talk(future_release_seconds=3600, now=lambda: _NOW)

    @holds("4865", "3", "FUTURERELEASE is offered with the longest time, in seconds and as a date.")
    def test_offer(self):
        """Where a listener allows it."""
        self.assertEqual(self.talk().offers()["FUTURERELEASE"], f"3600 {_LATEST}")
        self.assertNotIn("FUTURERELEASE", Talk().offers())

    @holds("4865", "3", "HOLDFOR is a number of seconds, HOLDUNTIL a date; not both, and not later than was offered.")
    def test_values(self):
        """501 for what is none, or too late."""
        talk = self.talk().greet()
        for value, code in (
            ("HOLDFOR=3600", 250),
            ("HOLDFOR=3601", 501),
            ("HOLDFOR=0", 501),
            ("HOLDFOR=x", 501),
            (f"HOLDUNTIL={_LATEST}", 250),
            ("HOLDUNTIL=2023-11-14T23:13:21Z", 501),
            ("HOLDUNTIL=tomorrow", 501),
            (f"HOLDFOR=60 HOLDUNTIL={_LATEST}", 501),
        ):
            self.assertEqual(talk.codes(f"MAIL FROM:<a@a.example> {value}", "RSET"), [code, 250], value)

    @does_not_hold(
        "4865",
        "4",
        "As a client, a message that is to be held is handed on at once to a host that offers FUTURERELEASE.",
        "It is held here, where its sender can ask about it and have it taken back.",
    )
    def test_handed_on(self):
        """No HOLDFOR is ever said."""
        stage = Stage(TlsNeed.OFF, make_job())
        stage.hear(b"220 x\r\n")
        self.assertNotIn(b"HOLD", stage.hear(f"250-mx\r\n250 FUTURERELEASE 3600 {_LATEST}\r\n".encode()))


class PriorityTests(SynchronousTestCase):
    """RFC 6710."""

    @does_not_hold("6710", "3", "MT-PRIORITY is offered.", "The queue knows no priorities yet.")
    def test_offer(self):
        """The parameter is one that nobody knows."""
        talk = Talk()
        self.assertNotIn("MT-PRIORITY", talk.offers())
        self.assertEqual(talk.codes("MAIL FROM:<> MT-PRIORITY=3"), [555])


class AutomaticTests(SynchronousTestCase):
    """RFC 3834."""

    def setUp(self):
        self.house = House()
        self.house.mx("a.test", "192.0.2.1")
        self.house.mx("from.test", "192.0.2.2")
        self.house.dialer.hosts = {"192.0.2.1": refuses, "192.0.2.2": relays}

    @holds("3834", "5", "Notifications say Auto-Submitted, and whose answer they are.")
    def test_notification(self):
        """In-Reply-To has the Message-ID of the message."""
        self.house.submit("x@a.test", content=b"Message-ID: <one@from.test>\r\n\r\n")
        self.house.run(1)
        notification = message_from_bytes(self.house.dialer.sent[-1][1].body.inline())
        self.assertEqual(notification["Auto-Submitted"], "auto-replied")
        self.assertEqual(notification["In-Reply-To"], "<one@from.test>")


class ProtocolWordTests(SynchronousTestCase):
    """RFC 3848."""

    @holds("3848", "1", "The protocol of a session is SMTP behind HELO, ESMTP behind EHLO.")
    def test_words(self):
        """The last greeting counts."""
        for greetings, word in ((("HELO c",), "SMTP"), (("EHLO c",), "ESMTP"), (("EHLO c", "HELO c"), "SMTP")):
            rig = Rig()
            Talk(rig).say(*greetings, ENVELOPE[0])
            self.assertEqual(rig.reception.mails[0][0].protocol, word)


class NoMailTests(SynchronousTestCase):
    """RFC 7504."""

    @holds_in_part(
        "7504",
        "5",
        "As a client, mail for a domain whose hosts all greet with 521 or another 5yz fails at once.",
        "Such a host gets QUIT, and the next one is tried; when there is none the message waits and is tried again till"
        " it expires: most such greetings mean our address, today.",
    )
    def test_521(self):
        """It is still there after an hour."""
        stage = Stage(TlsNeed.OFF, make_job())
        self.assertEqual(stage.hear(b"521 no mail here\r\n"), b"QUIT\r\n")
        [(_, failure, _)] = stage.events
        house = House()
        house.mx("a.test", "192.0.2.1", "192.0.2.2")

        def open_refused(hop, tls, source, owner):
            link = ScriptedLink(house.dialer, hop, owner)
            house.dialer.opened.append(hop.address)
            house.clock.callLater(0.01, owner.link_failed, link, failure)
            return link

        house.dialer.open = open_refused
        house.submit("x@a.test")
        house.run(10)
        self.assertEqual(house.dialer.opened, ["192.0.2.1", "192.0.2.2"])
        house.run(3600)
        self.assertEqual([address for address, _ in house.waiting()], ["x@a.test"])

    @holds("7504", "5", "As a client, 556 to RCPT fails the recipient.")
    def test_556(self):
        """Its domain takes no mail."""
        stage = Stage(TlsNeed.OFF, make_job())
        converse(stage, Receiver(faults={("RCPT", 1): b"556 5.1.10 no mail for that domain\r\n"}))
        [[outcome]] = stage.outcomes
        self.assertIsInstance(outcome, Failed)
        self.assertEqual(outcome.status, "5.1.10")

    @holds_in_part(
        "7504",
        "4",
        "A server that takes no mail says 521, one that knows that of a recipient's domain 556.",
        "We take mail; whether another domain does is found out when it is sent, and told with 5.1.10.",
    )
    def test_server(self):
        """RCPT is 250."""
        self.assertEqual(Talk().greet().codes(*ENVELOPE), [250, 250])
