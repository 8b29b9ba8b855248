"""Every command in every phase."""

# Wrong types are handed in on purpose, and boundaries replaced.
# mypy: no-check-untyped-defs

import random

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.smtp.session_rules import Phase
from tests.clauses import holds
from tests.smtp.fakes import CoreDriver

_GREETED = b"EHLO c.example\r\n"
_ENDING = (b"QUIT", b"STARTTLS", b"BDAT 1 2")

PHASES = {
    Phase.START: b"",
    Phase.READY: _GREETED,
    Phase.MAIL: _GREETED + b"MAIL FROM:<>\r\n",
}
ROWS = (
    # command, START, READY, MAIL
    (b"HELO c", b"250 mx", b"250 mx", b"250 mx"),
    (b"EHLO c", b"250-mx", b"250-mx", b"250-mx"),
    (b"EHLO", b"501 5.5.4", b"501 5.5.4", b"501 5.5.4"),
    (b"MAIL FROM:<a@x>", b"503 5.5.1", b"250 2.1.0", b"503 5.5.1"),
    (b"RCPT TO:<a@x>", b"503 5.5.1", b"503 5.5.1", b"250 2.1.5"),
    (b"DATA", b"503 5.5.1", b"503 5.5.1", b"503 5.5.1"),
    (b"RSET", b"250 2.0.0", b"250 2.0.0", b"250 2.0.0"),
    (b"RSET x", b"501 5.5.4", b"501 5.5.4", b"501 5.5.4"),
    (b"NOOP", b"250 2.0.0", b"250 2.0.0", b"250 2.0.0"),
    (b"NOOP x y", b"250 2.0.0", b"250 2.0.0", b"250 2.0.0"),
    (b"NOOP a\nRSET", b"500 5.5.2", b"500 5.5.2", b"500 5.5.2"),
    (b"VRFY a", b"252 2.0.0", b"252 2.0.0", b"252 2.0.0"),
    (b"VRFY", b"501 5.5.4", b"501 5.5.4", b"501 5.5.4"),
    (b"VRFY a\rb", b"500 5.5.2", b"500 5.5.2", b"500 5.5.2"),
    (b"HELP", b"214-2.0.0", b"214-2.0.0", b"214-2.0.0"),
    (b"HELP \x1b", b"500 5.5.2", b"500 5.5.2", b"500 5.5.2"),
    (b"QUIT", b"221 2.0.0", b"221 2.0.0", b"221 2.0.0"),
    (b"QUIT now", b"501 5.5.4", b"501 5.5.4", b"501 5.5.4"),
    # A lone CR or LF, or another blank, is no end of a line.
    (b"QUIT \n", b"501 5.5.4", b"501 5.5.4", b"501 5.5.4"),
    (b"RSET \r", b"501 5.5.4", b"501 5.5.4", b"501 5.5.4"),
    (b"DATA \n", b"503 5.5.1", b"503 5.5.1", b"501 5.5.4"),
    (b"STARTTLS", b"220 2.0.0 Ready", b"220 2.0.0 Ready", b"220 2.0.0 Ready"),
    (b"AUTH PLAIN", b"502 5.5.1", b"502 5.5.1", b"502 5.5.1"),
    (b"EXPN a", b"502 5.5.1", b"502 5.5.1", b"502 5.5.1"),
    (b"BDAT 0", b"503 5.5.1 Send EHLO", b"503 5.5.1 Send MAIL", b"503 5.5.1 Send RCPT"),
    (b"BDAT 0 LAST", b"503 5.5.1 Send EHLO", b"503 5.5.1 Send MAIL", b"503 5.5.1 Send RCPT"),
    (b"BDAT 1 2", b"501 5.5.4", b"501 5.5.4", b"501 5.5.4"),
    (b"XCLIENT ADDR=192.0.2.1", b"550 5.7.0", b"550 5.7.0", b"550 5.7.0"),
    (b"VRFY a SMTPUTF8", b"252 2.0.0", b"252 2.0.0", b"252 2.0.0"),
    ("VRFY jürgen".encode(), b"553 5.6.7", b"553 5.6.7", b"553 5.6.7"),
    ("VRFY jürgen@müller.example SMTPUTF8".encode(), b"553 5.6.7", b"252 2.0.0", b"252 2.0.0"),
    (b"FOO", b"500 5.5.2", b"500 5.5.2", b"500 5.5.2"),
    (b"", b"500 5.5.2", b"500 5.5.2", b"500 5.5.2"),
    (b" NOOP", b"500 5.5.2", b"500 5.5.2", b"500 5.5.2"),
    (b"N\xc3\x96\xff\x00", b"500 5.5.2", b"500 5.5.2", b"500 5.5.2"),
    (b"MAIL", b"503 5.5.1", b"501 5.5.2", b"503 5.5.1"),
    (b"MAIL FROM:<a@x> FOO=1", b"503 5.5.1", b"555 5.5.4", b"503 5.5.1"),
    (b"RCPT TO:<a@x> FOO=1", b"503 5.5.1", b"503 5.5.1", b"555 5.5.4"),
    (b"RCPT TO:<a..b@x>", b"503 5.5.1", b"503 5.5.1", b"501 5.1.3"),
)


