"""
The life of a queued message: the only place that changes an entry.

A slot is QUEUED or HELD until it is DONE, and done is for ever: its last outcome is then the final one, and whatever is
reported later of that recipient is ignored. Nothing here waits, reads a clock or writes: each function takes an entry
and says in a :class:`Step` what it is now and what must be settled in one transaction.

Expiry: a recipient whose trouble is transient fails once ``expires_at`` has passed. The status stays the ``4.x.x`` of
the last trouble: that is what RFC 3463 section 2 calls a persistent transient failure. Without any trouble known it is
``4.4.7``, delivery time expired (section 3.5). The last attempt falls on ``expires_at``, not a whole wait before. What
its sender wants back when it is late (BY, mode R: :func:`smtpgw.delivery.promises.returns_at`) fails with ``5.4.7``,
and is not tried at that time any more.

Who wants to hear of what is asked here (:mod:`smtpgw.delivery.promises`), so that a step names only those that the
sender must be told of.
"""

from collections.abc import Sequence
from random import Random

from msgspec import Struct, structs

from smtpgw.boundaries.spool import Change, Remove, Update
from smtpgw.delivery.promises import (
    TAKES_OVER,
    TOO_LATE,
    NextHop,
    hears_delay,
    hears_failure,
    hears_success,
    is_late,
    release_at,
    returns_at,
    warns_at,
)
from smtpgw.delivery.retry import RetrySchedule
from smtpgw.model.message import Entry, Slot, SlotState
from smtpgw.model.outcome import Delayed, Delivered, Failed, Outcome, Relayed, Scope

_DONE = SlotState.DONE
_QUEUED = SlotState.QUEUED
_HELD = SlotState.HELD

_TOO_MANY = "4.5.3"
"""Too many recipients (RFC 3463 section 3.6)."""


class LifeRules(Struct, frozen=True):
    """
    How long and how often.

    :ivar expire_seconds: how long transient trouble is borne, from the end of data.
    :ivar warn_seconds: after how long the sender is told of a delay; ``None`` for never.
    """

    schedule: RetrySchedule
    expire_seconds: float = 5 * 86400.0
    warn_seconds: float | None = 4 * 3600.0


class Step(Struct, frozen=True):
    """
    What an event made of an entry.

    :ivar entry: as it is now.
    :ivar changes: for ``Spool.settle``, in the same call as the notifications that ``failed`` and ``warned`` ask for.
    :ivar failed: slots that have just failed and that the sender must be told of
        (:func:`smtpgw.delivery.notify.failure_notice`).
    :ivar succeeded: likewise of slots that have just been relayed or delivered
        (:func:`smtpgw.delivery.notify.success_notice`).
    :ivar delayed: slots that are queued again by this step, each with its new due time.
    :ivar warned: slots whose delay the sender must be told of now (:func:`smtpgw.delivery.notify.delay_notice`): all
        that are queued and want it, since it is said once a message; the entry is marked already.
    :ivar finished: every recipient is done, the message leaves the spool.
    :ivar is_success: some recipient was relayed or delivered: if this were lost, it would get the message twice.
    """

    entry: Entry
    changes: tuple[Change, ...] = ()
    failed: tuple[int, ...] = ()
    delayed: tuple[int, ...] = ()
    warned: tuple[int, ...] = ()
    finished: bool = False
    succeeded: tuple[int, ...] = ()
    is_success: bool = False

    @property
    def is_news(self) -> bool:
        """Whether there is anything to tell the sender."""
        return bool(self.failed or self.succeeded or self.warned)


def apply(
    entry: Entry,
    slots: Sequence[int],
    outcomes: Sequence[Outcome],
    now: float,
    rules: LifeRules,
    random: Random,
    next_hop: NextHop = TAKES_OVER,
) -> Step:
    """
    The results of an attempt, or what an operator decided in its place.

    Relayed, delivered and failed are final. Delayed goes back to the queue with one attempt more, due by the schedule
    or when the outcome says. Delayed with scope HOST was no attempt of the recipient: it keeps its count and is due at
    once; when the host is tried again is the scheduler's matter. A recipient that was held meanwhile stays held.

    :param slots: indexes of the recipients that were tried.
    :param outcomes: one for each of them, in their order.
    :param next_hop: what the host does further for those that were relayed.
    :raises ValueError: when there are not as many outcomes as slots.
    """
    if len(entry.slots) == 1 == len(slots) == len(outcomes):
        # Nearly every message ends here.
        outcome = outcomes[0]
        if isinstance(outcome, (Relayed, Delivered)):
            slot = entry.slots[slots[0]]
            if slot.state is not _DONE:
                message = entry.message
                envelope = message.envelope
                asks = envelope.recipients[0].notify is not None or envelope.parameters.deliver_by is not None
                done = (Slot(_DONE, now, slot.attempts + 1, outcome),)
                return Step(
                    Entry(message, done, entry.expires_at, entry.warned),
                    (Remove(message.queue_id),),
                    finished=True,
                    succeeded=(0,) if asks and hears_success(envelope, 0, outcome, next_hop) else (),
                    is_success=True,
                )
    if len(slots) != len(outcomes):
        raise ValueError("one outcome for each slot")
    changed: dict[int, Slot] = {}
    dues = _Dues(
        rules.schedule,
        now,
        random,
        any(isinstance(outcome, Relayed) for outcome in outcomes),
        _returns_late(entry),
    )
    for index, outcome in zip(slots, outcomes, strict=True):
        slot = changed.get(index) or entry.slots[index]
        if slot.state is not _DONE:
            changed[index] = _after(slot, outcome, entry.expires_at, dues)
    return _step(entry, changed, now, rules, next_hop)


