"""RFC 2920: PIPELINING."""

# mypy: no-check-untyped-defs

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.model.outcome import Delayed, Failed, Relayed
from smtpgw.model.reply import reply
from smtpgw.model.route import TlsNeed
from smtpgw.model.verdict import ACCEPT, Refuse
from tests.clauses import holds
from tests.net.server_rig import AbortingTransport
from tests.rfc.talk import CONTENT, ENVELOPE, Talk, codes
from tests.smtp.fakes import MemoryReception
from tests.smtp.test_conversation import Receiver, Stage, converse, make_job

_GROUP = (*ENVELOPE, "DATA", *CONTENT, ENVELOPE[0], "RCPT TO:<>", ENVELOPE[1], "DATA", *CONTENT, "NOOP", "QUIT")
_CODES = [250, 250, 354, 250, 250, 501, 250, 354, 250, 250, 221]


class CountingTransport(AbortingTransport):
    """:ivar writes: what was written, write by write."""

    def __init__(self):
        super().__init__()
        self.writes = []

    def write(self, data):
        """As part of a list."""
        self.writes.append(data)
        super().write(data)

    def writeSequence(self, data):
        """One write."""
        self.write(b"".join(data))


class ServerTests(SynchronousTestCase):
    """Section 3.2."""

    @holds("2920", "2", "PIPELINING is offered, without parameters.")
    def test_offer(self):
        """To everybody."""
        self.assertEqual(Talk().offers()["PIPELINING"], "")

    @holds("2920", "3.2", "As a server, replies don't depend on how commands were cut into segments.")
    def test_cuts(self):
        """Octet by octet, line by line, all at once."""
        octets = "".join(f"{line}\r\n" for line in _GROUP).encode()
        for size in (1, 7, 50, len(octets)):
            talk = Talk().greet()
            said = "".join(talk.raw(octets[at : at + size]) for at in range(0, len(octets), size))
            self.assertEqual(codes(said), _CODES, size)

    @holds("2920", "3.2", "As a server, no input is thrown away, also not behind a command that was refused.")
    def test_nothing_lost(self):
        """Every command behind it has its reply."""
        lines = ("FOO", "MAIL FROM:<", "DATA", "EHLO", *ENVELOPE, "RCPT TO:<>", "NOOP")
        self.assertEqual(Talk().greet().codes(*lines), [500, 501, 503, 501, 250, 250, 501, 250])

    @holds("2920", "3.2", "As a server, the replies to a group go out together.")
    def test_together(self):
        """One write for eight replies, where nobody has to wait."""
        rig = Talk().rig
        transport = CountingTransport()
        client = rig.connect(transport=transport)
        client.send(b"EHLO c\r\n")
        transport.writes.clear()
        client.send(b"MAIL FROM:<a@a>\r\n" + b"RCPT TO:<b@b>\r\n" * 7)
        self.assertEqual([write.count(b"\r\n") for write in transport.writes], [8])

    @holds("2920", "3.2", "As a server, no reply waits for more input, nor for the answer to a later command.")
    def test_no_waiting(self):
        """What is answered is out while the next one is thought about, or half a command has come."""
        reception = MemoryReception()
        talk = Talk(reception=reception).greet()
        self.assertEqual(codes(talk.raw(b"MAIL FROM:<a@a>\r\nRCPT TO:<b@b>\r\nRCPT TO:<c")), [250, 250])
        waiting = Deferred()
        reception.on_rcpt = lambda recipient: waiting
        self.assertEqual(codes(talk.raw(b"@c>\r\nDATA\r\n")), [])
        talk.client.said()
        waiting.callback(ACCEPT)
        self.assertEqual(codes(talk.client.said().decode()), [250, 354])

    @holds(
        "2920",
        "3.1",
        "As a server, content of nobody behind a DATA that was refused is read as commands, as it has to be.",
    )
    def test_all_refused(self):
        """A client that does not wait for 354 breaks the rule; what it sends makes no message."""
        reception = MemoryReception()
        reception.on_rcpt = lambda recipient: Refuse(reply(550, "5.1.1", "No such user"), "t")
        talk = Talk(reception=reception).greet()
        self.assertEqual(talk.codes(*ENVELOPE, "DATA", "."), [250, 550, 554, 500])
        self.assertEqual(talk.messages, [])


class ClientTests(SynchronousTestCase):
    """Section 3.1."""

    def open(self, *jobs):
        """With a host that offers it."""
        stage = Stage(TlsNeed.OFF, *jobs)
        stage.hear(b"220 x\r\n")
        stage.hear(b"250-mx\r\n250 PIPELINING\r\n")
        return stage

    @holds("2920", "3.1", "As a client, EHLO, DATA, QUIT and NOOP are the last of their group.")
    def test_last(self):
        """Nothing goes out behind them before their reply is there."""
        stage = self.open(make_job())
        self.assertTrue(stage.sent.endswith(b"DATA\r\n"))
        self.assertEqual(stage.hear(b"250 ok\r\n250 ok\r\n"), b"")
        self.assertNotEqual(stage.hear(b"354 go\r\n"), b"")
        stage.hear(b"250 ok\r\n")
        stage.conversation.close()
        self.assertTrue(stage.sent.endswith(b"QUIT\r\n"))

    @holds("2920", "3.1", "As a client, every reply of a group is looked at, and belongs to its own command.")
    def test_every_reply(self):
        """The second of three recipients was refused."""
        jobs = make_job("b@b.example", "c@b.example", "d@b.example")
        stage = Stage(TlsNeed.OFF, jobs)
        faults = {("RCPT", 2): b"550-5.1.1 no\r\n550 5.1.1 such user\r\n", ("RCPT", 3): b"450 4.2.0 later\r\n"}
        converse(stage, Receiver("PIPELINING", faults=faults), "octets")
        self.assertEqual([type(outcome) for outcome in stage.outcomes[0]], [Relayed, Failed, Delayed])

    @holds(
        "2920",
        "3.1",
        "As a client, 354 although every recipient was refused gets a lone dot, and nobody gets a message.",
    )
    def test_lone_dot(self):
        """Its reply means nothing then."""
        stage = self.open(make_job())
        self.assertEqual(stage.hear(b"250 ok\r\n550 no\r\n354 go\r\n"), b".\r\n")
        stage.hear(b"250 queued\r\n")
        self.assertEqual([type(outcome) for outcome in stage.outcomes[0]], [Failed])

    @holds("2920", "3.1", "As a client, content goes out only behind a 354 of its own transaction.")
    def test_refused_mail(self):
        """MAIL, RCPT and DATA were refused, and nothing follows."""
        stage = self.open(make_job())
        self.assertEqual(stage.hear(b"550 no\r\n503 no\r\n503 no\r\n"), b"")
        self.assertEqual([type(outcome) for outcome in stage.outcomes[0]], [Failed])

    @holds("2920", "3.1", "As a client, nothing is sent in groups to a host that does not offer it.")
    def test_not_offered(self):
        """One command at a time."""
        stage = Stage(TlsNeed.OFF, make_job("b@b.example", "c@b.example"))
        stage.hear(b"220 x\r\n")
        for octets in (b"250 mx\r\n", b"250 ok\r\n", b"250 ok\r\n", b"250 ok\r\n"):
            self.assertEqual(stage.hear(octets).count(b"\r\n"), 1)
