"""A resolver that answers from a dict."""

from collections.abc import Iterable, Mapping

from smtpgw.model.dns import Answer, AnswerStatus, Record, RecordType

ZoneEntry = Iterable[Record] | AnswerStatus | Answer
"""Records, a status without records, or a whole answer."""

Zone = Mapping[tuple[str, RecordType], ZoneEntry]


class MemoryResolver:
    """
    Implements :class:`smtpgw.boundaries.world.Resolver` over a dict.

    ::

        MemoryResolver({("example.com", RecordType.MX): [MxRecord(10, "mx.example.com")]})

    A name with any entry exists: other types of it are ``NO_DATA``. All other names are ``NO_NAME``.

    :ivar zone: may be changed at any time.
    :ivar questions: what was asked for, in order.
    """

    def __init__(self, zone: Zone | None = None, *, expires_at: float = 4e9, authenticated: bool = False) -> None:
        """
        :param expires_at: of every answer that does not bring its own; far away.
        :param authenticated: likewise.
        """
        self.zone: dict[tuple[str, RecordType], ZoneEntry] = dict(zone or {})
        self.questions: list[tuple[str, RecordType]] = []
        self._expires_at = expires_at
        self._authenticated = authenticated

    async def lookup(self, name: str, record_type: RecordType) -> Answer:
        """What the dict says."""
        name = name.lower().removesuffix(".")
        self.questions.append((name, record_type))
        entry = self.zone.get((name, record_type))
        match entry:
            case Answer():
                return entry
            case AnswerStatus.TEMPORARY:
                return Answer(entry, detail="the zone says so")
            case AnswerStatus():
                return Answer(entry, (), self._expires_at, self._authenticated)
            case None:
                exists = any(known == name for known, _ in self.zone)
                status = AnswerStatus.NO_DATA if exists else AnswerStatus.NO_NAME
                return Answer(status, (), self._expires_at, self._authenticated)
            case _:
                return Answer(AnswerStatus.FOUND, tuple(entry), self._expires_at, self._authenticated)
