"""CHUNKING."""

# Wrong types are handed in on purpose, and boundaries replaced.
# mypy: no-check-untyped-defs

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.model.reply import Reply
from smtpgw.smtp.extension import ChunkAnnounced, Facts
from smtpgw.smtp.extensions.chunking import Chunking
from tests.contracts.extension import ExtensionContract
from tests.smtp.fakes import CoreDriver


class ChunkingTests(ExtensionContract, SynchronousTestCase):
    """The line of BDAT (RFC 3030 section 2)."""

    extension = Chunking()

    def test_syntax(self):
        """A number of digits, and LAST in any case; nothing else."""
        for argument, announced in (
            (b"0", ChunkAnnounced(0, False)),
            (b"86 LAST", ChunkAnnounced(86, True)),
            (b"86 last", ChunkAnnounced(86, True)),
            (b"007", ChunkAnnounced(7, False)),
            (b"9" * 20, ChunkAnnounced(10**20 - 1, False)),
        ):
            self.assertEqual(self.extension.command("BDAT", argument, Facts()), announced)
        for argument in (
            b"",
            b"-1",
            b"+1",
            b"1.0",
            b"0x10",
            b"1e3",
            b"1_000",
            b"9" * 21,
            b"1 2",
            b"1  LAST",
            b"1 LAST LAST",
            b"1LAST",
            b"LAST",
            b" 1",
            b"1\tLAST",
            b"1\nLAST",
            b"1\n",
            b"1 LAST\n",
            b"1\0",
            b"\xd9\xa1",
        ):
            self.assertIsInstance(self.extension.command("BDAT", argument, Facts()), Reply, argument)

    def test_bad_syntax_ends_the_session(self):
        """Nobody knows how much content follows, so nothing that follows is read as a command."""
        for line in (
            b"BDAT x",
            b"BDAT",
            b"BDAT -1 LAST",
            b"bdat 5\tLAST",
            b"BDAT\t5",
            b"BDAT5",
            b"BDAT " + b"1" * 3000,
        ):
            for greeting in (b"", b"EHLO c\r\n", b"EHLO c\r\nMAIL FROM:<a@x>\r\nRCPT TO:<b@x>\r\n"):
                driver = CoreDriver()
                before = driver.feed(greeting)
                driver.feed(line + b"\r\nMAIL FROM:<evil@x>\r\nNOOP\r\n")
                said = driver.sent[len(before) :]
                self.assertEqual((said[:1], said.count(b"\r\n")), (b"5", 1), line)
                self.assertTrue(driver.is_closed)

    def test_without_the_extension(self):
        """Where it was taken out of the list the session ends as well."""
        driver = CoreDriver(extensions=())
        driver.feed(b"EHLO c\r\n")
        self.assertEqual(driver.feed(b"BDAT 5 LAST\r\nNOOP\r\nNOOP\r\n"), b"502 5.5.1 Command not implemented\r\n")
        self.assertTrue(driver.is_closed)
