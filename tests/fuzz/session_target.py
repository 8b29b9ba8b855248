"""A whole session: anything that a client can send, cut anywhere, with every kind of answer at any time."""

import re
from random import Random

from smtpgw.model.notice import Rejected
from smtpgw.model.reply import Reply, reply
from smtpgw.smtp.events import AuthAborted, AuthAsked, AuthResponse, ContentRead, Event, Signal, XclientAsked
from smtpgw.smtp.extension import Facts
from smtpgw.smtp.extensions.catalogue import EXTENSIONS
from smtpgw.smtp.framing import ContentReader
from smtpgw.smtp.session import Session
from smtpgw.smtp.session_rules import ExtensionTables, Phase, SessionRules

TABLES = ExtensionTables(EXTENSIONS)

_REPLY_LINE = re.compile(rb"[2-5][0-9]{2}[ -][\t\x20-\x7e]*\r\n|334 [A-Za-z0-9+/=]*\r\n")
_MOST_BUFFERED = 16 * 1024
_LATER = reply(451, "4.3.0", "Later")
_NEVER = reply(550, "5.7.1", "Never")
_LEAVE = reply(421, "4.3.2", "Leave")


def _rules(random: Random) -> SessionRules:
    return SessionRules(
        hostname="mx.example.com",
        banner="mx.example.com ESMTP",
        message_size=random.choice((0, 1000, 1000)),
        recipients=3,
        messages=random.choice((0, 4)),
        errors=random.choice((5, 1000)),
        normalizes=random.random() < 0.3,
        requires_tls=random.random() < 0.1,
        requires_auth=random.random() < 0.2,
        refused_recipients=random.choice((0, 2)),
        deliver_by=random.random() < 0.5,
        deliver_by_seconds=random.choice((0, 60)),
        future_release_seconds=random.choice((0, 3600)),
        now=lambda: 1_790_000_000.0,
    )


class Client:
    """
    Drives one session by what the random numbers say, and looks at everything that it says.

    :ivar replies: of one line or several, and 354 and 334 among them.
    """

    def __init__(self, random: Random) -> None:
        self._random = random
        rules = _rules(random)
        facts = Facts(
            message_size=rules.message_size,
            tls_available=random.random() < 0.5,
            mechanisms=("PLAIN", "LOGIN") if random.random() < 0.5 else (),
            auth_after_tls=random.random() < 0.2,
            xclient=random.random() < 0.5,
        )
        self.session = Session(rules, TABLES, facts, self._rejected)
        self.session.greet()
        self.is_over = False
        self.replies = 0
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
        elif isinstance(event, XclientAsked):
            for value in event.attributes.values():
                assert not value or (value.isascii() and value.isprintable()), event
            if choice < 0.8:
                session.xclient_done(is_authenticated=choice < 0.2)
                assert not session.helo
                assert session.mail is None
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
                self.replies += line[3:4] == b" "
        self.session.output.clear()

    def _rejected(self, stage: str, answer: Reply, subject: str) -> None:
        assert stage in (Rejected.__doc__ or stage), stage
        assert not answer.is_positive


def session(octets: bytes) -> None:
    """The first octet decides about rules, cuts and answers, the rest is what the client sends."""
    if not octets:
        return
    random = Random(octets[0])
    client = Client(random)
    if random.random() < 0.3:
        _count(client, octets[1:])
    else:
        _cut(client, octets, random)
    client.session.close()
    assert client.session.step() in (Signal.CLOSED, None)


def _cut(client: Client, octets: bytes, random: Random) -> None:
    """In pieces of any size, answered at any time."""
    position = 1
    while position < len(octets) and not client.is_over:
        step = random.choice((1, 2, 7, 40, 1000))
        client.send(octets[position : position + step])
        position += step
        if random.random() < 0.3:
            client.settle()
    client.settle()


def _count(client: Client, octets: bytes) -> None:
    """Octet by octet, everything answered at once: each command has one reply, and content behind a 354 one more."""
    session = client.session
    expected, before = 1, b""
    for at in range(len(octets)):
        octet = octets[at : at + 1]
        is_content = session.content is not None
        is_data = isinstance(session.content, ContentReader)
        client.send(octet)
        client.settle()
        if client.is_over or session.phase is Phase.CLOSED:
            assert client.replies in (expected, expected + 1), (client.replies, expected)
            return
        if is_content:
            before = b""
            # Behind a 354 the end of content is answered; behind BDAT the command is, once the chunk has come.
            expected += is_data and session.content is None
        elif before + octet == b"\r\n":
            before = b""
            expected += 1
        else:
            before = octet
        if session.content is None and not before:
            assert client.replies == expected, (client.replies, expected, octets[: at + 1])
