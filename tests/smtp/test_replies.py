"""Replies on the wire."""

# Wrong types are handed in on purpose, and boundaries replaced.
# mypy: no-check-untyped-defs

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.model.reply import Reply, reply
from smtpgw.smtp import replies
from tests.clauses import holds


class EncodeTests(SynchronousTestCase):
    """A reply is written so that no text in it can be anything but text."""

    def test_one_line(self):
        """With and without status."""
        self.assertEqual(replies.encode(reply(250, "2.0.0", "Ok")), b"250 2.0.0 Ok\r\n")
        self.assertEqual(replies.encode(reply(220, "", "mx ESMTP")), b"220 mx ESMTP\r\n")

    @holds("2034", "4", "Each line of a reply bears the same status.")
    def test_lines(self):
        """Every line carries code and status."""
        self.assertEqual(replies.encode(Reply(550, "5.7.1", ("No", "Really"))), b"550-5.7.1 No\r\n550 5.7.1 Really\r\n")
        self.assertEqual(replies.encode(Reply(250, "", ("mx", "SIZE"))), b"250-mx\r\n250 SIZE\r\n")

    def test_no_text(self):
        """A reply without lines is still a reply."""
        self.assertEqual(replies.encode(Reply(451, "4.3.0", ())), b"451 4.3.0 \r\n")

    @holds("5321", "4.5.3.1.5", "No line of a reply is longer than 512 octets with its CR LF.")
    @settings(max_examples=200, deadline=None)
    @given(st.lists(st.text(max_size=600), min_size=1, max_size=4))
    def test_hostile_text(self, lines):
        """Line ends, escapes and non-ASCII are escaped; the number of lines is ours; no line is too long."""
        octets = replies.encode(Reply(550, "5.7.1", tuple(lines)))
        written = octets.removesuffix(b"\r\n").split(b"\r\n")
        self.assertEqual(len(written), len(lines))
        for line in written:
            self.assertTrue(line.startswith(b"550"))
            self.assertLessEqual(len(line), 510)
            self.assertTrue(all(0x20 <= octet <= 0x7E for octet in line))

    def test_many_lines(self):
        """A reply does not go on for ever."""
        self.assertEqual(replies.encode(Reply(550, "5.0.0", ("x",) * 5000)).count(b"\r\n"), 100)


class ConstantTests(SynchronousTestCase):
    """Our own replies keep to RFC 3463."""

    def test_status_fits_code(self):
        """The class of the status is the first digit of the code."""
        found = [value for value in vars(replies).values() if isinstance(value, Reply)]
        self.assertGreater(len(found), 30)
        for answer in found:
            with self.subTest(str(answer)):
                self.assertRegex(answer.status, rf"\A{answer.code // 100}\.\d{{1,3}}\.\d{{1,3}}\Z")

    def test_contract(self):
        """The replies that users rely on."""
        for answer, start in (
            (replies.BARE_NEWLINE, "550 5.6.11 "),
            (replies.UNKNOWN_PARAMETER, "555 5.5.4 "),
            (replies.TROUBLE, "451 4.3.0 "),
            (replies.SHUTTING_DOWN, "421 4.3.2 "),
            (replies.TOO_BUSY, "421 4.3.2 "),
            (replies.TOO_MANY_FROM_CLIENT, "421 4.7.0 "),
            (replies.TOO_MANY_RECIPIENTS, "452 4.5.3 "),
            (replies.TOO_LARGE, "552 5.3.4 "),
            (replies.TIMED_OUT, "421 4.4.2 "),
            (replies.TOO_MANY_ERRORS, "421 4.7.0 "),
            (replies.TLS_NEEDED, "530 5.7.0 "),
        ):
            self.assertTrue(str(answer).startswith(start), answer)