class QuitTests(SynchronousTestCase):
    """Whether a client that took its leave had anything more to say is known."""

    def test_said_all(self):
        """However QUIT was cut; something behind it counts."""
        for pieces, has_said_all in (
            ((b"QUIT\r\n",), True),
            ((b"NOOP\r\nqu", b"it \r\n"), True),
            ((b"QUIT\r\nNOOP\r\n",), False),
            ((b"NOOP\r\n",), False),
        ):
            with self.subTest(pieces=pieces):
                driver = CoreDriver()
                for piece in pieces:
                    driver.feed(piece)
                self.assertIs(driver.session.has_said_all, has_said_all)


class TableTests(SynchronousTestCase):
    """Every command in every phase has the reply that the RFC gives it."""

    @holds("5321", "4.1.1.1", "EHLO and HELO with a name are 250 in every phase; EHLO without one is 501.")
    @holds("5321", "4.1.1.6", "VRFY with an argument is 252.")
    @holds("6531", "3.7.4", "VRFY takes SMTPUTF8 behind EHLO; without it a non-ASCII argument is 553.")
    @holds("5321", "4.1.1.8", "HELP is 214 in every phase.")
    @holds("5321", "4.1.1.9", "NOOP is 250 in every phase, with an argument or without.")
    @holds("5321", "4.1.1.11", "A parameter of MAIL or RCPT that is not known is 555.")
    @holds("5321", "4.1.4", "MAIL without EHLO or HELO, RCPT and DATA without MAIL, and a second MAIL are 503.")
    @holds("5321", "4.2.4", "EXPN, which is not implemented, is 502; a verb that nobody knows is 500.")
    def test_table(self):
        """Each in upper, lower and mixed case."""
        for command, *expected in ROWS:
            for (phase, before), start in zip(PHASES.items(), expected, strict=True):
                verb, space, rest = command.partition(b" ")
                for written in (command, verb.lower() + space + rest, verb.title() + space + rest):
                    with self.subTest(written, phase=phase):
                        driver = CoreDriver()
                        driver.feed(before)
                        self.assertIs(driver.session.phase, phase)
                        said = driver.feed(written + b"\r\n")
                        self.assertEqual(said[: len(start)], start)

    @holds("5321", "4.2", "Each command gets exactly one reply, in the order of the commands.")
    def test_one_reply_each(self):
        """As many replies as commands, in their order, however they are cut."""
        source = random.Random(7)
        for _ in range(300):
            commands = [source.choice(ROWS) for _ in range(12)]
            raw = b"".join(row[0] + b"\r\n" for row in commands if not row[0].startswith(_ENDING))
            whole = CoreDriver(errors=100).feed(raw)
            cut = CoreDriver(errors=100)
            position = 0
            while position < len(raw):
                size = source.randrange(1, 20)
                cut.feed(raw[position : position + size])
                position += size
            self.assertEqual(cut.sent, whole)
            self.assertEqual(sum(line[3:4] == b" " for line in whole.splitlines()), raw.count(b"\r\n"), (raw, whole))
