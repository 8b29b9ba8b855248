"""
Entries as rows and back.

The ``record`` of a message and the ``last`` outcome of a delivery are MessagePack of the structs of
:mod:`smtpgw.model`. The other columns of ``delivery`` repeat what is selected and listed by.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import DecodeError, msgpack

from smtpgw.boundaries.spool import Update, Waiting
from smtpgw.model.address import Mailbox, path_text
from smtpgw.model.message import Entry, Message, Slot, SlotState
from smtpgw.model.outcome import Delayed, Failed, Outcome

INSERT_MESSAGE = "INSERT INTO message(id, size_octets, body_file, record, content) VALUES(?,?,?,?,?)"
INSERT_DELIVERY = "INSERT INTO delivery VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?)"
UPDATE_DELIVERY = "UPDATE delivery SET state=?, due_at=?, attempts=?, reason=?, last=? WHERE message=? AND slot=?"
UPDATE_WARNED = "UPDATE delivery SET warned=? WHERE message=?"
DELETE_MESSAGE = "DELETE FROM message WHERE id=?"
DELETE_DELIVERY = "DELETE FROM delivery WHERE message=?"
SELECT_WAITING = (
    "SELECT message, slot, domain, reverse_path, state, due_at, attempts, expires_at, warned"
    " FROM delivery WHERE state<2 ORDER BY message, slot"
)
SELECT_DELIVERIES = (
    "SELECT state, due_at, attempts, expires_at, warned, last FROM delivery WHERE message=? ORDER BY slot"
)

_REASON_CHARACTERS = 500
"""Of the ``reason`` column, which is for listing: the whole stands in ``last``."""

_encode = msgpack.Encoder().encode
_message = msgpack.Decoder(Message)
_outcome: msgpack.Decoder[Outcome] = msgpack.Decoder(Outcome)

Row = tuple[Any, ...]


def message_row(entry: Entry, size_octets: int, body_file: str | None, content: bytes | None) -> Row:
    """For ``INSERT_MESSAGE``."""
    return (entry.message.queue_id, size_octets, body_file, _encode(entry.message), content)


def delivery_rows(entry: Entry) -> list[Row]:
    """
    For ``INSERT_DELIVERY``.

    :raises ValueError: when there is not exactly one slot for each recipient, and at least one.
    """
    message = entry.message
    envelope = message.envelope
    if not entry.slots:
        raise ValueError("an entry needs a recipient")
    common = (entry.expires_at, int(entry.warned), message.received_at, path_text(envelope.reverse_path))
    rows: list[Row] = []
    for number, (slot, recipient) in enumerate(zip(entry.slots, envelope.recipients, strict=True)):
        mailbox = recipient.mailbox
        last = slot.last
        rows.append(
            (
                message.queue_id,
                number,
                int(slot.state),
                slot.due_at,
                slot.attempts,
                *common,
                str(mailbox),
                mailbox.domain,
                _reason(last) if last else "",
                _encode(last) if last else None,
            )
        )
    return rows


def update_rows(update: Update) -> list[Row]:
    """For ``UPDATE_DELIVERY``."""
    return [
        (
            int(slot.state),
            slot.due_at,
            slot.attempts,
            _reason(slot.last) if slot.last else "",
            _encode(slot.last) if slot.last else None,
            update.queue_id,
            number,
        )
        for number, slot in update.slots
    ]


def entry_of(record: bytes, rows: Sequence[Row]) -> Entry:
    """
    The entry again.

    :param rows: of ``SELECT_DELIVERIES``.
    :raises msgspec.DecodeError: when the rows do not make sense.
    """
    message = _message.decode(record)
    if not rows or len(rows) != len(message.envelope.recipients):
        raise DecodeError("the number of deliveries is not that of the recipients")
    try:
        slots = tuple(
            Slot(SlotState(state), due_at, attempts, None if last is None else _outcome.decode(last))
            for state, due_at, attempts, _, _, last in rows
        )
    except ValueError as error:
        raise DecodeError(str(error)) from error
    return Entry(message, slots, rows[0][3], bool(rows[0][4]))


def outcome_of(last: bytes) -> Outcome:
    """:raises msgspec.DecodeError: when it is none."""
    return _outcome.decode(last)


def message_of(record: bytes) -> Message:
    """:raises msgspec.DecodeError: when it is none."""
    return _message.decode(record)


def waiting_of(rows: Iterator[Row]) -> Iterator[Waiting]:
    """:param rows: of ``SELECT_WAITING``."""
    states = {int(state): state for state in SlotState}
    for queue_id, slot, domain, reverse_path, state, due_at, attempts, expires_at, warned in rows:
        yield Waiting(
            queue_id,
            slot,
            domain,
            # No domain holds an @, but a quoted local part may.
            reverse_path.rpartition("@")[2],
            states[state],
            due_at,
            attempts,
            expires_at,
            bool(warned),
        )


def waiting_in(entry: Entry) -> Iterator[Waiting]:
    """The same from an entry in memory."""
    message = entry.message
    reverse_path: Mailbox | None = message.envelope.reverse_path
    for number, (slot, recipient) in enumerate(zip(entry.slots, message.envelope.recipients, strict=True)):
        if slot.state is not SlotState.DONE:
            yield Waiting(
                message.queue_id,
                number,
                recipient.mailbox.domain,
                "" if reverse_path is None else reverse_path.domain,
                slot.state,
                slot.due_at,
                slot.attempts,
                entry.expires_at,
                entry.warned,
            )


def _reason(outcome: Outcome) -> str:
    """What ``--reason`` looks into: our reason, and the peer's words."""
    if not isinstance(outcome, Delayed | Failed):
        return ""
    text = outcome.reason if outcome.reply is None else f"{outcome.reason}: {outcome.reply}"
    return f"{outcome.status} {text}"[:_REASON_CHARACTERS]
