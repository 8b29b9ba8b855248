"""
What each notice says in the log: level, event and fields. The names are those of the contract (docs/manual/log.rst).

Texts of peers are passed on as they are, but cut to a bounded length; :mod:`smtpgw.log.format` escapes them.
"""

from collections.abc import Callable
from typing import Any

from smtpgw.model.address import path_text
from smtpgw.model.message import Entry, SlotState
from smtpgw.model.notice import Attempted, Connected, Dropped, Held, HostTrouble, Notice, Queued, Rejected
from smtpgw.model.outcome import Delayed, Delivered, Failed, Outcome, Relayed
from smtpgw.model.queue_id import queue_id_text
from smtpgw.model.reply import Reply

DEBUG, INFO, WARN, ERROR = range(4)
LEVEL_NAMES = ("debug", "info", "warn", "error")

Fields = dict[str, object]
Line = tuple[int, str, Fields]
"""Level, event, and the fields in the order in which they are written."""

_LONGEST_TEXT = 1000
"""Of one peer's text in a line: enough for any honest reply, and a flood of long ones stays small."""

_MOST_RECIPIENTS = 50
"""Named in one line; the rest is counted."""


def lines_of(notice: Notice) -> tuple[Line, ...]:
    """The lines that a notice makes: one, or two for an attempt."""
    return _LINES[type(notice)](notice)


def level_of(notice: Notice) -> int:
    """The level of its lines, without making them."""
    return WARN if type(notice) is HostTrouble else INFO


def cut(text: str, longest: int = _LONGEST_TEXT) -> str:
    """The text, or its beginning."""
    return text if len(text) <= longest else text[: longest - 3] + "..."


def _connected(notice: Connected) -> tuple[Line, ...]:
    client = notice.client
    fields: Fields = {"sid": client.session_id, "ip": client.address, "listener": client.listener}
    if client.name:
        fields["name"] = cut(client.name)
    return ((INFO, "smtp.connect", fields),)


def _rejected(notice: Rejected) -> tuple[Line, ...]:
    client = notice.client
    refuse = notice.refuse
    fields: Fields = {
        "sid": client.session_id,
        "ip": client.address,
        "stage": notice.stage,
        "subject": cut(notice.subject),
        "reply": _reply_text(refuse.reply),
        "check": refuse.check,
    }
    if client.helo:
        fields["helo"] = cut(client.helo)
    if refuse.cause:
        fields["cause"] = cut(refuse.cause)
    return ((INFO, "smtp.reject", fields),)


def _queued(notice: Queued) -> tuple[Line, ...]:
    message = notice.entry.message
    client = message.client
    envelope = message.envelope
    recipients = envelope.recipients
    fields: Fields = {
        "qid": queue_id_text(message.queue_id),
        "sid": client.session_id,
        "from": path_text(envelope.reverse_path),
        "to": [str(recipient.mailbox) for recipient in recipients[:_MOST_RECIPIENTS]],
        "recipients": len(recipients),
        "size": message.size_octets,
        "ip": client.address,
        "helo": cut(client.helo),
        "protocol": client.protocol,
    }
    if client.tls is not None:
        fields["tls"] = client.tls.version
    if client.identity is not None:
        fields["identity"] = cut(client.identity)
    if notice.notes:
        fields["notes"] = [cut(note) for note in notice.notes]
    return ((INFO, "msg.queued", fields),)


def _attempted(notice: Attempted) -> tuple[Line, ...]:
    entry = notice.entry
    message = entry.message
    outcome = notice.outcome
    qid = queue_id_text(message.queue_id)
    sid = message.client.session_id
    recipient = str(message.envelope.recipients[notice.slot].mailbox)
    before, queued, connecting, transmitting = notice.delays
    word, tls, reply, status, event, meaning = _FATES[type(outcome)](notice, outcome)
    host, address = ("", "") if isinstance(outcome, Delivered) else (outcome.host, outcome.address)
    result: Fields = {
        "qid": qid,
        "sid": sid,
        "recipient": recipient,
        "result": word,
        "site": notice.site,
        "mx": host,
        "ip": address,
        "tls": tls,
        "reply": reply,
        "status": status,
        "delays": [round(before, 3), round(queued, 3), round(connecting, 3), round(transmitting, 3)],
    }
    return (
        (INFO, "attempt.result", result),
        (INFO, event, {"qid": qid, "sid": sid, "recipient": recipient, **meaning}),
    )


