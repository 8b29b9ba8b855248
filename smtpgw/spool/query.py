"""
Questions about the queue, for the command and the console: what is in it, and which messages a selector means.

The answers are plain dicts, ready for JSON: queue ids as text, times as Unix times, addresses as kept, which is to say
that whoever shows them escapes them. Only recipients that are not done are counted and listed; ``show`` gives all.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from smtpgw.boundaries.world import Clock
from smtpgw.delivery.promises import deliver_by_at, release_at
from smtpgw.model.address import path_text
from smtpgw.model.envelope import TlsFacts
from smtpgw.model.message import Message, SlotState
from smtpgw.model.outcome import Outcome, Scope
from smtpgw.model.queue_id import queue_id_text
from smtpgw.model.reply import Reply
from smtpgw.spool import records
from smtpgw.spool.errors import SpoolUnusable
from smtpgw.spool.folder import DATABASE, FolderLock
from smtpgw.spool.schema import check_version, connect_reader
from smtpgw.spool.trouble import of_database

_MOST_MESSAGES = 1000
"""Of one page."""

_MOST_RECIPIENTS = 1000
"""Shown of one message; ``matching`` says how many there are."""

_MOST_SITES = 1000
_MOST_CHARACTERS = 1000
_MOST_IDS = 10_000

_STATES = {"queued": int(SlotState.QUEUED), "held": int(SlotState.HELD)}
_STATE_NAMES = {0: "queued", 1: "held", 2: "done"}
_NULL_PATH = "<>"


class Selector(Struct, frozen=True, kw_only=True):
    """
    Which recipients of which messages: those that meet every condition. Without any, all.

    Patterns are of the whole address; ``*`` and ``?`` stand for any characters and any one; ASCII letters match in
    either case.

    :ivar ids: queue ids, as numbers; empty for all.
    :ivar reverse_path: pattern; ``<>`` is the null path.
    :ivar recipient: pattern.
    :ivar site: pattern of the recipient's domain.
    :ivar state: ``queued`` or ``held``.
    :ivar older_than_seconds: received at least so long ago.
    :ivar reason: part of the last reason, or of the peer's words.
    """

    ids: tuple[int, ...] = ()
    reverse_path: str | None = None
    recipient: str | None = None
    site: str | None = None
    state: str | None = None
    older_than_seconds: float | None = None
    reason: str | None = None


class QueueReader:
    """Answers from a connection that can read. Blocks."""

    def __init__(self, connection: sqlite3.Connection, clock: Clock) -> None:
        self._connection = connection
        self._clock = clock

    def list(self, selector: Selector, after: int | None = None, limit: int = 100) -> list[dict[str, Any]]:
        """
        One page of messages, in order of the queue id, each with the recipients that the selector means.

        :param after: the last queue id of the page before.
        :param limit: most messages, at most 1000.
        :raises ValueError: when the selector can't be understood.
        """
        where, values = self._where(selector)
        ids = self._connection.execute(
            f"SELECT message, count(*) FROM delivery WHERE {where} AND message>? GROUP BY message"  # noqa: S608 no text of others
            " ORDER BY message LIMIT ?",
            (*values, 0 if after is None else after, max(1, min(limit, _MOST_MESSAGES))),
        ).fetchall()
        return [self._listed(queue_id, matching, where, values) for queue_id, matching in ids]

    def summary(self) -> dict[str, Any]:
        """
        Counts: ``messages``, ``recipients``, ``by_state``, and ``by_site``, the 1000 largest first.

        ``oldest`` is the time of reception of the oldest message there.
        """
        (messages,) = self._connection.execute(
            "SELECT count(*) FROM (SELECT DISTINCT message FROM delivery WHERE state<2)"
        ).fetchone()
        by_state = dict.fromkeys(_STATES, 0)
        for state, count in self._connection.execute(
            "SELECT state, count(*) FROM delivery WHERE state<2 GROUP BY state"
        ):
            by_state[_STATE_NAMES[state]] = count
        sites = self._connection.execute(
            "SELECT domain, count(*), sum(state=0), sum(state=1), min(received_at) FROM delivery WHERE state<2"
            " GROUP BY domain ORDER BY 2 DESC, 1 LIMIT ?",
            (_MOST_SITES,),
        )
        return {
            "messages": messages,
            "recipients": sum(by_state.values()),
            "by_state": by_state,
            "by_site": [
                {"site": site, "recipients": recipients, "queued": queued, "held": held, "oldest": oldest}
                for site, recipients, queued, held, oldest in sites
            ],
        }

    def show(self, queue_id: int) -> dict[str, Any] | None:
        """
        All that is kept of a message but its content; ``None`` when it isn't there.

        :raises msgspec.DecodeError: when its row is damaged.
        """
        row = self._connection.execute(
            "SELECT record, size_octets, body_file FROM message WHERE id=?", (queue_id,)
        ).fetchone()
        if row is None:
            return None
        record, size_octets, body_file = row
        message = records.message_of(record)
        client = message.client
        envelope = message.envelope
        deliveries = self._connection.execute(
            "SELECT slot, recipient, domain, state, attempts, due_at, reason, last, expires_at, warned FROM delivery"
            " WHERE message=? ORDER BY slot",
            (queue_id,),
        ).fetchall()
        recipients = []
        now = self._clock.time()
        for delivery, asked in zip(deliveries, envelope.recipients, strict=False):
            shown = _recipient(delivery[:7], now)
            shown["last"] = None if delivery[7] is None else _outcome(records.outcome_of(delivery[7]))
            shown["notify"] = None if asked.notify is None else asked.notify.words
            shown["original"] = asked.original or None
            recipients.append(shown)
        return {
            "id": queue_id_text(queue_id),
            "from": path_text(envelope.reverse_path),
            "received_at": message.received_at,
            "expires_at": deliveries[0][8] if deliveries else None,
            "warned": bool(deliveries[0][9]) if deliveries else False,
            "size_octets": size_octets,
            "body_file": body_file,
            "body": envelope.body.value,
            "smtputf8": envelope.smtputf8,
            **_asked_for(message),
            "trace": message.trace.decode("utf-8", "replace"),
            "client": {
                **{name: value for name, value in msgspec.structs.asdict(client).items() if name != "notes"},
                "tls": None if client.tls is None else msgspec.structs.asdict(client.tls),
            },
            "recipients": recipients,
        }

    def _listed(self, queue_id: int, matching: int, where: str, values: tuple[Any, ...]) -> dict[str, Any]:
        deliveries = self._connection.execute(
            "SELECT slot, recipient, domain, state, attempts, due_at, reason, reverse_path, received_at, expires_at,"  # noqa: S608 as above
            f" warned FROM delivery WHERE {where} AND message=? ORDER BY slot LIMIT ?",
            (*values, queue_id, _MOST_RECIPIENTS),
        ).fetchall()
        row = self._connection.execute("SELECT size_octets FROM message WHERE id=?", (queue_id,)).fetchone()
        _, _, _, _, _, _, _, reverse_path, received_at, expires_at, warned = deliveries[0]
        return {
            "id": queue_id_text(queue_id),
            "from": reverse_path,
            "received_at": received_at,
            "expires_at": expires_at,
            "warned": bool(warned),
            "size_octets": row[0] if row else None,
            "matching": matching,
            "recipients": [_recipient(delivery[:7], self._clock.time()) for delivery in deliveries],
        }

    def _where(self, selector: Selector) -> tuple[str, tuple[Any, ...]]:
        """Conditions, written here only, and the values that fill them."""
        conditions = ["state<2"]
        values: list[Any] = []
        if selector.ids:
            if len(selector.ids) > _MOST_IDS:
                raise ValueError(f"at most {_MOST_IDS} ids")
            conditions.append(f"message IN ({','.join('?' * len(selector.ids))})")
            values.extend(selector.ids)
        if selector.reverse_path == _NULL_PATH:
            conditions.append("reverse_path=''")
        else:
            _like(conditions, values, "reverse_path", selector.reverse_path)
        _like(conditions, values, "recipient", selector.recipient)
        _like(conditions, values, "domain", selector.site)
        if selector.state is not None:
            if selector.state not in _STATES:
                raise ValueError(f"the state is one of {', '.join(_STATES)}")
            conditions.append("state=?")
            values.append(_STATES[selector.state])
        if selector.older_than_seconds is not None:
            conditions.append("received_at<=?")
            values.append(self._clock.time() - selector.older_than_seconds)
        if selector.reason is not None:
            conditions.append("reason LIKE ? ESCAPE '\\'")
            values.append(f"%{_literal(selector.reason)}%")
        return " AND ".join(conditions), tuple(values)


@contextmanager
def open_reader(folder: Path, clock: Clock) -> Iterator[QueueReader]:
    """
    Read the spool of a gateway that is stopped, from another process.

    A gateway can't start meanwhile, as the lock is shared with readers only. So nobody writes, and SQLite's index of
    the WAL, which a reader has to build when a crash has left a WAL, is not touched by two at once.

    :raises SpoolLocked: when a gateway has it: ask that through its socket.
    :raises SpoolUnusable: when there is no spool, or it can't be read.
    """
    path = folder / DATABASE
    if not path.exists():
        raise SpoolUnusable(f"there is no spool in {folder}")
    lock = FolderLock(folder, shared=True)
    try:
        try:
            connection = connect_reader(path)
            try:
                check_version(connection)
                connection.execute("BEGIN")
                yield QueueReader(connection, clock)
            finally:
                connection.close()
        except sqlite3.Error as error:
            raise SpoolUnusable(f"the spool {folder} can't be read: {of_database(error).cause}") from error
    finally:
        lock.release()


def _recipient(delivery: records.Row, now: float) -> dict[str, Any]:
    slot, recipient, site, state, attempts, due_at, reason = delivery
    if not (reason or attempts) and state == int(SlotState.QUEUED) and due_at > now:
        # Nothing was tried, and nothing will be: only its sender can have wanted that (HOLDFOR, HOLDUNTIL).
        until = datetime.fromtimestamp(due_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        reason = f"held back until {until}, as its sender asked"
    elif not reason and state == int(SlotState.HELD):
        # A filter always has a reason.
        reason = "put aside by an operator"
    return {
        "slot": slot,
        "to": recipient,
        "site": site,
        "state": _STATE_NAMES[state],
        "attempts": attempts,
        "due_at": due_at,
        "reason": reason,
    }


def _asked_for(message: Message) -> dict[str, Any]:
    """What its sender has asked for, as the parameters of MAIL; ``None`` where it has not."""
    parameters = message.envelope.parameters
    deliver_by = parameters.deliver_by
    is_held_back = parameters.hold_seconds or parameters.hold_until
    return {
        "envelope_id": parameters.envelope_id or None,
        "returned": None if parameters.returned is None else parameters.returned.value,
        "requires_tls": parameters.requires_tls,
        "deliver_by": None if deliver_by is None else {"value": deliver_by.text, "at": deliver_by_at(message)},
        "release_at": release_at(message) if is_held_back else None,
    }


def _outcome(outcome: Outcome) -> dict[str, Any]:
    """The fields of an outcome, and its kind as ``type``; a reply as it stands in a log."""
    shown: dict[str, Any] = {"type": outcome.__struct_config__.tag}
    for name, value in msgspec.structs.asdict(outcome).items():
        match value:
            case Reply():
                shown[name] = str(value)
            case TlsFacts():
                shown[name] = msgspec.structs.asdict(value)
            case Scope():
                shown[name] = value.value
            case _:
                shown[name] = value
    return shown


def _like(conditions: list[str], values: list[Any], column: str, pattern: str | None) -> None:
    if pattern is None:
        return
    conditions.append(f"{column} LIKE ? ESCAPE '\\'")
    values.append(_literal(pattern).replace("*", "%").replace("?", "_"))


def _literal(text: str) -> str:
    if len(text) > _MOST_CHARACTERS:
        raise ValueError(f"a pattern has at most {_MOST_CHARACTERS} characters")
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
