"""
Milters: programs that are asked about each step of a transaction, and may change a message once it is whole.

A milter hears of a client at its first MAIL, over a connection that lasts as long as the client's. RSET is not told by
itself: the next MAIL forgets what was before. Content is told at the end of data, when it is whole and in the spool's
hands: so a slow client holds no milter up, what it never finishes costs nothing, and each milter reads what those
before it have made of the message. If the connection was lost meanwhile, the envelope is told again on a new one.

While a milter can't be asked, the answer is 451, or none at all, as configured; changes of one that fails in the middle
are never made.
"""

from collections.abc import Awaitable

from smtpgw.boundaries.filters import (
    ChangeField,
    Content,
    Discard,
    Edits,
    FieldEdit,
    Filtered,
    FilterLost,
    InsertField,
    OpenLink,
    Passed,
)
from smtpgw.milter import codec
from smtpgw.milter.answers import Answer, PathEdit, QuarantineEdit, Refused, Ruling
from smtpgw.milter.dialogue import Dialogue
from smtpgw.model.address import Mailbox, ReversePath
from smtpgw.model.envelope import Client, Envelope, MailFrom, Notify, Recipient
from smtpgw.model.reply import reply
from smtpgw.model.verdict import ACCEPT, Accept, Refuse, Verdict
from smtpgw.smtp.grammar import parse_mailbox

_DOWN = reply(451, "4.7.1", "Not now, try again later")
_UNASKED = "milter: not asked"

_MOST_VISITS = 1000
"""Connections to one milter at a time. Beyond it, it counts as one that can't be reached."""

_FULL = "too many connections to it"


class _Visit:
    """
    What one milter knows of one connection of a client.

    :ivar told: whom it was told to be; a new HELO, or TLS, is worth a new connection.
    :ivar of_client: its word about the client, if that ends the matter.
    :ivar of_message: likewise about the message under way.
    :ivar is_unasked: the message goes on without it.
    :ivar is_busy: there may be a transaction; otherwise its connection can be spared.
    """

    __slots__ = ("dialogue", "is_busy", "is_over", "is_unasked", "of_client", "of_message", "told")

    def __init__(self) -> None:
        self.dialogue: Dialogue | None = None
        self.is_busy = False
        self.is_over = False
        self.is_unasked = False
        self.of_client: Answer | None = None
        self.of_message: Answer | None = None
        self.told: tuple[object, ...] = ()

    def close(self) -> None:
        """Hang up."""
        dialogue, self.dialogue = self.dialogue, None
        if dialogue is not None:
            dialogue.close()