_Fate = tuple[str, str | None, str | None, str, str, Fields]
"""Word, TLS version, reply, status, event and what the event says."""


def _relayed(_: Attempted, outcome: Relayed) -> _Fate:
    reply = _reply_text(outcome.reply)
    tls = None if outcome.tls is None else outcome.tls.version
    meaning: Fields = {"mx": outcome.host, "ip": outcome.address, "tls": tls, "reply": reply}
    return "relayed", tls, reply, outcome.reply.status or "2.0.0", "msg.relayed", meaning


def _delivered(_: Attempted, outcome: Delivered) -> _Fate:
    return "delivered", None, None, "2.0.0", "msg.delivered", {"by": cut(outcome.text)}


def _delayed(notice: Attempted, outcome: Delayed) -> _Fate:
    slot = notice.entry.slots[notice.slot]
    meaning: Fields = {
        "status": outcome.status,
        "reason": cut(outcome.reason),
        "scope": outcome.scope.value,
        "attempts": slot.attempts,
    }
    if slot.state is SlotState.QUEUED:
        meaning["next_at"] = round(slot.due_at, 3)
    return "delayed", None, _reply_or_none(outcome.reply), outcome.status, "msg.deferred", meaning


def _failed(notice: Attempted, outcome: Failed) -> _Fate:
    meaning: Fields = {
        "status": outcome.status,
        "reason": cut(outcome.reason),
        "expired": outcome.expired,
        "attempts": notice.entry.slots[notice.slot].attempts,
    }
    return "failed", None, _reply_or_none(outcome.reply), outcome.status, "msg.bounced", meaning


def _held(notice: Held) -> tuple[Line, ...]:
    recipients = notice.entry.message.envelope.recipients
    named = [str(recipients[slot].mailbox) for slot in notice.slots[:_MOST_RECIPIENTS]]
    fields = {**_ids(notice.entry), "to": named, "recipients": len(notice.slots), "reason": cut(notice.reason)}
    return ((INFO, "msg.held", fields),)


def _dropped(notice: Dropped) -> tuple[Line, ...]:
    envelope = notice.entry.message.envelope
    fields = {
        **_ids(notice.entry),
        "from": path_text(envelope.reverse_path),
        "recipients": len(envelope.recipients),
    }
    if notice.check:
        fields["check"] = notice.check
    if notice.cause:
        fields["cause"] = cut(notice.cause)
    return ((INFO, "msg.dropped", fields),)


def _host_trouble(notice: HostTrouble) -> tuple[Line, ...]:
    fields: Fields = {
        "site": notice.site,
        "mx": notice.host,
        "ip": notice.address,
        "stage": notice.stage,
        "reason": cut(notice.reason),
        "waiting": notice.waiting,
    }
    if notice.next_probe_at is not None:
        fields["next_at"] = round(notice.next_probe_at, 3)
    return ((WARN, "host.trouble", fields),)


def _ids(entry: Entry) -> Fields:
    return {"qid": queue_id_text(entry.message.queue_id), "sid": entry.message.client.session_id}


def _reply_text(reply: Reply) -> str:
    if len(reply.lines) == 1:
        return cut(
            f"{reply.code} {reply.status} {reply.lines[0]}" if reply.status else f"{reply.code} {reply.lines[0]}"
        )
    return cut(str(reply))


def _reply_or_none(reply: Reply | None) -> str | None:
    return None if reply is None else _reply_text(reply)


_FATES: dict[type[Outcome], Callable[[Attempted, Any], _Fate]] = {
    Relayed: _relayed,
    Delivered: _delivered,
    Delayed: _delayed,
    Failed: _failed,
}

_LINES: dict[type[Notice], Callable[[Any], tuple[Line, ...]]] = {
    Connected: _connected,
    Rejected: _rejected,
    Queued: _queued,
    Attempted: _attempted,
    Held: _held,
    Dropped: _dropped,
    HostTrouble: _host_trouble,
}
