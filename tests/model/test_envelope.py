"""What MAIL and RCPT can ask for, as text."""

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.model.envelope import DeliverBy, Notify


class TextTests(SynchronousTestCase):
    """As it stands in a command."""

    def test_notify(self) -> None:
        """Nothing that is wanted is NEVER."""
        for notify, words in (
            (Notify(), "NEVER"),
            (Notify(success=True), "SUCCESS"),
            (Notify(failure=True, delay=True), "FAILURE,DELAY"),
            (Notify(success=True, failure=True, delay=True), "SUCCESS,FAILURE,DELAY"),
        ):
            self.assertEqual(notify.words, words)

    def test_deliver_by(self) -> None:
        """Seconds, mode, trace."""
        for deliver_by, text in (
            (DeliverBy(600, returns=True), "600;R"),
            (DeliverBy(-5, returns=False), "-5;N"),
            (DeliverBy(1, returns=False, traces=True), "1;NT"),
        ):
            self.assertEqual(deliver_by.text, text)
