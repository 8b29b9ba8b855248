"""Counters of what has happened since the start, for ``smtpgw stats``."""

from collections import Counter
from typing import Any

from smtpgw.model.message import Entry
from smtpgw.model.notice import Attempted, Connected, Dropped, Held, HostTrouble, Notice, Queued, Rejected
from smtpgw.model.outcome import Delayed, Delivered, Failed, Relayed

_OUTCOMES: dict[type, str] = {Relayed: "relayed", Delivered: "delivered", Delayed: "delayed", Failed: "failed"}


def _is_notification(entry: Entry) -> bool:
    """Whether we have made a message ourselves. What the command hands in is local, too, but names no host."""
    client = entry.message.client
    return client.protocol == "LOCAL" and bool(client.helo)


class Tally:
    """Counts notices."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._octets = 0

    def notice(self, notice: Notice) -> None:
        """One more."""
        counts = self._counts
        match notice:
            case Queued(entry=entry):
                if _is_notification(entry):
                    counts["notifications_made"] += 1
                else:
                    counts["messages_received"] += 1
                    self._octets += entry.message.size_octets
            case Attempted():
                counts[f"recipients_{_OUTCOMES[type(notice.outcome)]}"] += 1
            case Connected():
                counts["connections"] += 1
            case Rejected():
                counts["rejects"] += 1
                counts[f"rejects_{notice.stage}"] += 1
            case Held():
                counts["recipients_held"] += len(notice.slots)
            case Dropped():
                counts["messages_dropped"] += 1
            case HostTrouble():
                counts["host_troubles"] += 1

    def snapshot(self) -> dict[str, Any]:
        """All counters; those that have never counted are 0 where they are expected."""
        expected = ("connections", "messages_received", "notifications_made", "rejects", "host_troubles")
        outcomes = tuple(f"recipients_{name}" for name in _OUTCOMES.values())
        counts = {name: self._counts[name] for name in (*expected, *outcomes)}
        return {**counts, **dict(sorted(self._counts.items())), "octets_received": self._octets}
