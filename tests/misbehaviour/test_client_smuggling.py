"""Clients that try to make two messages out of one, or commands out of content."""

# Wrong types are handed in on purpose, and boundaries replaced.
# mypy: no-check-untyped-defs

from twisted.trial.unittest import SynchronousTestCase

from tests.clauses import holds
from tests.net.server_rig import Rig

_ENVELOPE = b"MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\nDATA\r\n"
_INJECTED = b"MAIL FROM:<evil@x.example>\r\nRCPT TO:<victim@y.example>\r\nDATA\r\nX: 1\r\n"

_ENDS = {
    b"\r\n.\r\n": True,
    b"\n.\n": False,
    b"\n.\r\n": False,
    b"\r\n.\n": False,
    b"\r.\r": False,
    b"\r.\r\n": False,
    b"\r\n.\r": False,
    b"\r\n\0.\r\n": False,
    b"\r\n.\0\r\n": False,
    b"\r\n. \r\n": False,
}
"""What could be taken for the end of data, and whether it is."""


class SmugglingTests(SynchronousTestCase):
    """Only CR LF . CR LF ends data, and nothing that looks like it gets a second message in, or out."""

    @holds("5321", "4.1.1.4", "Only CR LF . CR LF ends content: nine look-alikes do not.")
    def test_matrix(self):
        """Ten ends, in one piece and octet by octet, refused and normalised."""
        for end, is_end in _ENDS.items():
            for mode in ("reject", "normalize"):
                for size in (1, 10_000):
                    with self.subTest(end, mode=mode, size=size):
                        self.check(end, is_end, mode, size)

    def check(self, end, is_end, mode, size):
        rig = Rig(bare_newlines=mode)
        client = rig.connect().greet()
        client.said()
        raw = _ENVELOPE + b"Subject: x\r\n\r\nbody" + end + _INJECTED + b"\r\n.\r\n"
        for begin in range(0, len(raw), size):
            client.protocol.dataReceived(raw[begin : begin + size])
        senders = [str(mail.reverse_path) for _, mail in rig.reception.mails]
        if is_end:
            self.assertEqual(senders, ["a@x.example", "evil@x.example"])
            self.assertEqual(len(rig.reception.messages), 2)
            return
        self.assertEqual(senders, ["a@x.example"])
        codes = [line[:3] for line in client.said().splitlines()]
        is_clean = end == b"\r\n. \r\n"
        self.assertEqual(codes, [b"250", b"250", b"354", b"250" if is_clean or mode == "normalize" else b"550"])
        self.assertEqual(client.send(b"NOOP\r\n"), b"250 2.0.0 Ok\r\n")
        for message in rig.reception.messages:
            content = message.content
            self.assertNotIn(b"\0", content)
            self.assertEqual(content.count(b"\r"), content.count(b"\r\n"))
            self.assertEqual(content.count(b"\n"), content.count(b"\r\n"))
            self.assertIn(b"evil@x.example", content)

    def test_bare_newlines_in_commands(self):
        """A command line with a bare CR, LF or NUL in it is no command, and not two."""
        for octets in (b"\n", b"\r", b"\0", b"\r\r"):
            for command in (
                b"NOOP%sMAIL FROM:<evil@x>",
                b"MAIL FROM:<a%sb@x>",
                b"MAIL FROM:<a@x>%sRCPT TO:<b@y>",
                b"EHLO c%sX: y",
            ):
                rig = Rig()
                client = rig.connect().greet()
                self.assertEqual(client.send(command % octets + b"\r\n")[:2], b"50")
                self.assertEqual(rig.reception.mails, [])

    def test_long_line_in_content(self):
        """A line that is too long for anybody does not end the content (and the rest is not commands)."""
        rig = Rig()
        client = rig.connect().greet()
        client.send(_ENVELOPE)
        for piece in (b"x" * 16_385, b"\r\n" + _INJECTED, b"y" * 70_000 + b"\r\n"):
            self.assertEqual(client.send(piece), b"")
        self.assertEqual(client.send(b".\r\n")[:10], b"250 2.0.0 ")
        self.assertEqual(len(rig.reception.mails), 1)

    def test_content_behind_a_refused_data(self):
        """A client that sends content without waiting for the 354 it does not get: refused, and soon sent away."""
        rig = Rig(errors=5)
        client = rig.connect().greet()
        said = client.send(b"MAIL FROM:<>\r\nDATA\r\n" + b"line\r\n" * 100)
        self.assertEqual(said.splitlines()[-1][:10], b"421 4.7.0 ")
        self.assertTrue(client.transport.disconnecting)