class Milter:
    """One milter: a check of MAIL and RCPT, to be asked after all others, and a filter of content."""

    name = "milter"

    def __init__(
        self,
        open_link: OpenLink,
        *,
        hostname: str,
        timeout_seconds: float,
        accepts_when_down: bool,
        most_body_octets: int,
        most_visits: int = _MOST_VISITS,
        address: str = "",
    ) -> None:
        """
        :param hostname: ours, for the macro ``j``.
        :param timeout_seconds: for each answer; five times that for the one to the end of the message.
        :param accepts_when_down: mail goes on without it; otherwise it is answered 451.
        :param most_body_octets: of a body that the milter makes.
        :param address: for the log, which may have to tell it from others.
        """
        self._address = address
        self._open_link = open_link
        self._hostname = hostname
        self._timeout_seconds = timeout_seconds
        self._accepts_when_down = accepts_when_down
        self._most_body_octets = most_body_octets
        self._most_visits = most_visits
        self._visits: dict[str, _Visit] = {}
        self._passing = 0

    # --- Checks ---

    def check_mail(self, client: Client, mail: MailFrom) -> Verdict | Awaitable[Verdict]:
        """MAIL. Of a client without a session the milter hears once, with the content."""
        return self._mail(client, mail) if client.session_id else ACCEPT

    def check_rcpt(self, client: Client, mail: MailFrom, recipient: Recipient) -> Verdict | Awaitable[Verdict]:
        """RCPT."""
        visit = self._visits.get(client.session_id)
        if visit is None or visit.is_unasked or visit.of_client is not None or visit.of_message is not None:
            return ACCEPT
        return self._rcpt(visit, recipient)

    def leave(self, client: Client) -> None:
        """See ``ContentFilter.leave``."""
        visit = self._visits.pop(client.session_id, None)
        if visit is not None:
            visit.is_over = True
            visit.close()

    async def _mail(self, client: Client, mail: MailFrom) -> Verdict:
        visit = self._visits.get(client.session_id)
        if visit is None:
            if self._is_full():
                return self._down(_FULL)
            visit = self._visits[client.session_id] = _Visit()
        visit.is_busy = True
        visit.is_unasked = False
        visit.of_message = None
        try:
            answer = await self._begin(visit, client, mail)
        except FilterLost as lost:
            verdict: Verdict = self._lost(visit, lost)
        else:
            verdict = self._verdict(visit, answer)
        visit.is_busy = isinstance(verdict, Accept)
        return verdict

    def _is_full(self) -> bool:
        """There is no connection to be had, those included that last for one message alone."""
        return len(self._visits) + self._passing >= self._most_visits and not self._make_room()

    def _make_room(self) -> bool:
        """Hang up for a client that is between two messages, as those that keep connections for later are."""
        spare = next((session for session, visit in self._visits.items() if not visit.is_busy), None)
        if spare is None:
            return False
        self._visits.pop(spare).close()
        return True

    async def _rcpt(self, visit: _Visit, recipient: Recipient) -> Verdict:
        dialogue = visit.dialogue
        try:
            if dialogue is None or not dialogue.has_envelope:
                raise FilterLost("its connection is gone")
            answer = await dialogue.rcpt(recipient)
        except FilterLost as lost:
            return self._lost(visit, lost)
        return self._verdict(visit, answer)

    def _verdict(self, visit: _Visit, answer: Answer) -> Verdict:
        if isinstance(answer, Refused):
            return Refuse(answer.reply, self.name, self._address)
        if answer is not Ruling.CONTINUE and visit.of_client is None:
            visit.of_message = answer
        return ACCEPT

    def _lost(self, visit: _Visit, lost: FilterLost) -> Verdict:
        visit.close()
        visit.is_unasked = self._accepts_when_down
        return self._down(str(lost))

    def _down(self, cause: str) -> Accept | Refuse:
        if self._address and not cause.startswith(self._address):
            cause = f"{self._address}: {cause}"
        if self._accepts_when_down:
            return Accept((f"{_UNASKED}: {_printable(cause)}",))
        return Refuse(_DOWN, self.name, cause)

    def _passed_by(self, cause: str) -> Passed | Refuse:
        verdict = self._down(cause)
        return verdict if isinstance(verdict, Refuse) else Passed(notes=verdict.notes)

    # --- The dialogue up to the content ---

    async def _begin(self, visit: _Visit, client: Client, mail: MailFrom) -> Answer:
        told = (client.address, client.name, client.helo, client.tls)
        if visit.told != told:
            visit.close()
            visit.of_client = None
        if visit.of_client is not None:
            return visit.of_client
        if visit.dialogue is not None and visit.dialogue.is_open:
            try:
                return await visit.dialogue.mail(client, mail)
            except FilterLost:
                # It was idle for as long as the client was: that says nothing about a new connection.
                pass
        visit.close()
        link = await self._open_link()
        dialogue = Dialogue(
            link,
            hostname=self._hostname,
            timeout_seconds=self._timeout_seconds,
            most_body_octets=self._most_body_octets,
        )
        if visit.is_over:
            dialogue.close()
            raise FilterLost("the client is gone")
        visit.dialogue, visit.told = dialogue, told
        answer = await dialogue.greet(client)
        if answer is not Ruling.CONTINUE:
            visit.of_client = answer
            visit.close()
            return answer
        return await dialogue.mail(client, mail)

    async def _envelope(self, visit: _Visit, client: Client, envelope: Envelope) -> Answer:
        """All of it at once."""
        visit.of_message = None
        mail = MailFrom(envelope.reverse_path, None, envelope.body, envelope.smtputf8, envelope.parameters)
        answer = await self._begin(visit, client, mail)
        dialogue = visit.dialogue
        if answer is not Ruling.CONTINUE or dialogue is None:
            return answer
        for recipient in envelope.recipients:
            answer = await dialogue.rcpt(recipient)
            if answer is not Ruling.CONTINUE:
                break
        return answer

    # --- Content ---

    async def filter_content(self, client: Client, envelope: Envelope, queue_id: str, content: Content) -> Filtered:
        """See ``ContentFilter.filter_content``."""
        visit = self._visits.get(client.session_id)
        lasts = visit is not None
        if visit is None:
            if self._is_full():
                return self._passed_by(_FULL)
            visit = _Visit()
        if visit.is_unasked:
            visit.is_busy = False
            return Passed(notes=(_UNASKED,))
        is_done = False
        self._passing += not lasts
        try:
            filtered = await self._content(visit, client, envelope, queue_id, content)
            is_done = lasts
            return filtered
        except FilterLost as lost:
            return self._passed_by(str(lost))
        finally:
            self._passing -= not lasts
            # Whatever ended it in the middle, the milter forgets the message with its connection.
            if not is_done:
                visit.close()
            visit.is_busy = False

    async def _content(
        self, visit: _Visit, client: Client, envelope: Envelope, queue_id: str, content: Content
    ) -> Filtered:
        answer = visit.of_client or visit.of_message or Ruling.CONTINUE
        visit.of_message = None
        if answer is Ruling.CONTINUE:
            if visit.dialogue is None or not visit.dialogue.has_envelope:
                answer = await self._envelope(visit, client, envelope)
            dialogue = visit.dialogue
            if answer is Ruling.CONTINUE and dialogue is not None:
                answer = await dialogue.content(queue_id, content)
                if answer is Ruling.CONTINUE or answer is Ruling.ACCEPT:
                    return Passed(_edits(dialogue, envelope))
        if isinstance(answer, Refused):
            return Refuse(answer.reply, self.name, self._address)
        return Discard(self.name, self._address) if answer is Ruling.DISCARD else Passed()


