"""
The life of a queued message: the only place that changes an entry.

A slot is QUEUED or HELD until it is DONE, and done is for ever: its last outcome is then the final one, and whatever is
reported later of that recipient is ignored. Nothing here waits, reads a clock or writes: each function takes an entry
and says in a :class:`Step` what it is now and what must be settled in one transaction.

Expiry: a recipient whose trouble is transient fails once ``expires_at`` has passed. The status stays the ``4.x.x`` of
the last trouble: that is what RFC 3463 section 2 calls a persistent transient failure. Without any trouble known it is
``4.4.7``, delivery time expired (section 3.5). The last attempt falls on ``expires_at``, not a whole wait before.
"""

from collections.abc import Sequence
from random import Random

from msgspec import Struct

from smtpgw.boundaries.spool import Change, Remove, Update
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
    :ivar failed: slots that have just failed: the sender must be told (:func:`smtpgw.delivery.notify.failure_notice`).
    :ivar delayed: slots that are queued again by this step, each with its new due time.
    :ivar warned: slots whose delay the sender must be told of now (:func:`smtpgw.delivery.notify.delay_notice`): all
        that are queued, since it is said once a message; the entry is marked already.
    :ivar finished: every recipient is done, the message leaves the spool.
    """

    entry: Entry
    changes: tuple[Change, ...] = ()
    failed: tuple[int, ...] = ()
    delayed: tuple[int, ...] = ()
    warned: tuple[int, ...] = ()
    finished: bool = False


def apply(
    entry: Entry, slots: Sequence[int], outcomes: Sequence[Outcome], now: float, rules: LifeRules, random: Random
) -> Step:
    """
    The results of an attempt, or what an operator decided in its place.

    Relayed, delivered and failed are final. Delayed goes back to the queue with one attempt more, due by the schedule
    or when the outcome says. Delayed with scope HOST was no attempt of the recipient: it keeps its count and is due at
    once; when the host is tried again is the scheduler's matter. A recipient that was held meanwhile stays held.

    :param slots: indexes of the recipients that were tried.
    :param outcomes: one for each of them, in their order.
    :raises ValueError: when there are not as many outcomes as slots.
    """
    if len(entry.slots) == 1 == len(slots) == len(outcomes):
        # Nearly every message ends here.
        outcome = outcomes[0]
        if isinstance(outcome, (Relayed, Delivered)):
            slot = entry.slots[slots[0]]
            if slot.state is not _DONE:
                message = entry.message
                done = (Slot(_DONE, now, slot.attempts + 1, outcome),)
                return Step(
                    Entry(message, done, entry.expires_at, entry.warned),
                    (Remove(message.queue_id),),
                    finished=True,
                )
    if len(slots) != len(outcomes):
        raise ValueError("one outcome for each slot")
    changed: dict[int, Slot] = {}
    dues = _Dues(rules.schedule, now, random, any(isinstance(outcome, Relayed) for outcome in outcomes))
    for index, outcome in zip(slots, outcomes, strict=True):
        slot = changed.get(index) or entry.slots[index]
        if slot.state is not _DONE:
            changed[index] = _after(slot, outcome, entry.expires_at, dues)
    return _step(entry, changed, now, rules)


def expire(entry: Entry, slots: Sequence[int], now: float, trouble: Delayed | None, rules: LifeRules) -> Step:
    """
    Recipients that have waited without an attempt until something is due about them (see :func:`attention_at`).

    Those whose time is up fail; otherwise the sender is told of the delay, once. Nothing is counted as an attempt. Held
    recipients do not expire.

    :param trouble: why they waited; kept as their last outcome. ``None`` keeps what is known from before.
    """
    changed: dict[int, Slot] = {}
    for index in slots:
        slot = entry.slots[index]
        if slot.state is not _QUEUED:
            continue
        last = slot.last if trouble is None else trouble
        if now >= entry.expires_at:
            changed[index] = Slot(_DONE, now, slot.attempts, _expired(last))
        else:
            changed[index] = Slot(_QUEUED, now, slot.attempts, last)
    return _step(entry, changed, now, rules)


def hold(entry: Entry, slots: Sequence[int]) -> Step:
    """An operator puts queued recipients aside: they are not tried and do not expire until released."""
    return _moved(entry, slots, _QUEUED, _HELD, None)


def release(entry: Entry, slots: Sequence[int], now: float) -> Step:
    """Held recipients go back to the queue, due now. Those whose time was up meanwhile get one more attempt."""
    return _moved(entry, slots, _HELD, _QUEUED, now)


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


def attention_at(expires_at: float, is_warned: bool, rules: LifeRules) -> float:
    """
    Unix time when :func:`expire` should be called for a recipient, if it waits that long without an attempt.

    :param expires_at: of its entry.
    :param is_warned: its entry's ``warned``.
    """
    if is_warned or rules.warn_seconds is None:
        return expires_at
    return min(expires_at, _warn_at(expires_at, rules.warn_seconds, rules))


def _warn_at(expires_at: float, warn_seconds: float, rules: LifeRules) -> float:
    # From the expiry, not from the time of receipt, which what waits in memory does not have.
    return expires_at - rules.expire_seconds + warn_seconds


class _Dues:
    """
    When the recipients of one attempt are due again.

    Those with as many attempts get the same time, so that they stay together in one transaction.

    :ivar is_some_relayed: the host has taken the message for some of them.
    """

    __slots__ = ("_drawn", "_random", "_schedule", "is_some_relayed", "now")

    def __init__(self, schedule: RetrySchedule, now: float, random: Random, is_some_relayed: bool) -> None:
        self.now = now
        self.is_some_relayed = is_some_relayed
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
            # attempt of this one (RFC 5321 section 4.5.3.1.10).
            is_left_over = dues.is_some_relayed and outcome.status == _TOO_MANY
            attempts = slot.attempts + (outcome.scope is not Scope.HOST and not is_left_over)
            if now >= expires_at and slot.state is _QUEUED:
                return Slot(_DONE, now, attempts, _expired(outcome))
            wait = outcome.retry_after_seconds
            if wait is not None and wait >= 0:  # which a NaN is not
                due_at = now + wait
            elif outcome.scope is Scope.HOST or is_left_over:
                due_at = now
            else:
                due_at = dues.after(attempts)
            return Slot(slot.state, min(due_at, expires_at), attempts, outcome)


def _expired(last: Outcome | None) -> Failed:
    if isinstance(last, Delayed):
        return Failed(last.status, last.reason, last.scope, last.reply, last.host, last.address, expired=True)
    return Failed("4.4.7", "delivery time expired", Scope.MESSAGE, expired=True)


def _moved(entry: Entry, slots: Sequence[int], before: SlotState, after: SlotState, due_at: float | None) -> Step:
    changed = {}
    for index in slots:
        slot = entry.slots[index]
        if slot.state is before:
            changed[index] = Slot(after, slot.due_at if due_at is None else due_at, slot.attempts, slot.last)
    return _settled(entry, changed, delayed=tuple(changed) if after is _QUEUED else ())


def _step(entry: Entry, changed: dict[int, Slot], now: float, rules: LifeRules) -> Step:
    failed = []
    delayed = []
    for index, slot in changed.items():
        if slot.state is _QUEUED:
            delayed.append(index)
        elif isinstance(slot.last, Failed):
            failed.append(index)
    is_warning = (
        bool(delayed)
        and not entry.warned
        and rules.warn_seconds is not None
        and now >= _warn_at(entry.expires_at, rules.warn_seconds, rules)
    )
    return _settled(entry, changed, tuple(failed), tuple(delayed), is_warning=is_warning)


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
    warned = tuple(index for index, slot in enumerate(slots) if slot.state is _QUEUED) if is_warning else ()
    return Step(entry, (update,), failed, delayed, warned)
