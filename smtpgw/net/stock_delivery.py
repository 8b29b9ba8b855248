"""
Reception by a user's own stock ``IMessageDelivery`` (twisted.mail.smtp).

It asks what Twisted's own server asks, in the same words: ``validateFrom`` with the HELO name and the client's
address, ``validateTo`` with a ``User``, a callable for each recipient that makes an ``IMessage``, ``receivedHeader``,
then the content line by line and ``eomReceived``. What differs: ``SMTPServerError`` keeps its code and text at every
stage, anything else that is raised is 451, ``sys.exit()`` included, and ``connectionLost`` is called once on each
message that is not finished.
"""

from asyncio import CancelledError
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.logger import Logger
from twisted.mail.smtp import Address, SMTPBadSender, SMTPServerError, User, quoteaddr
from twisted.python.failure import Failure

from smtpgw.boundaries.reception import Intake
from smtpgw.model.address import Mailbox, ReversePath
from smtpgw.model.envelope import Client, Envelope, MailFrom, Recipient
from smtpgw.model.reply import Reply, reply
from smtpgw.model.verdict import ACCEPT, Accept, Refuse, Verdict
from smtpgw.smtp import replies

_log = Logger()

_ACCEPTED = reply(250, "2.0.0", "Ok")
_CHECK = "delivery"
_EXITS = (SystemExit, KeyboardInterrupt, CancelledError)
"""What is no ``Exception``, and yet no reason to lose a connection when a user's delivery raises it."""


class StockSource(Protocol):
    """Twisted's server protocol, as far as deliveries know it."""

    host: bytes

    def validateFrom(self, helo: Any, origin: Any) -> Any:
        """See ``IMessageDelivery``."""

    def validateTo(self, user: Any) -> Any:
        """See ``IMessageDelivery``."""

    def receivedHeader(self, helo: Any, origin: Any, recipients: Any) -> Any:
        """See ``IMessageDelivery``."""


class StockReception:
    """``Reception`` for one connection: it remembers what the delivery said about the transaction."""

    def __init__(self, source: StockSource) -> None:
        """:param source: asks its delivery, or whatever a subclass has put in its place."""
        self._source = source
        self._origin: Any = None
        self._targets: list[tuple[Any, Callable[[], Any]]] = []

    def mail(self, client: Client, mail: MailFrom) -> Verdict | Deferred[Verdict]:
        """A delivery that answers at once is answered at once."""
        self._origin = None
        self._targets = []
        try:
            result = self._source.validateFrom(_helo(client), _address(mail.reverse_path))
        except SMTPServerError as error:
            return _refused(error)
        except _EXITS:
            return _exited("validateFrom")
        if not isinstance(result, Deferred):
            return self._sender(result)
        return result.addCallbacks(self._sender, _verdict_of)

    def rcpt(self, client: Client, mail: MailFrom, recipient: Recipient) -> Verdict | Deferred[Verdict]:
        """Likewise."""
        user = User(_address(recipient.mailbox), _helo(client), self._source, self._origin)
        try:
            result = self._source.validateTo(user)
        except SMTPServerError as error:
            return _refused(error)
        except _EXITS:
            return _exited("validateTo")
        if not isinstance(result, Deferred):
            return self._target(result, user)
        return result.addCallbacks(self._target, _verdict_of, callbackArgs=(user,))

    def begin(self, client: Client, envelope: Envelope, resume: Callable[[], None]) -> Intake | Refuse:
        """One message object for each recipient, each with a trace header of its own."""
        messages: list[Any] = []
        try:
            for user, make_message in self._targets:
                message = make_message()
                messages.append(message)
                header = self._source.receivedHeader(_helo(client), self._origin, [user])
                if header:
                    message.lineReceived(header)
        except SMTPServerError as error:
            _lose(messages)
            return _refused(error)
        except _EXITS:
            _lose(messages)
            return _exited("making a message")
        # Whatever it was, the messages made so far must hear of it.
        except Exception:
            _lose(messages)
            raise
        return StockIntake(messages)

    def _sender(self, origin: Any) -> Accept:
        self._origin = origin
        return ACCEPT

    def _target(self, make_message: Callable[[], Any], user: Any) -> Accept:
        self._targets.append((user, make_message))
        return ACCEPT