def _edits(dialogue: Dialogue, envelope: Envelope) -> Edits:
    """:raises FilterLost: it wants something impossible."""
    session = dialogue.session
    fields: list[FieldEdit] = []
    added: list[Recipient] = []
    removed: list[Mailbox] = []
    reverse_path: tuple[ReversePath, ...] = ()
    quarantine: str | None = None
    for edit in session.edits:
        match edit:
            case InsertField() | ChangeField():
                fields.append(edit)
            case QuarantineEdit():
                quarantine = edit.reason or "no reason given"
            case PathEdit(command=codec.CHANGE_SENDER):
                bare = edit.path.strip(b" <>")
                reverse_path = (_mailbox(edit.path, envelope) if bare else None,)
            case PathEdit(command=codec.REMOVE_RECIPIENT):
                mailbox = _mailbox(edit.path, envelope)
                removed.append(mailbox)
                added = [recipient for recipient in added if recipient.mailbox != mailbox]
            case PathEdit():
                added.append(Recipient(_mailbox(edit.path, envelope), _notify(edit.parameters)))
    body = None if session.body is None else bytes(session.body)
    session.edits, session.body = [], None
    return Edits(tuple(fields), body, tuple(added), tuple(removed), reverse_path, quarantine)


def _mailbox(path: bytes, envelope: Envelope) -> Mailbox:
    try:
        return parse_mailbox(path.decode("utf-8"), envelope.smtputf8)
    except ValueError as trouble:
        raise FilterLost("it names an address that is none") from trouble


def _notify(parameters: bytes) -> Notify | None:
    """Of the parameters that a new recipient may have, the one that is of use here."""
    for parameter in parameters.upper().split():
        name, _, value = parameter.partition(b"=")
        if name == b"NOTIFY":
            words = value.split(b",")
            return Notify(success=b"SUCCESS" in words, failure=b"FAILURE" in words, delay=b"DELAY" in words)
    return None


def _printable(cause: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in cause)
