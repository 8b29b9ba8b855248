"""A whole session: anything that a client can send, cut anywhere, with every kind of answer at any time."""

import re
from random import Random

from smtpgw.model.notice import Rejected
from smtpgw.model.reply import Reply, reply
from smtpgw.smtp.events import AuthAborted, AuthAsked, AuthResponse, ContentRead, Event, Signal
from smtpgw.smtp.extension import Facts
from smtpgw.smtp.session import Session
from smtpgw.smtp.session_rules import ExtensionTables, SessionRules

RULES = SessionRules(
    hostname="mx.example.com", banner="mx.example.com ESMTP", message_size=1000, recipients=3, messages=4, errors=5
)
TABLES = ExtensionTables(RULES.extensions)

_REPLY_LINE = re.compile(rb"[2-5][0-9]{2}[ -][\t\x20-\x7e]*\r\n|334 [A-Za-z0-9+/=]*\r\n")
_MOST_BUFFERED = 16 * 1024
_LATER = reply(451, "4.3.0", "Later")
_NEVER = reply(550, "5.7.1", "Never")
_LEAVE = reply(421, "4.3.2", "Leave")


class Client:
    """Drives one session by what the random numbers say, and looks at everything that it says."""

    def __init__(self, random: Random) -> None:
        self._random = random
        facts = Facts(
            message_size=RULES.message_size,
            tls_available=random.random() < 0.5,
            mechanisms=("PLAIN", "LOGIN") if random.random() < 0.5 else (),
        )
        self.session = Session(RULES, TABLES, facts, self._rejected)
        self.session.greet()
        self.is_over = False
        self._owed: Event | None = None
        self._look()

    def send(self, octets: bytes) -> None:
        """A piece of input."""
        session = self.session
        session.receive(octets)
        self._run()
        if not session.is_owing:
            assert session.buffered_octets <= _MOST_BUFFERED, session.buffered_octets

    def settle(self) -> None:
        """Answer what is owed."""
        while self._owed is not None and not self.is_over:
            self._answer()
            self._run()

    def _run(self) -> None:
        while not self.is_over:
            event = self.session.step()
            self._look()
            if event is None:
                return
            self._take(event)
            if self._owed is not None and self._random.random() < 0.5:
                self._answer()

    def _take(self, event: Event) -> None:
        assert self._owed is None, "an event while an answer is owed"
        if event is Signal.CLOSED:
            self.is_over = True
        elif event is Signal.TLS_ASKED or not isinstance(event, Signal | AuthAborted | ContentRead):
            self._owed = event
        elif isinstance(event, ContentRead):
            assert not re.search(rb"\0|\r(?!\n)(?!\Z)", event.octets), event.octets
            if event.is_last:
                self._owed = event

    def _answer(self) -> None:
        event, self._owed = self._owed, None
        session, choice = self.session, self._random.random()
        no = _LEAVE if choice > 0.97 else _LATER if choice > 0.85 else _NEVER
        if event is Signal.TLS_ASKED:
            session.tls_started()
            assert not session.buffered_octets
            assert not session.helo
            assert session.mail is None
            assert not session.facts.is_authenticated
        elif isinstance(event, ContentRead):
            session.conclude(reply(250, "2.0.0", "Ok") if choice < 0.8 else no)
        elif isinstance(event, AuthAsked | AuthResponse):
            if choice < 0.3:
                session.challenge(b"user?")
            elif choice < 0.6:
                session.authenticated()
            else:
                session.refuse(no)
        elif choice < 0.8:
            session.accept()
        else:
            session.refuse(no)
        self._look()

    def _look(self) -> None:
        """Everything that is said is a reply, and nothing else."""
        for piece in self.session.output:
            for line in piece.splitlines(keepends=True):
                assert _REPLY_LINE.fullmatch(line), piece
        self.session.output.clear()

    def _rejected(self, stage: str, answer: Reply, subject: str) -> None:
        assert stage in (Rejected.__doc__ or stage), stage
        assert not answer.is_positive


def session(octets: bytes) -> None:
    """The first octet decides about cuts and answers, the rest is what the client sends."""
    if not octets:
        return
    random = Random(octets[0])
    client = Client(random)
    position = 1
    while position < len(octets) and not client.is_over:
        step = random.choice((1, 2, 7, 40, 1000))
        client.send(octets[position : position + step])
        position += step
        if random.random() < 0.3:
            client.settle()
    client.settle()
    client.session.close()
    assert client.session.step() in (Signal.CLOSED, None)