def expire(entry: Entry, slots: Sequence[int], now: float, trouble: Delayed | None, rules: LifeRules) -> Step:
    """
    Recipients that have waited without an attempt until something is due about them (see :func:`attention_at`).

    Those whose time is up fail; otherwise the sender is told of the delay, once. Nothing is counted as an attempt. Held
    recipients do not expire.

    :param trouble: why they waited; kept as their last outcome. ``None`` keeps what is known from before.
    """
    changed: dict[int, Slot] = {}
    is_over = now >= entry.expires_at or is_late(entry.message, now)
    for index in slots:
        slot = entry.slots[index]
        if slot.state is not _QUEUED:
            continue
        last = slot.last if trouble is None else trouble
        if is_over:
            changed[index] = Slot(_DONE, now, slot.attempts, _expired(last, wanted_back=_returns_late(entry)))
        else:
            changed[index] = Slot(_QUEUED, now, slot.attempts, last)
    return _step(entry, changed, now, rules)


def hold(entry: Entry, slots: Sequence[int]) -> Step:
    """An operator puts queued recipients aside: they are not tried and do not expire until released."""
    return _moved(entry, slots, _QUEUED, _HELD, None)


def release(entry: Entry, slots: Sequence[int], now: float) -> Step:
    """
    Held recipients go back to the queue, due now. Those whose time was up meanwhile get one more attempt.

    What its sender wants kept back (HOLDFOR, HOLDUNTIL) still waits for that.
    """
    return _moved(entry, slots, _HELD, _QUEUED, max(now, min(release_at(entry.message), entry.expires_at)))


def retry_now(entry: Entry, slots: Sequence[int], now: float) -> Step:
    """Queued recipients are due now. Held ones stay held."""
    return _moved(entry, slots, _QUEUED, _QUEUED, now)


def drop(entry: Entry, slots: Sequence[int], now: float) -> Step:
    """
    An operator removes recipients: nobody is told, and so ``failed`` stays empty.

    What is known of an attempt that is under way for them is ignored when it comes.
    """
    dropped = Failed("5.7.0", "removed by the postmaster")
    changed = {
        index: Slot(_DONE, now, entry.slots[index].attempts, dropped)
        for index in slots
        if entry.slots[index].state is not _DONE
    }
    return _settled(entry, changed)


def attention_at(entry: Entry, rules: LifeRules) -> float:
    """Unix time when :func:`expire` should be called for a recipient, if it waits that long without an attempt."""
    warn_at = None if entry.warned else warns_at(entry.message, rules.warn_seconds)
    return entry.expires_at if warn_at is None else min(entry.expires_at, warn_at)


def likely_attention_at(expires_at: float, is_warned: bool, rules: LifeRules) -> float:
    """
    Likewise, of an entry that is not at hand; too early does no harm, the entry is then looked at.

    :param expires_at: of the entry.
    :param is_warned: its ``warned``.
    """
    if is_warned or rules.warn_seconds is None:
        return expires_at
    return min(expires_at, expires_at - rules.expire_seconds + rules.warn_seconds)


class _Dues:
    """
    When the recipients of one attempt are due again.

    Those with as many attempts get the same time, so that they stay together in one transaction.

    :ivar is_some_relayed: the host has taken the message for some of them.
    :ivar is_wanted_back: by the sender, when its time is up.
    """

    __slots__ = ("_drawn", "_random", "_schedule", "is_some_relayed", "is_wanted_back", "now")

    def __init__(
        self, schedule: RetrySchedule, now: float, random: Random, is_some_relayed: bool, is_wanted_back: bool
    ) -> None:
        self.now = now
        self.is_some_relayed = is_some_relayed
        self.is_wanted_back = is_wanted_back
        self._schedule = schedule
        self._random = random
        self._drawn: dict[int, float] = {}

    def after(self, attempts: int) -> float:
        """Unix time."""
        due_at = self._drawn.get(attempts)
        if due_at is None:
            due_at = self._drawn[attempts] = self._schedule.after(attempts, self.now, self._random)
        return due_at