class StockIntake:
    """``Intake`` over stock messages: cuts the content into lines."""

    def __init__(self, messages: Sequence[Any]) -> None:
        self._messages = list(messages)
        # The beginning of a line that may be long: joined once, when its end is there.
        self._partial: list[bytes] = []
        self._is_begun = False
        self._error: Reply | None = None

    def write(self, data: bytes) -> bool:
        """Never asks for a pause: stock messages have no way to."""
        self._partial.append(data)
        if self._error is None and b"\n" in data:
            lines = b"".join(self._partial).split(b"\r\n")
            self._partial = [lines.pop()]
            self._lines(lines)
        return True

    def finish(self, done: Callable[[Reply], None]) -> None:
        """
        Ask every message, wait for all of them.

        All must succeed for 250. Otherwise what may pass wins, because the client then tries again: 451 for what is
        unexpected, then the first 4xx; a 5xx only if every failure is one.
        """
        if self._error is not None:
            done(self._error)
            return
        messages, self._messages = self._messages, []
        results = DeferredList([maybeDeferred(message.eomReceived) for message in messages], consumeErrors=True)
        results.addCallback(lambda found: done(_summary(found)))

    def abandon(self) -> None:
        """Each message hears ``connectionLost``, once."""
        _lose(self._messages)
        self._messages = []

    def _lines(self, lines: list[bytes]) -> None:
        # Content without a header must not run into the trace header.
        if not self._is_begun and lines and lines[0] and b":" not in lines[0]:
            lines.insert(0, b"")
        self._is_begun = True
        try:
            for line in lines:
                for message in self._messages:
                    message.lineReceived(line)
        except SMTPServerError as error:
            self._error = _reply_of(error)
            self.abandon()
        except _EXITS:
            self._error = _exited("lineReceived").reply
            self.abandon()


def _helo(client: Client) -> tuple[bytes | None, bytes]:
    return client.helo.encode("ascii", "replace") or None, client.address.encode("ascii", "replace")


def _address(path: ReversePath | Mailbox) -> Any:
    """Filled in, not parsed: Twisted's parser knows no address literals, and its time is quadratic."""
    address = Address(b"")
    if path is not None:
        address.local = path.local.encode("utf-8")
        address.domain = path.domain.encode("utf-8")
        address.addrstr = str(path).encode("utf-8")
    return address


def _verdict_of(failure: Failure) -> Refuse:
    failure.trap(SMTPServerError)
    error = failure.value
    assert isinstance(error, SMTPServerError)
    return _refused(error)


def _refused(error: SMTPServerError) -> Refuse:
    return Refuse(_reply_of(error), _CHECK)


def _exited(stage: str) -> Refuse:
    """In an ``except`` clause."""
    _log.failure("the delivery tried to end the program in {stage}", stage=stage)
    return Refuse(replies.TROUBLE, _CHECK)


def _reply_of(error: SMTPServerError) -> Reply:
    """Its code and text. A code that is no refusal is trouble of ours."""
    text = error.resp.decode("utf-8", "replace") if isinstance(error.resp, bytes) else str(error.resp)
    if isinstance(error, SMTPBadSender):
        text = f"Cannot receive from specified address {quoteaddr(error.addr).decode('utf-8', 'replace')}: {text}"
    if not isinstance(error.code, int) or not 400 <= error.code < 600:
        return replies.TROUBLE
    return Reply(error.code, f"{error.code // 100}.0.0", tuple(text.splitlines()) or ("",))


def _summary(found: Sequence[tuple[bool, Any]]) -> Reply:
    answers: list[Reply] = []
    for succeeded, result in found:
        if succeeded:
            continue
        if isinstance(result.value, SMTPServerError):
            answers.append(_reply_of(result.value))
        else:
            _log.failure("a message failed at its end", failure=result)
            return replies.TROUBLE
    if not answers:
        return _ACCEPTED
    return next((answer for answer in answers if answer.is_transient), answers[0])


def _lose(messages: Sequence[Any]) -> None:
    for message in messages:
        try:
            message.connectionLost()
        # One message's trouble with going away must not keep the others.
        except (Exception, *_EXITS):  # noqa: BLE001
            _log.failure("a message failed when it was abandoned")
