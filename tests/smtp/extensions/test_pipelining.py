"""PIPELINING."""

# Wrong types are handed in on purpose, and boundaries replaced.
# mypy: no-check-untyped-defs

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.smtp.extensions.pipelining import Pipelining
from tests.clauses import holds
from tests.contracts.extension import ExtensionContract
from tests.smtp.fakes import CoreDriver


class PipeliningTests(ExtensionContract, SynchronousTestCase):
    """Commands may be sent without waiting, and the replies come in their order."""

    extension = Pipelining()

    @holds("2920", "3.2", "As a server, groups of commands with content among them are answered in their order.")
    def test_group(self):
        """Three messages and a QUIT in one piece."""
        driver = CoreDriver()
        message = b"MAIL FROM:<a@x>\r\nRCPT TO:<b@x>\r\nDATA\r\nA: 1\r\n.\r\n"
        said = driver.feed(b"EHLO c\r\n" + message * 3 + b"QUIT\r\n")
        codes = [line[:3] for line in said.splitlines() if line[3:4] == b" "]
        self.assertEqual(codes, [b"250", *[b"250", b"250", b"354", b"250"] * 3, b"221"])
        self.assertEqual([message.content for message in driver.reception.messages], [b"A: 1\r\n"] * 3)
