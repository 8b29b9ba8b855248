"""ENHANCEDSTATUSCODES."""

# Wrong types are handed in on purpose, and boundaries replaced.
# mypy: no-check-untyped-defs

import re

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.smtp.extensions.status_codes import StatusCodes
from tests.clauses import holds
from tests.contracts.extension import ExtensionContract
from tests.smtp.fakes import CoreDriver


class StatusCodesTests(ExtensionContract, SynchronousTestCase):
    """Every reply has a status, but for those that may not."""

    extension = StatusCodes()

    @holds(
        "2034",
        "4",
        "Replies to MAIL, RCPT, DATA, RSET, NOOP, VRFY, HELP and QUIT bear a status; 354 and the greeting do not.",
    )
    def test_everywhere(self):
        """Only 220, 354, and the replies to HELO and EHLO are without (RFC 2034 section 4)."""
        driver = CoreDriver(errors=1000)
        driver.session.greet()
        self.assertEqual(driver.run(), b"220 mx.example ESMTP\r\n")
        self.assertEqual(driver.feed(b"HELO c\r\n"), b"250 mx.example\r\n")
        said = driver.feed(
            b"NOOP\r\nRSET\r\nVRFY a\r\nHELP\r\nEXPN a\r\nFOO\r\n\r\nMAIL FROM:<a@x>\r\nMAIL FROM:<a@x>\r\n"
            b"RCPT TO:<b@x>\r\nRCPT TO:<>\r\nDATA x\r\nRSET x\r\nDATA\r\na\nb\r\n.\r\nDATA\r\nAUTH PLAIN\r\nQUIT\r\n"
        )
        for line in said.splitlines():
            with self.subTest(line):
                code = line[:1]
                self.assertTrue(line.startswith(b"354 ") or re.match(rb"\d\d\d[ -]" + code + rb"\.\d+\.\d+ \S", line))
