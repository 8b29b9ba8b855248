"""
Between a session and its reception: carries what the session asks to the reception, and the answers back.

Invariants:

1. ``run`` is never inside itself; whatever answers while it runs only changes the session, and the loop sees it.
2. An answer that comes after the connection is gone, or twice, changes nothing.
3. An intake is finished or abandoned, once.

Whatever the reception raises is caught here, logged, and answered 451 4.3.0: this is one of the few places where an
unknown exception may be caught.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, ClassVar

import msgspec
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from smtpgw.model.address import path_text
from smtpgw.model.envelope import Client
from smtpgw.model.notice import Rejected
from smtpgw.model.reply import Reply
from smtpgw.model.verdict import Accept, Refuse, Verdict
from smtpgw.net.server_state import ConnectionState, Stage
from smtpgw.smtp import replies
from smtpgw.smtp.events import (
    ContentRead,
    DataAsked,
    MailAsked,
    RcptAsked,
    Signal,
)
from smtpgw.smtp.session import MAX_REPLIES

_log = Logger()

_SESSION = "session"
"""Name of the check in notices of what the session itself refused."""

_MOST_NOTES = 20
"""Of the rules on one message."""

_OPEN = Stage.OPEN


class SessionDriver(ConnectionState):
    """Drives one session. The protocol inherits it, and fills in what concerns the transport."""

    __slots__ = ()

    # --- What the protocol fills in ---

    def flush(self) -> None:
        """Write the session's output."""
        raise NotImplementedError

    def pace(self) -> None:
        """Pause or resume the transport, as the flags say."""
        raise NotImplementedError

    def close(self) -> None:
        """Write the output, then end the connection."""
        raise NotImplementedError

    def abort(self) -> None:
        """End the connection, whatever was not written."""
        raise NotImplementedError

    def begin_tls(self) -> None:
        """Write the output, then begin the handshake."""
        raise NotImplementedError

    def forget_login(self) -> None:
        """Nobody has logged in. The protocol adds what it knows of the login."""
        self._identity = None
        self._mechanism = ""
        self._client = None

    # --- What the protocol calls ---

    def run(self) -> None:
        """Go on as far as input and answers allow; not before the banner, whoever asks."""
        if self._is_running or self.stage is not _OPEN:
            return
        self._is_running = True
        session = self._session
        try:
            actions = self.actions
            while not (self.is_held or self.is_unread or self.is_slowed or self.is_over):
                event = session.step()
                if self._tarpit is not None:
                    self._slow_down(self._tarpit.wait(session.errors, 0))
                if event is None:
                    break
                actions[type(event)](self, event)
                if len(session.output) > MAX_REPLIES:
                    self.flush()
                    self._yield_turn()
        finally:
            self._is_running = False
        if session.output and not self.is_slowed:
            self.flush()
        self.pace()
        if self.has_heard_all and not (
            session.is_owing or self.is_held or self.is_unread or self.is_slowed or self.is_over
        ):
            self.close()

    def let_go(self) -> None:
        """The connection ends: nobody waits for answers any more, and an unfinished message is forgotten."""
        self.is_over = True
        self._transactions += 1
        self._abandon()
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.cancel()
        slow, self._slow_call = self._slow_call, None
        if slow is not None:
            slow.cancel()

    def publish_rejected(self, stage: str, answer: Reply, subject: str) -> None:
        """Tell of what the session or a limit has refused."""
        self._owner.publish(Rejected(self.client(), stage, Refuse(answer, _SESSION), subject))

    def client(self, smtputf8: bool = False) -> Client:
        """:param smtputf8: in a transaction with SMTPUTF8 (RFC 6531 section 4.3 has its own words for the trace)."""
        client = self._client
        if client is None:
            session = self._session
            client = self._client = Client(
                self._address,
                self._given_helo or session.helo,
                self._protocol_word("ESMTP" if session.is_extended else "SMTP"),
                self._tls,
                self._identity,
                self._name,
                self._owner.listener,
                self._session_id,
                self._port,
                self._mechanism,
            )
        return msgspec.structs.replace(client, protocol=self._protocol_word("UTF8SMTP")) if smtputf8 else client

    def _protocol_word(self, base: str) -> str:
        """RFC 3848."""
        secure = "S" if self._tls is not None else ""
        authenticated = "A" if self._identity is not None else ""
        return base if base == "SMTP" else base + secure + authenticated

    # --- MAIL, RCPT, DATA ---

    def _mail_asked(self, event: MailAsked) -> None:
        mail = event.mail
        self._notes = ()
        try:
            verdict = self._reception.mail(self.client(mail.smtputf8), mail)
        except Exception:  # noqa: BLE001
            self._failed("mail")
            return
        if type(verdict) is Accept:
            self._accepted(verdict)
        else:
            self._answered(verdict, "mail", path_text(mail.reverse_path))

    def _rcpt_asked(self, event: RcptAsked) -> None:
        mail = event.mail
        try:
            verdict = self._reception.rcpt(self.client(mail.smtputf8), mail, event.recipient)
        except Exception:  # noqa: BLE001
            self._failed("rcpt")
            return
        if type(verdict) is Accept:
            self._accepted(verdict)
        else:
            self._answered(verdict, "rcpt", str(event.recipient.mailbox))

    def _answered(self, verdict: Verdict | Awaitable[Verdict], stage: str, subject: str) -> None:
        if isinstance(verdict, Refuse):
            self._owner.publish(Rejected(self.client(), stage, verdict, subject))
            if self._tarpit is not None:
                # What was answered before does not wait.
                self.flush()
                self._slow_down(self._tarpit.wait(self._session.errors, 1))
            self._session.refuse(verdict.reply)
        elif isinstance(verdict, Accept):
            self._accepted(verdict)
        else:
            waiting = verdict if isinstance(verdict, Deferred) else Deferred.fromCoroutine(_result_of(verdict))
            self._waiting = waiting
            waiting.addCallbacks(self._decided, self._undecided, callbackArgs=(stage, subject), errbackArgs=(stage,))
            # What goes wrong after that is not the reception's trouble: the connection has lost its way.
            waiting.addErrback(self._broken)

    def _accepted(self, verdict: Accept) -> None:
        if verdict.notes:
            # Bounded, and each once: a thousand recipients have the same few.
            self._notes = tuple(dict.fromkeys(self._notes + verdict.notes))[:_MOST_NOTES]
        self._session.accept()

    def _decided(self, verdict: Any, stage: str, subject: str) -> None:
        self._waiting = None
        if self.is_over:
            return
        if isinstance(verdict, Accept | Refuse):
            self._answered(verdict, stage, subject)
        else:
            _log.error(
                "no verdict about {stage} of session {sid}: {verdict!r}",
                sid=self._session_id,
                stage=stage,
                verdict=verdict,
            )
            self._session.refuse(replies.TROUBLE)
        self.run()

    def _undecided(self, failure: Failure, stage: str) -> None:
        self._waiting = None
        if self.is_over and failure.check(CancelledError):
            return
        _log.failure("trouble with {stage} of session {sid}", failure=failure, stage=stage, sid=self._session_id)
        if not self.is_over:
            self._session.refuse(replies.TROUBLE)
            self.run()

    def _broken(self, failure: Failure) -> None:
        _log.failure("session {sid} is broken", failure=failure, sid=self._session_id)
        self.abort()

    def _failed(self, stage: str) -> None:
        """In an ``except`` clause."""
        _log.failure("trouble with {stage} of session {sid}", stage=stage, sid=self._session_id)
        self._session.refuse(replies.TROUBLE)

    def _data_asked(self, event: DataAsked) -> None:
        envelope = event.envelope
        client = self.client(envelope.smtputf8)
        if self._notes:
            client = msgspec.structs.replace(client, notes=self._notes)
        try:
            intake = self._reception.begin(client, envelope, self._resume)
        except Exception:  # noqa: BLE001
            self._failed("data")
            return
        if isinstance(intake, Refuse):
            self._answered(intake, "data", "")
            return
        self._intake = intake
        self._session.accept()

    # --- Content ---

    def _content_read(self, event: ContentRead) -> None:
        intake = self._intake
        assert intake is not None
        octets = event.octets
        try:
            if octets:
                self._has_resumed = False
                if not intake.write(octets) and not self._has_resumed and not event.is_last:
                    self.is_held = True
            if event.is_last:
                self._intake = None
                self._transactions = serial = self._transactions + 1
                intake.finish(partial(self._finished, serial))
        except Exception:  # noqa: BLE001
            _log.failure("trouble with content of session {sid}", sid=self._session_id)
            self._intake = intake
            self._abandon()
            if event.is_last:
                self._transactions += 1
                self._session.conclude(replies.TROUBLE)
            else:
                self._session.drop_content(replies.TROUBLE)

    def _resume(self) -> None:
        self._has_resumed = True
        if self.is_held:
            self.is_held = False
            self.run()

    def _finished(self, serial: int, answer: Reply) -> None:
        if serial != self._transactions:
            return
        self._transactions += 1
        self._session.conclude(answer)
        if not self._is_running:
            self.run()

    def _abandon(self) -> None:
        self.is_held = False
        intake, self._intake = self._intake, None
        if intake is not None:
            try:
                intake.abandon()
            except Exception:  # noqa: BLE001
                _log.failure("trouble with abandoning a message of session {sid}", sid=self._session_id)

    # --- Signals ---

    def _signalled(self, signal: Signal) -> None:
        if signal is Signal.GREETED:
            self._client = None
        elif signal is Signal.CONTENT_DROPPED:
            self._abandon()
        elif signal is Signal.OUTPUT_FULL:
            # As after any other event, so it is written.
            pass
        elif signal is Signal.CLOSED:
            self.close()
        else:
            self.forget_login()
            self.begin_tls()

    # --- Waiting on purpose ---

    def _slow_down(self, seconds: float) -> None:
        """Nothing is said or read for so long. The timer is one of the few; only clients that misbehave have it."""
        if seconds and not self.is_slowed:
            self.is_slowed = True
            self._slow_call = self._owner.call_later(seconds, self._go_on)

    def _yield_turn(self) -> None:
        """Whoever sends thousands of commands at once lets all others have their turn in between."""
        if not (self.is_slowed or self.is_over):
            self.is_slowed = True
            self._slow_call = self._owner.call_later(0, self._go_on)

    def _go_on(self) -> None:
        self._slow_call = None
        self.is_slowed = False
        self.run()

    actions: ClassVar[dict[type, Callable[[Any, Any], None]]] = {
        MailAsked: _mail_asked,
        RcptAsked: _rcpt_asked,
        DataAsked: _data_asked,
        ContentRead: _content_read,
        Signal: _signalled,
    }
    """What is done about each kind of event."""


async def _result_of(awaitable: Awaitable[Verdict]) -> Verdict:
    return await awaitable
