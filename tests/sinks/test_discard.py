"""The sink that keeps nothing."""

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.model.address import Mailbox
from smtpgw.model.outcome import Delivered
from smtpgw.sinks.discard import DiscardSink
from tests.contracts.sink import MemoryBody, SinkContract, example_message


class DiscardTests(SinkContract, SynchronousTestCase):
    """It keeps the promises of every sink."""

    def make_sink(self) -> DiscardSink:
        return DiscardSink()

    def test_unread(self) -> None:
        """The content is not read, and the log says what became of it."""
        body = MemoryBody(b"text")
        outcomes = self.deliver(DiscardSink(), example_message(Mailbox("a", "x.example")), body=body)
        self.assertEqual((outcomes, body.streams), ((Delivered("discard"),), []))
