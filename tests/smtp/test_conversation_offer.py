"""What a host offers."""

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.model.reply import Reply
from smtpgw.smtp.conversation_offer import NOTHING, Offer, read_offer


def offer(*lines: str) -> Offer:
    """As read from EHLO."""
    return read_offer(Reply(250, "", ("mx.example.net", *lines)))


class OfferTests(SynchronousTestCase):
    """Keywords of the reply to EHLO."""

    def test_keywords(self) -> None:
        """In any case and order; the first line is no keyword, and what isn't known is passed over."""
        self.assertEqual(offer("x-new 7", "dsn", "RequireTLS"), Offer(dsn=True, requiretls=True))
        self.assertEqual(read_offer(Reply(250, "", ("DSN",))), NOTHING)

    def test_deliver_by(self) -> None:
        """The least time that it needs; 0, none or nonsense: any."""
        for line, least in (("DELIVERBY 240", 240), ("DELIVERBY", 0), ("DELIVERBY 0", 0), ("DELIVERBY soon", 0)):
            self.assertEqual(offer(line), Offer(deliver_by=True, least_seconds=least))

    def test_limits(self) -> None:
        """Numbers from 1 to 999999; others set no limit, and don't undo the rest."""
        self.assertEqual(
            offer("LIMITS MAILMAX=10 RCPTMAX=20 rcptdomainmax=1 X=y"),
            Offer(max_mails=10, max_recipients=20, max_domains=1),
        )
        self.assertEqual(offer("LIMITS MAILMAX=0 RCPTMAX=-1 RCPTDOMAINMAX"), NOTHING)
        self.assertEqual(offer("LIMITS RCPTMAX=0 RCPTMAX=1000000 MAILMAX=\u0663 RCPTDOMAINMAX=7"), Offer(max_domains=7))

    @settings(max_examples=100, deadline=None)
    @given(st.lists(st.text(max_size=60), max_size=8))
    def test_anything(self, lines: list[str]) -> None:
        """Whatever it says, limits are not negative."""
        found = offer(*lines, *(f"LIMITS {line}" for line in lines), *(f"DELIVERBY {line}" for line in lines))
        self.assertGreaterEqual(min(found.max_mails, found.max_recipients, found.max_domains, found.least_seconds), 0)
