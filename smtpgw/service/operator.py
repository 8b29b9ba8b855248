"""What the command may ask of a running gateway: the verbs behind the control socket."""

from __future__ import annotations

import base64
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from typing import Any, TypeVar

from msgspec.structs import replace
from twisted.internet.defer import Deferred

from smtpgw.boundaries.spool import SpoolTrouble
from smtpgw.boundaries.world import Threads
from smtpgw.delivery import lifecycle
from smtpgw.delivery.items import ItemState
from smtpgw.delivery.lifecycle import Step
from smtpgw.model.envelope import BodyType, Client, Envelope, MailFrom, Recipient
from smtpgw.model.message import Entry
from smtpgw.model.notice import Dropped, Held
from smtpgw.model.queue_id import parse_queue_id
from smtpgw.model.reply import Reply
from smtpgw.model.verdict import Refuse
from smtpgw.service.conclusion import Conclusion
from smtpgw.service.control_protocol import ControlTrouble
from smtpgw.service.dispatch import Dispatch
from smtpgw.service.live import LiveEntry
from smtpgw.service.reception import Counter, ListenerReception
from smtpgw.service.tally import Tally
from smtpgw.smtp import replies
from smtpgw.smtp.grammar import parse_mailbox
from smtpgw.spool.query import QueueReader, Selector
from smtpgw.spool.sqlite import SqliteSpool

T = TypeVar("T")
Arguments = Mapping[str, Any]
Verb = Callable[[dict[str, Any]], Any]

_PAGE = 1000
_SHOWN_OCTETS = 512 * 1024
"""Of a body that is shown."""

_LINE_END = re.compile(rb"\r\n|\r|\n")


