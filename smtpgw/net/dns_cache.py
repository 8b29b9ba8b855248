"""
Answers that may be used again (RFC 1035 section 7.4, RFC 2308). Pure: the time comes in.

Bounded in entries, the one used longest ago goes first. An answer past its time is never given out, and a temporary
failure never kept.
"""

from collections import OrderedDict

from smtpgw.model.dns import Answer, AnswerStatus, RecordType

DnsKey = tuple[str, RecordType]
"""Name in lower case without trailing dot, and type."""

_LONGEST_POSITIVE_SECONDS = 86_400.0
"""A day: whoever moves a mail host waits no longer for us, whatever the TTL says."""

_LONGEST_NEGATIVE_SECONDS = 3_600.0
"""An hour: a domain that was just registered, or repaired, is found soon (RFC 2308 section 5 suggests one to three)."""


def kept_seconds(status: AnswerStatus, ttl_seconds: float) -> float:
    """How long an answer may be used."""
    if status is AnswerStatus.TEMPORARY:
        return 0.0
    longest = _LONGEST_POSITIVE_SECONDS if status is AnswerStatus.FOUND else _LONGEST_NEGATIVE_SECONDS
    return min(max(0.0, ttl_seconds), longest)


class DnsCache:
    """Answers by question, until they expire."""

    def __init__(self, max_entries: int = 20_000) -> None:
        """:param max_entries: at least 1."""
        self._max_entries = max_entries
        self._answers: OrderedDict[DnsKey, Answer] = OrderedDict()

    def __len__(self) -> int:
        return len(self._answers)

    def get(self, key: DnsKey, now: float) -> Answer | None:
        """The answer, if it may still be used."""
        answer = self._answers.get(key)
        if answer is None:
            return None
        # A clock that was set back must not make an answer live longer than any could.
        if not now < answer.expires_at <= now + _LONGEST_POSITIVE_SECONDS:
            del self._answers[key]
            return None
        self._answers.move_to_end(key)
        return answer

    def put(self, key: DnsKey, answer: Answer, now: float) -> None:
        """Keep an answer until its ``expires_at``."""
        if answer.status is AnswerStatus.TEMPORARY or answer.expires_at <= now:
            self._answers.pop(key, None)
            return
        self._answers[key] = answer
        self._answers.move_to_end(key)
        if len(self._answers) > self._max_entries:
            self._answers.popitem(last=False)

    def clear(self) -> None:
        """Forget everything."""
        self._answers.clear()
