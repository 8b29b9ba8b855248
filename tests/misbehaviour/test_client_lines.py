"""Clients whose lines are too long, whose line ends are none, or whose words are not for printing."""

# Wrong types are handed in on purpose, and boundaries replaced.
# mypy: no-check-untyped-defs

from base64 import b64encode

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.log.format import human_format, json_format
from smtpgw.log.lines import INFO, lines_of
from smtpgw.model.notice import Rejected
from smtpgw.model.reply import reply
from smtpgw.model.verdict import Refuse
from tests.net.server_rig import Rig
from tests.net.test_server_auth import PortalCase

_ENVELOPE = b"MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\n"
_FLAWS = (b"\r", b"\n", b"\0")
_HEADER_AND_BODY = (b"Subject: x%sy\r\n\r\nbody\r\n", b"Subject: x\r\n\r\nbo%sdy\r\n")


def as_data(content):
    """The commands that send it with DATA."""
    return b"DATA\r\n" + content + b".\r\n"


def as_chunks(content):
    """Likewise with BDAT, in two."""
    return b"BDAT 10\r\n" + content[:10] + b"BDAT %d LAST\r\n" % (len(content) - 10) + content[10:]


class BareNewlineTests(SynchronousTestCase):
    """Wherever it stands, and however it is sent: a bare CR, a bare LF and a NUL are never in a message."""

    def cases(self):
        """The octet, and the commands that send it."""
        for flaw in _FLAWS:
            for content in _HEADER_AND_BODY:
                for commands in (as_data, as_chunks):
                    yield flaw, commands(content % flaw)

    def test_refused(self):
        """Once, for good, with the session as it was."""
        for _, commands in self.cases():
            rig = Rig(bare_newlines="reject")
            client = rig.connect().greet()
            last = client.send(_ENVELOPE + commands).splitlines()[-1]
            self.assertRegex(last, rb"\A550 5\.6\.\d+ ", commands)
            self.assertEqual(rig.reception.messages, [])
            self.assertEqual(client.send(b"NOOP\r\n"), b"250 2.0.0 Ok\r\n")

    def test_normalized(self):
        """Where the operator wants that: kept, with proper line ends and without NUL."""
        for flaw, commands in self.cases():
            rig = Rig(bare_newlines="normalize")
            rig.connect().greet().send(_ENVELOPE + commands)
            (message,) = rig.reception.messages
            self.assertEqual(message.content.count(b"\r\n"), 3 if flaw == b"\0" else 4, commands)
            for octet in _FLAWS:
                self.assertNotIn(octet, message.content.replace(b"\r\n", b""), commands)


class LongLineTests(SynchronousTestCase):
    """A line that is too long is one line, whatever it begins with."""

    def test_chunk_command(self):
        """Nobody knows how much content follows a BDAT line that was not read: one reply, and the end."""
        for line in (b"BDAT " + b"9" * 5000, b"BDAT 6" + b" " * 5000, b"bdat 6 " + b"x" * 5000):
            for size in (1, 100, 10_000):
                rig = Rig()
                client = rig.connect().greet()
                client.send(_ENVELOPE)
                raw = line + b"\r\nRSET\r\nMAIL FROM:<evil@x.example>\r\n"
                said = b"".join(client.send(raw[begin : begin + size]) for begin in range(0, len(raw), size))
                self.assertEqual(said, b"500 5.5.2 Line too long\r\n")
                self.assertTrue(client.transport.disconnecting)
                self.assertEqual([str(mail.reverse_path) for _, mail in rig.reception.mails], ["a@x.example"])

    def test_cost(self):
        """Of a hundred thousand octets that come one by one no more is kept than a line may have."""
        client = Rig().connect().greet()
        for _ in range(100_000):
            client.protocol.dataReceived(b"x")
            self.assertLessEqual(client.protocol._session.buffered_octets, 2048)
        self.assertEqual(client.send(b"\r\nNOOP\r\n"), b"500 5.5.2 Line too long\r\n250 2.0.0 Ok\r\n")


class NestedTests(SynchronousTestCase):
    """One transaction at a time."""

    def test_behind_the_null_path(self):
        """The null path begins a transaction like any other: a second MAIL is refused, and changes nothing."""
        rig = Rig()
        client = rig.connect().greet()
        said = client.send(b"MAIL FROM:<>\r\nMAIL FROM:<evil@x.example>\r\nRCPT TO:<b@y.example>\r\n")
        self.assertEqual([line[:3] for line in said.splitlines()], [b"250", b"503", b"250"])
        client.send(as_data(b"Subject: x\r\n\r\n"))
        self.assertIsNone(rig.reception.messages[0].envelope.reverse_path)


class ControlCharacterTests(PortalCase):
    """What a terminal would obey, and what would be a line of its own, is spelled out."""

    def test_replies(self):
        """ESC, BEL, NUL and 8-bit octets in any command: every reply is printable ASCII."""
        client = Rig(errors=1000).connect()
        for before in (b"", b"EHLO c.example\r\n", b"MAIL FROM:<a@x.example>\r\n"):
            client.send(before)
            for octets in (b"\x1b[31m", b"\x07", b"\0", b"\x9b", b"\xff"):
                for command in (
                    b"%s",
                    b"EHLO %s",
                    b"MAIL FROM:<%s@x>",
                    b"MAIL FROM:<> ENVID=%s",
                    b"RCPT TO:<%s@x>",
                    b"RCPT TO:<b@x> ORCPT=rfc822;%s",
                    b"VRFY %s",
                ):
                    said = client.send(command % octets + b"\r\n")
                    self.assertRegex(said, rb"\A\d\d\d[ -~]*\r\n\Z")

    def test_encoded(self):
        """Line ends that hide in xtext are refused; those in base64 reach a user's portal, but no line of the log."""
        self.assertEqual(self.client.send(b"MAIL FROM:<> ENVID=+0D+0A250\r\n")[:10], b"501 5.5.4 ")
        self.assertEqual(self.plain(b"\0us\r\n250\x1b[2J\0secret")[:4], b"235 ")
        name = self.client.protocol.client().identity
        self.assertEqual(name, "us\r\n250\x1b[2J")
        for write in (json_format(), human_format(colours=False)):
            line = write(0.0, INFO, "auth", {"user": name}).decode()
            self.assertTrue(line[:-1].isprintable(), line)

    def test_base64(self):
        """A response that decodes to nothing sensible gets one line of reply."""
        for octets in (b"\r\n", b"\x1b\x07\0\xff", b"\0" * 9):
            said = self.client.send(b"AUTH PLAIN " + b64encode(octets) + b"\r\n")
            self.assertRegex(said, rb"\A5\d\d [ -~]*\r\n\Z")

    def test_log(self):
        """What a DNS list, a web service or a host said to us about a client is one printable line of the log."""
        rig = Rig()
        refuse = Refuse(reply(550, "5.7.1", "No\x1b[2J"), "list", "listed\x1b]0;x\x07\r\nmsg.queued \x9b\0")
        rig.reception.on_rcpt = lambda recipient: refuse
        said = rig.connect().greet().send(_ENVELOPE).splitlines()
        self.assertRegex(said[1], rb"\A550 5\.7\.1 [ -~]*\Z")
        (notice,) = [one for one in rig.notices if isinstance(one, Rejected)]
        ((level, event, fields),) = lines_of(notice)
        for write in (json_format(), human_format(colours=False)):
            line = write(0.0, level, event, fields).decode()
            self.assertTrue(line[:-1].isprintable(), line)
            self.assertIn("msg.queued", line)