class Operator:
    """Answers the verbs. What they mean stands in the manual."""

    def __init__(
        self,
        *,
        spool: SqliteSpool,
        dispatch: Dispatch,
        conclusion: Conclusion,
        counter: Counter,
        reception: ListenerReception,
        threads: Threads,
        tally: Tally,
    ) -> None:
        """:param reception: judges what is handed in with ``send``."""
        self._spool = spool
        self._dispatch = dispatch
        self._conclusion = conclusion
        self._counter = counter
        self._reception = reception
        self._threads = threads
        self._tally = tally
        self._started_at = counter.clock.time()

    def verbs(self) -> dict[str, Verb]:
        """By name."""
        return {
            "queue.list": self._list,
            "queue.summary": self._summary,
            "queue.show": self._show,
            "queue.hold": lambda arguments: self._change(arguments, self._hold),
            "queue.release": lambda arguments: self._change(arguments, self._release),
            "queue.retry": lambda arguments: self._change(arguments, self._retry, urge=True),
            "queue.drop": lambda arguments: self._change(arguments, self._drop),
            "send": self._send,
            "stats": self._stats,
        }

    # --- Looking ---

    async def _ask(self, question: Callable[[QueueReader], T]) -> T:
        waiting: Deferred[T | SpoolTrouble] = Deferred()
        self._spool.ask(question, waiting.callback)
        answer = await waiting
        if isinstance(answer, SpoolTrouble):
            raise ControlTrouble(f"the spool can't be read: {answer.cause}", "temporary")
        return answer

    async def _list(self, arguments: Arguments) -> list[dict[str, Any]]:
        chosen = selector(arguments.get("selector"))
        after = arguments.get("after")
        limit = arguments.get("limit", 100)
        after_id = _queue_id(after) if after is not None else None
        if not isinstance(limit, int):
            raise ControlTrouble("limit is a number", "usage")
        found: list[dict[str, Any]] = []
        async for message in self._matching(chosen, after_id, max(1, min(limit, _PAGE))):
            found.append(message)
            if len(found) >= limit:
                break
        return found

    async def _matching(
        self, chosen: Selector, after: int | None = None, page_size: int = _PAGE
    ) -> AsyncIterator[dict[str, Any]]:
        """
        The messages that a selector means, in order, page by page.

        A reason is looked for here: what recipients wait for, while nothing was tried, is known to the scheduler only.
        """
        reason = (chosen.reason or "").lower()
        if reason:
            chosen, page_size = replace(chosen, reason=None), _PAGE
        while True:
            last = after
            page = await self._ask(lambda reader, last=last: reader.list(chosen, last, page_size))  # type: ignore[misc]
            for message in page:
                self._add_plans(message)
                if reason:
                    message["recipients"] = [
                        recipient
                        for recipient in message["recipients"]
                        if reason in (recipient["reason"] or "").lower()
                    ]
                    message["matching"] = len(message["recipients"])
                if message["recipients"]:
                    yield message
            if len(page) < page_size:
                return
            after = parse_queue_id(page[-1]["id"])

    async def _summary(self, arguments: Arguments) -> dict[str, Any]:
        summary = await self._ask(lambda reader: reader.summary())
        return {**summary, "paused": self._dispatch.agenda.links.paused}

    async def _show(self, arguments: Arguments) -> dict[str, Any] | None:
        queue_id = _queue_id(arguments.get("id"))
        shown = await self._ask(lambda reader: reader.show(queue_id))
        if shown is None:
            return None
        self._add_plans(shown)
        if arguments.get("body"):
            shown["content"] = await self._content(queue_id)
        return shown

    async def _content(self, queue_id: int) -> str | None:
        live = await self._use(queue_id)
        if live is None:
            return None
        try:
            beginning: bytes = await self._threads.run(_beginning, live.body)
        finally:
            self._dispatch.live.release(live)
        return (live.entry.message.trace + beginning).decode("utf-8", "replace")

    def _add_plans(self, message: dict[str, Any]) -> None:
        """What the scheduler knows of recipients that wait: why, and until when."""
        agenda = self._dispatch.agenda
        items = {slot: item for item in agenda.items(parse_queue_id(message["id"])) for slot in item.slots}
        for recipient in message["recipients"]:
            item = items.get(recipient["slot"])
            recipient["active"] = item is not None and item.state is ItemState.ASSIGNED
            if item is None:
                continue
            trouble = agenda.why(item)
            if trouble is not None:
                recipient["reason"] = str(trouble.reply) if trouble.reply else trouble.reason
            recipient["due_at"] = agenda.next_try(item)

    def _stats(self, arguments: Arguments) -> dict[str, Any]:
        return {
            "started_at": self._started_at,
            **self._tally.snapshot(),
            "paused": self._dispatch.agenda.links.paused,
            "queue_messages": self._spool.messages,
            "messages_in_memory": len(self._dispatch.live),
            "outgoing_connections": self._dispatch.agenda.open_links,
        }

    # --- Changing ---

    async def _change(
        self, arguments: Arguments, change: Callable[[Entry, tuple[int, ...]], Step], *, urge: bool = False
    ) -> dict[str, int]:
        chosen = selector(arguments.get("selector"))
        is_dry = bool(arguments.get("dry_run"))
        recipients = messages = 0
        async for message in self._matching(chosen):
            slots = tuple(recipient["slot"] for recipient in message["recipients"])
            changed = len(slots)
            if not is_dry:
                changed = await self._change_one(parse_queue_id(message["id"]), slots, change, urge=urge)
            recipients += changed
            messages += changed > 0
        return {"count": recipients, "messages": messages}

    async def _change_one(
        self, queue_id: int, slots: tuple[int, ...], change: Callable[[Entry, tuple[int, ...]], Step], *, urge: bool
    ) -> int:
        """:returns: how many recipients it has changed."""
        live = await self._use(queue_id)
        if live is None:
            return 0
        before = live.entry.slots
        step = change(live.entry, slots)
        changed = sum(step.entry.slots[slot] is not before[slot] for slot in slots)
        if not step.changes:
            self._dispatch.live.release(live)
            return 0
        listed = self._unlist(queue_id)
        waiting: Deferred[None] = Deferred()

        def settled(live: LiveEntry, again: tuple[int, ...]) -> None:
            in_flight = {s for item in self._dispatch.agenda.items(queue_id) for s in item.slots}
            self._dispatch.list_entry(live.entry, tuple(sorted({*listed, *again} - in_flight)))
            if urge:
                self._urge(queue_id)
            self._dispatch.live.release(live)
            self._dispatch.act()
            waiting.callback(None)

        self._conclusion.take(live, step, settled)
        await waiting
        return changed

    def _unlist(self, queue_id: int) -> set[int]:
        """Take a message off the agenda, but for what is on a link or in a sink."""
        agenda = self._dispatch.agenda
        slots: set[int] = set()
        for item in agenda.items(queue_id):
            if item.state is not ItemState.ASSIGNED:
                slots.update(item.slots)
                agenda.remove(item)
        return slots

    def _urge(self, queue_id: int) -> None:
        agenda = self._dispatch.agenda
        now = self._counter.clock.time()
        for item in agenda.items(queue_id):
            agenda.urge(now, item)

    def _hold(self, entry: Entry, slots: tuple[int, ...]) -> Step:
        step = lifecycle.hold(entry, slots)
        held = tuple(slot for slot in slots if step.entry.slots[slot] is not entry.slots[slot])
        if held:
            self._counter.publish(Held(step.entry, held, "put aside by an operator"))
        return step

    def _release(self, entry: Entry, slots: tuple[int, ...]) -> Step:
        return lifecycle.release(entry, slots, self._counter.clock.time())

    def _retry(self, entry: Entry, slots: tuple[int, ...]) -> Step:
        return lifecycle.retry_now(entry, slots, self._counter.clock.time())

    def _drop(self, entry: Entry, slots: tuple[int, ...]) -> Step:
        self._counter.publish(Dropped(entry))
        return lifecycle.drop(entry, slots, self._counter.clock.time())

    async def _use(self, queue_id: int) -> LiveEntry | None:
        waiting: Deferred[LiveEntry | SpoolTrouble | None] = Deferred()
        self._dispatch.live.use(queue_id, waiting.callback)
        live = await waiting
        if isinstance(live, SpoolTrouble):
            raise ControlTrouble(f"the spool can't be read: {live.cause}", "temporary")
        return live

    # --- Sending ---

    async def _send(self, arguments: Arguments) -> dict[str, Any]:
        """Hand in a message, as sendmail does: checked like any other, but for who may relay."""
        mail, recipients, content = _submission(arguments)
        client = Client("", helo="", protocol="LOCAL", identity=None)
        verdict = self._reception.mail(client, mail)
        if isinstance(verdict, Awaitable):
            verdict = await verdict
        if isinstance(verdict, Refuse):
            raise _refusal(verdict.reply)
        accepted: list[Recipient] = []
        refused: list[dict[str, str]] = []
        for recipient in recipients:
            verdict = self._reception.rcpt(client, mail, recipient)
            if isinstance(verdict, Awaitable):
                verdict = await verdict
            if isinstance(verdict, Refuse):
                refused.append({"to": str(recipient.mailbox), "reply": str(verdict.reply)})
                if len(refused) == len(recipients):
                    raise _refusal(verdict.reply)
            else:
                accepted.append(recipient)
        envelope = Envelope(mail.reverse_path, tuple(accepted), mail.body, mail.smtputf8)
        intake = self._reception.begin(client, envelope, lambda: None)
        if isinstance(intake, Refuse):
            raise _refusal(intake.reply)
        intake.write(content)
        waiting: Deferred[Reply] = Deferred()
        intake.finish(waiting.callback)
        answer = await waiting
        if not answer.is_positive:
            raise _refusal(answer)
        return {"id": answer.lines[0].rpartition(" ")[2], "reply": str(answer), "refused": refused}


