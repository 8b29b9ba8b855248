"""A reception in memory, for tests of whatever hands messages in, and what drives a session without a transport."""

from collections.abc import Awaitable, Callable
from typing import Any

from smtpgw.boundaries.reception import Intake
from smtpgw.model.envelope import Client, Envelope, MailFrom, Recipient
from smtpgw.model.reply import Reply, reply
from smtpgw.model.verdict import ACCEPT, Refuse, Verdict
from smtpgw.smtp.events import (
    AuthAborted,
    AuthAsked,
    AuthResponse,
    ContentRead,
    DataAsked,
    Event,
    MailAsked,
    RcptAsked,
    Signal,
    XclientAsked,
)
from smtpgw.smtp.extension import Facts
from smtpgw.smtp.session import Session
from smtpgw.smtp.session_rules import ExtensionTables, SessionRules

QUEUED = reply(250, "2.0.0", "Ok: queued as 0000000000001")
NO_RELAY = Refuse(reply(550, "5.7.1", "Relaying denied"), "relay_access")


class MemoryIntake:
    """
    Keeps the content of one message.

    :ivar is_abandoned: it will never be finished.
    :ivar done: set between ``finish`` and its answer, when the reception answers late.
    """

    def __init__(self, reception: "MemoryReception", client: Client, envelope: Envelope, resume: Callable[[], None]):
        self.reception = reception
        self.client = client
        self.envelope = envelope
        self.resume = resume
        self.pieces: list[bytes] = []
        self.is_abandoned = False
        self.is_finished = False
        self.done: Callable[[Reply], None] | None = None

    @property
    def content(self) -> bytes:
        """What was written so far."""
        return b"".join(self.pieces)

    def write(self, data: bytes) -> bool:
        """Asks for a pause when the reception is told to."""
        assert not self.is_abandoned
        assert not self.is_finished
        if self.reception.write_error is not None:
            raise self.reception.write_error
        self.pieces.append(data)
        return not self.reception.asks_for_pause

    def finish(self, done: Callable[[Reply], None]) -> None:
        """Answers at once, or late."""
        assert not self.is_abandoned
        assert not self.is_finished
        self.is_finished = True
        if self.reception.finish_error is not None:
            raise self.reception.finish_error
        self.reception.messages.append(self)
        if self.reception.is_late:
            self.done = done
        else:
            done(self.reception.final)

    def abandon(self) -> None:
        """Once."""
        assert not self.is_abandoned
        self.is_abandoned = True


class MemoryReception:
    """
    Accepts what its two answer functions accept; keeps messages.

    :ivar messages: finished ones, in order.
    :ivar intakes: all of them.
    :ivar final: the reply to the end of data.
    :ivar is_late: that reply is given by the test, through the intake's ``done``.
    """

    def __init__(self) -> None:
        self.messages: list[MemoryIntake] = []
        self.intakes: list[MemoryIntake] = []
        self.mails: list[tuple[Client, MailFrom]] = []
        self.rcpts: list[tuple[Client, MailFrom, Recipient]] = []
        self.final = QUEUED
        self.is_late = False
        self.asks_for_pause = False
        self.write_error: Exception | None = None
        self.finish_error: Exception | None = None
        self.on_mail: Callable[[MailFrom], Verdict | Awaitable[Verdict]] = lambda mail: ACCEPT
        self.on_rcpt: Callable[[Recipient], Verdict | Awaitable[Verdict]] = lambda recipient: ACCEPT
        self.on_begin: Callable[[Envelope], Refuse | None] = lambda envelope: None

    def mail(self, client: Client, mail: MailFrom) -> Verdict | Awaitable[Verdict]:
        """As the test says."""
        self.mails.append((client, mail))
        return self.on_mail(mail)

    def rcpt(self, client: Client, mail: MailFrom, recipient: Recipient) -> Verdict | Awaitable[Verdict]:
        """As the test says."""
        self.rcpts.append((client, mail, recipient))
        return self.on_rcpt(recipient)

    def begin(self, client: Client, envelope: Envelope, resume: Callable[[], None]) -> Intake | Refuse:
        """As the test says."""
        refusal = self.on_begin(envelope)
        if refusal is not None:
            return refusal
        intake = MemoryIntake(self, client, envelope, resume)
        self.intakes.append(intake)
        return intake


class CoreDriver:
    """
    A session and a reception without any transport: every answer is given at once.

    :ivar sent: what the session has said so far.
    """

    def __init__(self, reception: MemoryReception | None = None, *, facts: Facts | None = None, **rules: Any) -> None:
        """:param rules: of ``SessionRules``."""
        options: dict[str, Any] = {"hostname": "mx.example", "banner": "mx.example ESMTP", **rules}
        self.rules = SessionRules(**options)
        self.reception = MemoryReception() if reception is None else reception
        self.rejected: list[tuple[str, Reply, str]] = []
        self.events: list[Event] = []
        self.sent = b""
        self.is_closed = False
        self.intake: Intake | None = None
        self.session = Session(
            self.rules,
            ExtensionTables(self.rules.extensions),
            Facts(message_size=self.rules.message_size, tls_available=True) if facts is None else facts,
            lambda stage, answer, subject: self.rejected.append((stage, answer, subject)),
        )

    def feed(self, octets: bytes) -> bytes:
        """What it answers to some input."""
        self.session.receive(octets)
        return self.run()

    def run(self) -> bytes:
        """Go on as far as it goes; what was said on the way."""
        session = self.session
        while (event := session.step()) is not None:
            self.events.append(event)
            match event:
                case MailAsked(mail=mail):
                    self._answer(self.reception.mail(self.client(), mail))
                case RcptAsked(mail=mail, recipient=recipient):
                    self._answer(self.reception.rcpt(self.client(), mail, recipient))
                case DataAsked(envelope=envelope):
                    begun = self.reception.begin(self.client(), envelope, lambda: None)
                    if isinstance(begun, Refuse):
                        session.refuse(begun.reply)
                    else:
                        self.intake = begun
                        session.accept()
                case ContentRead(octets=content, is_last=is_last):
                    assert self.intake is not None
                    self.intake.write(content)
                    if is_last:
                        self.intake.finish(session.conclude)
                case Signal.CONTENT_DROPPED:
                    assert self.intake is not None
                    self.intake.abandon()
                case Signal.TLS_ASKED:
                    session.tls_started()
                case Signal.CLOSED:
                    self.is_closed = True
                case AuthAsked() | AuthResponse() | XclientAsked():
                    break
                case Signal.GREETED | Signal.OUTPUT_FULL | AuthAborted():
                    pass
        said = b"".join(session.output)
        session.output.clear()
        self.sent += said
        return said

    def client(self) -> Client:
        """As the session knows it."""
        return Client("192.0.2.1", self.session.helo)

    def _answer(self, verdict: Verdict | Awaitable[Verdict]) -> None:
        if isinstance(verdict, Refuse):
            self.session.refuse(verdict.reply)
        else:
            self.session.accept()
