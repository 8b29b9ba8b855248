"""Our delivery behind Twisted's own interfaces: what a stock ``twisted.mail.smtp`` server asks of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.mail.smtp import Address, IMessage, SMTPBadRcpt, SMTPBadSender, SMTPServerError, User
from zope.interface import implementer

from smtpgw.boundaries.reception import Intake
from smtpgw.model.address import Mailbox
from smtpgw.model.envelope import Client, Envelope, MailFrom, Recipient
from smtpgw.model.reply import Reply
from smtpgw.model.verdict import Refuse, Verdict


class _Transactions(Protocol):
    def mail(self, client: Client, mail: MailFrom) -> Verdict | Awaitable[Verdict]: ...

    def rcpt(self, client: Client, mail: MailFrom, recipient: Recipient) -> Verdict | Awaitable[Verdict]: ...

    def begin(self, client: Client, envelope: Envelope, resume: Callable[[], None]) -> Intake | Refuse: ...


class StockDelivery:
    """The methods of ``IMessageDelivery``, on top of ``Reception``."""

    def receivedHeader(self, helo: tuple[bytes, bytes], origin: Address, recipients: list[User]) -> bytes:
        """Empty: the trace header is made when the message is kept, and goes before whatever the server adds."""
        return b""

    async def validateFrom(self: _Transactions, helo: tuple[bytes, bytes], origin: Address) -> Address:
        """:raises SMTPBadSender: with our reply's code and text."""
        verdict = self.mail(_client(helo), MailFrom(_mailbox(origin)))
        if isinstance(verdict, Awaitable):
            verdict = await verdict
        if isinstance(verdict, Refuse):
            raise SMTPBadSender(origin, verdict.reply.code, _text(verdict.reply))
        return origin

    async def validateTo(self: _Transactions, user: User) -> Callable[[], IMessage]:
        """:raises SMTPBadRcpt: with our reply's code and text."""
        client, mail = _client(user.helo), MailFrom(_mailbox(user.orig))
        mailbox = _mailbox(user.dest)
        if mailbox is None:
            raise SMTPBadRcpt(user, 501, "5.1.3 A recipient is needed")
        recipient = Recipient(mailbox)
        verdict = self.rcpt(client, mail, recipient)
        if isinstance(verdict, Awaitable):
            verdict = await verdict
        if isinstance(verdict, Refuse):
            raise SMTPBadRcpt(user, verdict.reply.code, _text(verdict.reply))
        envelope = Envelope(mail.reverse_path, (recipient,))
        return lambda: _StockMessage(self.begin(client, envelope, lambda: None))


@implementer(IMessage)
class _StockMessage:
    """One recipient's copy, as a stock server hands it over: line by line."""

    def __init__(self, intake: Intake | Refuse) -> None:
        self._intake = intake

    def lineReceived(self, line: bytes) -> None:
        """A line without its end."""
        if not isinstance(self._intake, Refuse):
            self._intake.write(line.replace(b"\r", b"").replace(b"\n", b"") + b"\r\n")

    def eomReceived(self) -> Deferred[None]:
        """Fires when the message is kept, or fails with our reply."""
        waiting: Deferred[None] = Deferred()
        if isinstance(self._intake, Refuse):
            self._answer(self._intake.reply, waiting)
        else:
            self._intake.finish(lambda answer: self._answer(answer, waiting))
        return waiting

    @staticmethod
    def _answer(answer: Reply, waiting: Deferred[None]) -> None:
        if answer.is_positive:
            waiting.callback(None)
        else:
            waiting.errback(SMTPServerError(answer.code, _text(answer)))

    def connectionLost(self) -> None:
        """The message was not finished."""
        if not isinstance(self._intake, Refuse):
            self._intake.abandon()


def _client(helo: tuple[bytes, bytes]) -> Client:
    name, address = helo
    return Client(_word(address), _word(name), "ESMTP")


def _word(word: bytes | str | None) -> str:
    return word.decode("ascii", "replace") if isinstance(word, bytes) else (word or "")


def _mailbox(address: Address) -> Mailbox | None:
    if not address.local and not address.domain:
        return None
    return Mailbox(_word(address.local), _word(address.domain).lower())


def _text(answer: Reply) -> str:
    return f"{answer.status} {answer.lines[0]}".strip()