def _after(slot: Slot, outcome: Outcome, expires_at: float, dues: _Dues) -> Slot:
    """A slot that is not done, after an outcome."""
    now = dues.now
    match outcome:
        case Relayed() | Delivered() | Failed():
            return Slot(_DONE, now, slot.attempts + 1, outcome)
        case Delayed():
            # One recipient too many for a transaction that went through: the next one may begin at once, and it was no
            # attempt of this one (RFC 5321 section 4.5.3.1.10). Without a reply the host was not even asked, because it
            # had named its limit (RFC 9422): then there is progress whatever became of the others.
            is_left_over = outcome.status == _TOO_MANY and (
                dues.is_some_relayed or (outcome.reply is None and bool(outcome.host))
            )
            attempts = slot.attempts + (outcome.scope is not Scope.HOST and not is_left_over)
            if now >= expires_at and slot.state is _QUEUED:
                return Slot(_DONE, now, attempts, _expired(outcome, wanted_back=dues.is_wanted_back))
            wait = outcome.retry_after_seconds
            if wait is not None and wait >= 0:  # which a NaN is not
                due_at = now + wait
            elif outcome.scope is Scope.HOST or is_left_over:
                due_at = now
            else:
                due_at = dues.after(attempts)
            return Slot(slot.state, min(due_at, expires_at), attempts, outcome)


def _expired(last: Outcome | None, *, wanted_back: bool) -> Failed:
    """:param wanted_back: by its sender, at this time: that is why, whatever the last trouble was."""
    if isinstance(last, Delayed):
        status = TOO_LATE.status if wanted_back else last.status
        return Failed(status, last.reason, last.scope, last.reply, last.host, last.address, expired=True)
    if wanted_back:
        return TOO_LATE
    return Failed("4.4.7", "delivery time expired", Scope.MESSAGE, expired=True)


def _returns_late(entry: Entry) -> bool:
    """Whether its expiry is the time at which the sender wants it back."""
    return_at = returns_at(entry.message)
    return return_at is not None and return_at <= entry.expires_at


def _moved(entry: Entry, slots: Sequence[int], before: SlotState, after: SlotState, due_at: float | None) -> Step:
    changed = {}
    for index in slots:
        slot = entry.slots[index]
        if slot.state is before:
            changed[index] = Slot(after, slot.due_at if due_at is None else due_at, slot.attempts, slot.last)
    return _settled(entry, changed, delayed=tuple(changed) if after is _QUEUED else ())


def _step(entry: Entry, changed: dict[int, Slot], now: float, rules: LifeRules, next_hop: NextHop = TAKES_OVER) -> Step:
    envelope = entry.message.envelope
    failed = []
    delayed = []
    succeeded = []
    is_success = False
    for index, slot in changed.items():
        last = slot.last
        if slot.state is _QUEUED:
            delayed.append(index)
        elif isinstance(last, Failed):
            if hears_failure(envelope.recipients[index]):
                failed.append(index)
        elif slot.state is _DONE and last is not None:
            is_success = True
            if hears_success(envelope, index, last, next_hop):
                succeeded.append(index)
    is_warning = False
    if delayed and not entry.warned:
        warn_at = warns_at(entry.message, rules.warn_seconds)
        is_warning = warn_at is not None and now >= warn_at
    step = _settled(entry, changed, tuple(failed), tuple(delayed), is_warning=is_warning)
    return structs.replace(step, succeeded=tuple(succeeded), is_success=True) if is_success else step


def _settled(
    entry: Entry,
    changed: dict[int, Slot],
    failed: tuple[int, ...] = (),
    delayed: tuple[int, ...] = (),
    *,
    is_warning: bool = False,
) -> Step:
    if not changed:
        return Step(entry, finished=all(slot.state is _DONE for slot in entry.slots))
    slots = list(entry.slots)
    for index, slot in changed.items():
        slots[index] = slot
    entry = Entry(entry.message, tuple(slots), entry.expires_at, entry.warned or is_warning)
    queue_id = entry.message.queue_id
    if all(slot.state is _DONE for slot in slots):
        return Step(entry, (Remove(queue_id),), failed, finished=True)
    update = Update(queue_id, tuple(changed.items()), True if is_warning else None)
    recipients = entry.message.envelope.recipients
    warned = (
        tuple(i for i, slot in enumerate(slots) if slot.state is _QUEUED and hears_delay(recipients[i]))
        if is_warning
        else ()
    )
    return Step(entry, (update,), failed, delayed, warned)
