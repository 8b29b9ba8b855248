"""rspamd, from its package: what it refuses is refused, what it marks arrives marked."""

# mypy: no-check-untyped-defs

from smtpgw.model.notice import Rejected
from tests.integration.milters import MilterTestCase, Rspamd

_HEADER = (
    b"From: <alice@example.test>\r\nTo: <bob@example.net>\r\nSubject: hello\r\nMessage-ID: <1@example.test>\r\n\r\n"
)
_REJECTED = b"XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X\r\n"
_MARKED = b"YJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X\r\n"
_NEW_SUBJECT = b"ZJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X\r\n"


class RspamdTests(MilterTestCase):
    """One rspamd, one connection of a client."""

    def setUp(self):
        super().setUp()
        self.rspamd = Rspamd(self.folder)
        self.serve(self.rspamd)

    async def test_three_messages(self):
        """Over one connection: spam is refused at the end of data, clean mail passes, suspect mail is marked."""
        answer = await self.submit(_HEADER + _REJECTED)
        self.assertEqual((answer.code, answer.status, answer.lines), (554, "5.7.1", ("Gtube pattern",)))
        self.assertIsInstance(self.house.notices[-1], Rejected)
        self.assertEqual(self.house.spool.entries, {})

        self.assertEqual((await self.submit(_HEADER + b"nothing wrong here\r\n")).code, 250)
        entry, sent = self.house.kept()
        self.assertTrue(sent.endswith(_HEADER + b"nothing wrong here\r\n"))
        self.house.spool.entries.clear()

        self.assertEqual((await self.submit(_HEADER + _MARKED)).code, 250)
        entry, sent = self.house.kept()
        self.assertIn(b"\r\nX-Spam: Yes\r\n", sent)
        self.assertTrue(sent.endswith(b"\r\n\r\n" + _MARKED))
        self.assertEqual(str(entry.message.envelope.recipients[0].mailbox), "bob@example.net")

    async def test_new_subject(self):
        """A header field that it rewrites is rewritten in its place."""
        self.assertEqual((await self.submit(_HEADER + _NEW_SUBJECT)).code, 250)
        _, sent = self.house.kept()
        self.assertIn(b"\r\nSubject: *** SPAM *** hello\r\n", sent)
        self.assertEqual(sent.count(b"Subject:"), 1)

    async def test_large_message(self):
        """Megabytes go there in pieces."""
        content = _HEADER + b"0123456789012345678901234567890123456789012345678901234567890123456789\r\n" * 50000
        self.assertEqual((await self.submit(content)).code, 250)
        _, sent = self.house.kept()
        self.assertTrue(sent.endswith(content))

    async def test_gone(self):
        """A milter that is gone between two messages is 451, not an accepted message."""
        self.assertEqual((await self.submit(_HEADER + b"text\r\n")).code, 250)
        self.house.spool.entries.clear()
        self.rspamd.close()
        answer = await self.submit(_HEADER + b"text\r\n")
        self.assertEqual((answer.code, answer.status), (451, "4.7.1"))
