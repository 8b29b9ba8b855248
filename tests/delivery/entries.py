"""Entries for tests of the delivery room."""

from smtpgw.model.address import Mailbox
from smtpgw.model.envelope import Client, Envelope, Recipient
from smtpgw.model.message import Entry, Message, Slot, SlotState

RECEIVED_AT = 1_790_000_000.0
EXPIRES_AT = RECEIVED_AT + 5 * 86400
QUEUE_ID = 900_000_000_000_000_000

ALICE = Mailbox("alice", "a.example")


def entry_for(*mailboxes: Mailbox, reverse_path: Mailbox | None = ALICE) -> Entry:
    """A message that has just been queued."""
    message = Message(
        QUEUE_ID,
        Envelope(reverse_path, tuple(map(Recipient, mailboxes))),
        Client("192.0.2.1", "client.example", "ESMTP"),
        RECEIVED_AT,
        b"Received: from client.example\r\n",
        1000,
    )
    return Entry(message, tuple(Slot(SlotState.QUEUED, RECEIVED_AT) for _ in mailboxes), EXPIRES_AT)


def queued(recipients: int, reverse_path: Mailbox | None = ALICE) -> Entry:
    """Likewise, for so many recipients."""
    return entry_for(*(Mailbox(f"bob{n}", "b.example") for n in range(recipients)), reverse_path=reverse_path)