def selector(given: object) -> Selector:
    """:raises ControlTrouble: when it can't be understood."""
    if given is None:
        return Selector()
    if not isinstance(given, dict):
        raise ControlTrouble("a selector is an object", "usage")
    try:
        ids = tuple(parse_queue_id(text) for text in given.get("ids") or ())
        older = given.get("older_than_seconds")
        if given.get("state") not in (None, "queued", "held"):
            raise ValueError("the state is queued or held")
        return Selector(
            ids=ids,
            reverse_path=given.get("reverse_path"),
            recipient=given.get("recipient"),
            site=given.get("site"),
            state=given.get("state"),
            older_than_seconds=float(older) if older is not None else None,
            reason=given.get("reason"),
        )
    except (ValueError, TypeError, AttributeError) as error:
        raise ControlTrouble(str(error), "usage") from error


def _queue_id(text: object) -> int:
    try:
        return parse_queue_id(str(text))
    except ValueError as error:
        raise ControlTrouble(str(error), "usage") from error


def _submission(arguments: Arguments) -> tuple[MailFrom, list[Recipient], bytes]:
    try:
        path = str(arguments.get("from") or "")
        reverse_path = parse_mailbox(path) if path not in ("", "<>") else None
        to: Iterable[Any] = arguments["to"]
        recipients = [Recipient(parse_mailbox(str(text))) for text in to]
        content = base64.b64decode(arguments["content"], validate=True)
    except (KeyError, TypeError, ValueError) as error:
        raise ControlTrouble(f"not a message: {error}", "usage") from error
    if not recipients:
        raise ControlTrouble("no recipient", "usage")
    if b"\x00" in content:
        raise _refusal(replies.NUL_IN_CONTENT)
    content = _LINE_END.sub(b"\r\n", content)
    if content and not content.endswith(b"\r\n"):
        content += b"\r\n"
    body = BodyType.SEVEN_BIT if content.isascii() else BodyType.EIGHT_BIT
    is_ascii = (reverse_path is None or reverse_path.is_ascii) and all(r.mailbox.is_ascii for r in recipients)
    return MailFrom(reverse_path, len(content), body, smtputf8=not is_ascii), recipients, content


def _refusal(answer: Reply) -> ControlTrouble:
    return ControlTrouble(str(answer), "temporary" if answer.is_transient else "refused")


def _beginning(body: Any) -> bytes:
    with body.open() as stream:
        beginning: bytes = stream.read(_SHOWN_OCTETS)
        return beginning
