"""What every sink promises."""

from io import BytesIO
from typing import TYPE_CHECKING, Any, BinaryIO

from twisted.internet.defer import ensureDeferred
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.boundaries.sinks import Sink
from smtpgw.model.address import Mailbox
from smtpgw.model.envelope import BodyType, Client, Envelope, Recipient
from smtpgw.model.message import Message
from smtpgw.model.outcome import Delivered, Outcome

if TYPE_CHECKING:
    _Base = SynchronousTestCase
else:
    _Base = object

NOW = 1_800_000_000.5
TRACE = b"Received: from mail.example.org\r\n\tby mx.example.net; now\r\n"


class CallerThreads:
    """Runs blocking work at once, where it was asked for."""

    async def run(self, function: Any, *arguments: Any) -> Any:
        return function(*arguments)


class MemoryBody:
    """Content that says whether it is in memory as the test wants it, and counts what is open."""

    def __init__(self, content: bytes, *, is_inline: bool = True) -> None:
        self.content = content
        self.is_inline = is_inline
        self.streams: list[BytesIO] = []

    @property
    def size_octets(self) -> int:
        return len(self.content)

    def inline(self) -> bytes | None:
        return self.content if self.is_inline else None

    def open(self) -> BinaryIO:
        self.streams.append(BytesIO(self.content))
        return self.streams[-1]


def example_message(*recipients: Mailbox, queue_id: int = 77, reverse_path: Mailbox | None = None) -> Message:
    """A message to these recipients."""
    envelope = Envelope(reverse_path, tuple(map(Recipient, recipients)), BodyType.EIGHT_BIT)
    client = Client("192.0.2.25", "mail.example.org", "ESMTPS")
    return Message(queue_id, envelope, client, NOW, TRACE, 0)


class SinkContract(_Base):
    """Mix into a ``SynchronousTestCase``; ``make_sink`` gives a sink that works."""

    def make_sink(self) -> Sink:
        raise NotImplementedError

    def deliver(self, sink: Sink, message: Message, recipients: Any = None, body: Any = None) -> tuple[Outcome, ...]:
        chosen = message.envelope.recipients if recipients is None else tuple(recipients)
        body = MemoryBody(b"Subject: x\r\n\r\ntext\r\n") if body is None else body
        delivery: Any = ensureDeferred(sink.deliver(message, chosen, body))
        return tuple(self.successResultOf(delivery))

    def test_one_outcome_for_each(self) -> None:
        """Each recipient has an outcome, also one that was named twice."""
        message = example_message(Mailbox("a", "x.example"), Mailbox("b", "x.example"), Mailbox("a", "x.example"))
        outcomes = self.deliver(self.make_sink(), message)
        self.assertEqual([type(outcome) for outcome in outcomes], [Delivered] * 3)

    def test_some_recipients(self) -> None:
        """Only those who are asked for are delivered to."""
        message = example_message(*[Mailbox(name, "x.example") for name in "abcd"])
        outcomes = self.deliver(self.make_sink(), message, message.envelope.recipients[1:3])
        self.assertEqual(len(outcomes), 2)

    def test_bodies_of_any_kind(self) -> None:
        """In memory or not, empty or large, with NULs: it is taken, and no stream stays open."""
        message = example_message(Mailbox("a", "x.example"))
        for content in (b"", b"\r\n", b"\x00\xff\r\n" * 100_000, b"no line end"):
            for is_inline in (True, False):
                body = MemoryBody(content, is_inline=is_inline)
                (outcome,) = self.deliver(self.make_sink(), message, body=body)
                self.assertIsInstance(outcome, Delivered)
                self.assertTrue(all(stream.closed for stream in body.streams))

    def test_repeated(self) -> None:
        """The same attempt once more, as after a result that was not kept, is no trouble."""
        sink = self.make_sink()
        message = example_message(Mailbox("a", "x.example"))
        self.assertEqual(self.deliver(sink, message), self.deliver(sink, message))
