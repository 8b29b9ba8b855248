"""Notices for tests of the log."""

from smtpgw.model.address import Mailbox
from smtpgw.model.envelope import Client, Envelope, Recipient, TlsFacts
from smtpgw.model.message import Entry, Message, Slot, SlotState
from smtpgw.model.notice import Attempted
from smtpgw.model.outcome import Outcome

QUEUE_ID = 987654321 << 22
CLIENT = Client("192.0.2.7", "client.example", "ESMTPS", TlsFacts("TLSv1.3", "C"), None, None, "tcp:25", "s1")


def entry(*recipients: str, state: SlotState = SlotState.QUEUED, client: Client = CLIENT, null: bool = False) -> Entry:
    envelope = Envelope(
        None if null else Mailbox("alice", "a.example"),
        tuple(Recipient(Mailbox(*name.split("@"))) for name in recipients or ("bob@b.example",)),
    )
    message = Message(QUEUE_ID, envelope, client, 1000.0, b"Received: x\r\n", 4096)
    return Entry(message, tuple(Slot(state, 1300.0, 2) for _ in envelope.recipients), 9000.0)


def attempted(outcome: Outcome, **options: object) -> Attempted:
    return Attempted(entry(**options), 0, outcome, "mx.b.example", (0.0104, 1.5, 0.25, 0.1))  # type: ignore[arg-type]
