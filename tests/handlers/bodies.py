"""Bodies and threads for tests of what users import."""

from collections.abc import Awaitable, Callable
from io import BytesIO
from typing import Any, BinaryIO

from smtpgw.model.address import Mailbox, ReversePath
from smtpgw.model.envelope import Client, Envelope, Recipient, TlsFacts
from smtpgw.model.message import Message

RECEIVED_AT = 1_790_000_000.0
TLS = TlsFacts("TLSv1.3", "TLS_AES_256_GCM_SHA384")


class MemoryBody:
    """Content in memory; with ``is_large`` it pretends to be on disk."""

    def __init__(self, content: bytes, *, is_large: bool = False) -> None:
        self._content = content
        self._is_large = is_large
        self.opened: list[BytesIO] = []

    @property
    def size_octets(self) -> int:
        """Its length."""
        return len(self._content)

    def inline(self) -> bytes | None:
        """Unless it is large."""
        return None if self._is_large else self._content

    def open(self) -> BinaryIO:
        """A stream that can be seen to be closed."""
        stream = BytesIO(self._content)
        self.opened.append(stream)
        return stream


class CountedThreads:
    """Runs what it is given at once, and counts."""

    def __init__(self) -> None:
        self.runs = 0

    def run(self, function: Callable[..., Any], *arguments: Any) -> Awaitable[Any]:
        """See the class."""
        self.runs += 1

        async def result() -> Any:
            return function(*arguments)

        return result()


def message_for(*local_parts: str, size: int, reverse_path: ReversePath = Mailbox("a", "a.example")) -> Message:  # noqa: B008
    """A message for recipients of one domain."""
    recipients = tuple(Recipient(Mailbox(local, "ours.example")) for local in local_parts)
    client = Client("192.0.2.1", "client.example", "ESMTPS", TLS, name="host.example")
    return Message(
        900_000_000_000_000_000, Envelope(reverse_path, recipients), client, RECEIVED_AT, b"Received: x\r\n", size
    )
