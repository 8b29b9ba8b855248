"""From the outcomes of an attempt to the changes of the spool: lifecycle, notifications, one settle for all of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from smtpgw.boundaries.spool import Body, Change, Insert
from smtpgw.boundaries.world import Clock, Publish, Threads
from smtpgw.delivery.lifecycle import LifeRules, Step, apply, attention_at, expire, likely_attention_at
from smtpgw.delivery.notify import delay_notice, failure_notice, returns_whole, success_notice
from smtpgw.delivery.promises import TAKES_OVER, NextHop
from smtpgw.handlers.message import header_section
from smtpgw.model.message import Entry, SlotState
from smtpgw.model.notice import Attempted, Queued
from smtpgw.model.outcome import Delayed, Outcome
from smtpgw.model.queue_id import QueueIds
from smtpgw.service.gathering import Batch, Done, Gathering
from smtpgw.service.live import LiveEntry
from smtpgw.service.settling import Settling
from smtpgw.spool.bodies import InlineBody

_log = Logger(namespace="smtpgw.delivery")

_HEADER_OCTETS = 64 * 1024
"""As much of a message's beginning as is looked at for a notification; more than the largest that is returned whole."""


class Conclusion:
    """Makes results durable, and tells senders what they must know."""

    def __init__(  # noqa: PLR0913 - what settling a result touches
        self,
        *,
        rules: LifeRules,
        settling: Settling,
        ids: QueueIds,
        clock: Clock,
        random: Random,
        threads: Threads,
        reactor: IReactorTime,
        hostname: str,
        publish: Publish,
    ) -> None:
        self._rules = rules
        self._settling = settling
        self._ids = ids
        self._clock = clock
        self._random = random
        self._threads = threads
        self._gathering = Gathering(reactor, self._tell)
        self._reading: dict[int, list[tuple[LiveEntry, Batch]]] = {}
        self._hostname = hostname
        self._publish = publish
        self.enqueue: Callable[[Entry, Body, float], None] = _nobody
        """Told of each notification once it is kept; set when the dispatch is there."""

    def attention_at(self, entry: Entry) -> float:
        """When something is due about an entry that was not tried."""
        return attention_at(entry, self._rules)

    def attention_of(self, expires_at: float, is_warned: bool) -> float:
        """Likewise, of an entry that is not in memory."""
        return likely_attention_at(expires_at, is_warned, self._rules)

    def conclude(
        self,
        live: LiveEntry,
        slots: tuple[int, ...],
        outcomes: Sequence[Outcome],
        site: str,
        seconds: tuple[float, float],
        done: Done,
        next_hop: NextHop = TAKES_OVER,
    ) -> None:
        """
        The results of an attempt.

        :param slots: the recipients that were tried.
        :param outcomes: one for each of them.
        :param seconds: connecting and transmitting.
        :param done: called once everything is durable, with the slots that are to be tried again.
        :param next_hop: what the host does further for those that it has taken.
        """
        now = self._clock.time()
        before = live.entry
        step = apply(before, slots, outcomes, now, self._rules, self._random, next_hop)
        in_queue = max(0.0, now - before.message.received_at - sum(seconds))
        delays = (live.before_seconds, in_queue, *seconds)
        for index, outcome in zip(slots, outcomes, strict=True):
            # What it came to: a delay may have been the last one that the entry had time for.
            final = step.entry.slots[index].last or outcome
            self._publish(Attempted(step.entry, index, final, site, delays))
        self.take(live, step, done)

    def attend(self, live: LiveEntry, slots: tuple[int, ...], trouble: Delayed | None, site: str, done: Done) -> None:
        """
        Recipients that have waited without an attempt until something is due about them.

        :param trouble: why they waited; ``None`` leaves what is known from the last attempt.
        """
        now = self._clock.time()
        before = live.entry.slots
        step = expire(live.entry, slots, now, trouble, self._rules)
        delays = (live.before_seconds, max(0.0, now - live.entry.message.received_at), 0.0, 0.0)
        for index in slots:
            slot = step.entry.slots[index]
            last = slot.last
            if slot.state is SlotState.DONE is not before[index].state and last is not None:
                self._publish(Attempted(step.entry, index, last, site, delays))
        self.take(live, step, done)

    def take(self, live: LiveEntry, step: Step, done: Done) -> None:
        """Make a step durable, with its notifications in the same transaction."""
        live.entry = step.entry
        message = step.entry.message
        if message.envelope.reverse_path is None or not (step.is_news or self._gathering.holds(message.queue_id)):
            self._tell(live, [(step, done)])
        else:
            self._gathering.add(live, step, done)

    def flush(self) -> None:
        """The gateway stops: keep nothing back."""
        self._gathering.flush()

    @property
    def is_reading(self) -> bool:
        """Whether a notification waits for the header of its message."""
        return bool(self._reading)

    def _tell(self, live: LiveEntry, batch: Batch) -> None:
        message = live.entry.message
        behind = self._reading.get(message.queue_id)
        if behind is not None:
            # Else the message could be removed before what has failed in it is told.
            behind.append((live, batch))
            return
        is_news = any(step.is_news for step, _ in batch)
        if not is_news or message.envelope.reverse_path is None:
            self._settle(live, batch, ())
            return
        inline = live.body.inline()
        if inline is not None:
            self._notify(live, batch, inline[:_HEADER_OCTETS])
            return
        self._reading[message.queue_id] = []
        reading = Deferred.fromCoroutine(self._beginning(live.body))
        reading.addCallback(lambda beginning: self._read(live, batch, beginning))

    def _read(self, live: LiveEntry, batch: Batch, beginning: bytes) -> None:
        self._notify(live, batch, beginning)
        for later, behind in self._reading.pop(live.entry.message.queue_id):
            self._tell(later, behind)

    async def _beginning(self, body: Body) -> bytes:
        try:
            return await self._threads.run(_read_beginning, body)
        except OSError:
            _log.failure("the header of a failed message can't be read; its sender is told without it")
            return b""

    def _notify(self, live: LiveEntry, batch: Batch, beginning: bytes) -> None:
        header = header_section(beginning)
        now = self._clock.time()
        entry, hostname, expires_at, random = live.entry, self._hostname, now + self._rules.expire_seconds, self._random
        failed = sorted(slot for step, _ in batch for slot in step.failed)
        succeeded = sorted(slot for step, _ in batch for slot in step.succeeded)
        told = {*failed, *succeeded}
        warned = sorted(slot for step, _ in batch for slot in step.warned if slot not in told)
        # What could not be read is not returned in part as if it were all of it.
        is_whole = returns_whole(entry.message) and len(beginning) == entry.message.size_octets
        whole = beginning if is_whole else None
        notices = []
        if failed:
            notice_id = self._ids.next(now)
            notices.append(
                failure_notice(entry, failed, now, hostname, notice_id, header, expires_at, random, whole=whole)
            )
        for notice, slots in ((delay_notice, warned), (success_notice, succeeded)):
            if slots:
                notices.append(notice(entry, slots, now, hostname, self._ids.next(now), header, expires_at, random))
        self._settle(live, batch, tuple(Insert(*made) for made in notices if made is not None))

    def _settle(self, live: LiveEntry, batch: Batch, inserts: tuple[Insert, ...]) -> None:
        changes: list[Change] = [change for step, _ in batch for change in step.changes]
        changes.extend(inserts)
        if changes:
            self._settling.settle(changes, lambda: self._settled(live, batch, inserts))
        else:
            self._settled(live, batch, inserts)

    def _settled(self, live: LiveEntry, batch: Batch, inserts: tuple[Insert, ...]) -> None:
        for insert in inserts:
            self._publish(Queued(insert.entry))
            self.enqueue(insert.entry, InlineBody(insert.content), 0.0)
        for step, done in batch:
            done(live, step.delayed)


def _nobody(entry: Entry, body: Body, before_seconds: float) -> None:
    raise RuntimeError("the gateway is not composed")


def _read_beginning(body: Body) -> bytes:
    with body.open() as stream:
        return stream.read(_HEADER_OCTETS)
