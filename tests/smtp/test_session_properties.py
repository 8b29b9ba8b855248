"""Any commands in any order, answered in any way: what holds for every session."""

# Wrong types are handed in on purpose, and boundaries replaced.
# mypy: no-check-untyped-defs

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.model.reply import reply
from smtpgw.smtp.events import (
    AuthAsked,
    AuthResponse,
    ContentRead,
    DataAsked,
    MailAsked,
    RcptAsked,
    Signal,
    XclientAsked,
)
from smtpgw.smtp.extension import Facts
from smtpgw.smtp.framing import MAX_RESPONSE_OCTETS
from smtpgw.smtp.session import Session
from smtpgw.smtp.session_rules import ExtensionTables, Phase, SessionRules
from tests.clauses import holds
from tests.smtp.fakes import QUEUED

_REFUSALS = (reply(550, "5.7.1", "No"), reply(451, "4.3.0", "Not now"))
_ASKING = (MailAsked, RcptAsked, DataAsked, AuthAsked, AuthResponse, XclientAsked)

COMMANDS = (
    b"EHLO c.example",
    b"EHLO c.example",
    b"HELO c",
    b"MAIL FROM:<a@x.example>",
    b"MAIL FROM:<> RET=FULL ENVID=+41 SIZE=100 BODY=8BITMIME",
    b"MAIL FROM:<a@x.example> FOO",
    b"RCPT TO:<b@x.example>",
    b"RCPT TO:<b@x.example> NOTIFY=NEVER ORCPT=rfc822;b@x",
    b"RCPT TO:<b@@x>",
    b"RSET",
    b"NOOP",
    b"VRFY a",
    b"EXPN a",
    b"HELP",
    b"FOO",
    b"",
    b"AUTH PLAIN AGEAYg==",
    b"AUTH PLAIN",
    b"AUTH PLAIN !",
    b"AUTH FOO",
    b"XCLIENT ADDR=192.0.2.1",
    b"XCLIENT ADDR=x",
    b"BDAT",
    b"BDAT 1 2",
    b"QUIT",
    b"GET / HTTP/1.1",
    b"x" * 3000,
)
RESPONSES = (b"", b"AGEAYg==", b"*", b"!", b"A" * 13000, b"NOOP")
BODIES = (
    b"",
    b"body\r\n",
    b"a\nb\r\n",
    b"\0\r\n",
    b"RSET\r\nMAIL FROM:<evil@x>\r\n",
    b"..\r\n",
    b"x" * 500 + b"\r\n",
    b"\n.\n\r\n",
)
CHUNKS = (b"", b"a\r\n", b"a\r", b"\nb", b"QUIT\r\n", b"\r\n.\r\n", b"\0", b"x" * 1500)

steps = st.lists(
    st.one_of(
        st.sampled_from(COMMANDS).map(lambda line: ("line", line)),
        st.binary(max_size=12).map(lambda line: ("line", line.replace(b"\r\n", b""))),
        st.just(("message", b"")),
        st.sampled_from(BODIES).map(lambda body: ("data", body)),
        st.sampled_from(CHUNKS).map(lambda chunk: ("bdat", chunk)),
        st.sampled_from(CHUNKS).map(lambda chunk: ("last", chunk)),
        st.just(("starttls", b"")),
    ),
    max_size=25,
)


class Answers:
    """A session whose questions are answered as a list of numbers says, at once or when more input has come."""

    def __init__(self, decisions, **rules):
        self.rules = SessionRules(hostname="mx.example", banner="mx.example ESMTP", **rules)
        facts = Facts(message_size=self.rules.message_size, tls_available=True, mechanisms=("PLAIN",), xclient=True)
        self.rejected = []
        self.session = Session(
            self.rules, ExtensionTables(self.rules.extensions), facts, lambda *what: self.rejected.append(what)
        )
        self.decisions = decisions
        self.asked = 0
        self.sent = b""
        self.content = None
        self.messages = []
        self.is_closed = False
        self.owed = None

    def feed(self, octets, *, late=False):
        """:param late: answers wait for the next input."""
        session = self.session
        session.receive(octets)
        if self.owed is not None:
            assert session.step() is None
            self.answer()
        while True:
            event = session.step()
            if event is None:
                break
            self.hear(event)
            if self.owed is not None:
                assert session.step() is None
                if late and self.decisions[self.asked % len(self.decisions)] >= 4:
                    break
                self.answer()
        self.sent += b"".join(session.output)
        session.output.clear()
        if self.owed is None:
            assert session.buffered_octets <= MAX_RESPONSE_OCTETS, session.buffered_octets

    def hear(self, event):
        """What the driver would do."""
        assert not self.is_closed, event
        if isinstance(event, _ASKING):
            assert not isinstance(event, DataAsked) or self.content is None
            self.owed = event
        elif isinstance(event, ContentRead):
            assert event.octets or event.is_last
            self.content.append(event.octets)
            if event.is_last:
                self.owed = event
        elif event is Signal.CONTENT_DROPPED:
            assert self.content is not None
            self.content = None
        elif event is Signal.TLS_ASKED:
            self.session.tls_started()
        elif event is Signal.OUTPUT_FULL:
            self.sent += b"".join(self.session.output)
            self.session.output.clear()
        elif event is Signal.CLOSED:
            self.is_closed = True

    def answer(self):
        """As the next number says."""
        event, self.owed = self.owed, None
        kind = self.decisions[self.asked % len(self.decisions)] % 4
        self.asked += 1
        session = self.session
        if isinstance(event, ContentRead):
            content, self.content = b"".join(self.content), None
            assert content.endswith(b"\r\n") or not content
            if kind < 2:
                self.messages.append(content)
            session.conclude(QUEUED if kind < 2 else _REFUSALS[kind - 2])
        elif kind >= 2:
            session.refuse(_REFUSALS[kind - 2])
        elif isinstance(event, AuthAsked | AuthResponse):
            if kind:
                session.challenge(b"")
            else:
                session.authenticated()
        elif isinstance(event, XclientAsked):
            session.xclient_done()
        else:
            if isinstance(event, DataAsked):
                self.content = []
            session.accept()


def count(said):
    """Replies, each by its last line."""
    assert not said or said.endswith(b"\r\n")
    lines = said.split(b"\r\n")[:-1]
    assert all(line[:3].isdigit() and line[3:4] in {b" ", b"-"} for line in lines), lines
    return sum(line[3:4] == b" " for line in lines)


def hold_dialogue(test, answers, todo):
    """
    Send step by step, and compare the number of replies with what there must be.

    :returns: what was sent, in parts that must not be sent before the one before was answered.
    """
    parts = [b""]

    def send(octets, expected):
        before = len(answers.sent)
        was_closed = answers.is_closed
        answers.feed(octets)
        parts[-1] += octets
        test.assertEqual(count(answers.sent[before:]), 0 if was_closed else expected, octets[:80])

    for kind, octets in todo:
        if answers.is_closed:
            break
        in_exchange = answers.session.phase is Phase.EXCHANGE
        if in_exchange:
            # Whatever it is, behind a 334 it is one response.
            send(RESPONSES[len(octets) % len(RESPONSES)] + b"\r\n", 1)
        elif kind == "line":
            send(octets + b"\r\n", 1)
        elif kind == "message":
            for line in (b"RSET\r\n", b"MAIL FROM:<a@x>\r\n", b"RCPT TO:<b@x>\r\n"):
                send(line, 1)
        elif kind == "data":
            send(b"DATA\r\n", 1)
            if answers.session.phase is Phase.CONTENT:
                send(octets, 0)
                send(b".\r\n", 1)
        elif kind == "starttls":
            send(b"STARTTLS\r\n", 1)
            parts.append(b"")
        else:
            send(b"BDAT %d%s\r\n" % (len(octets), b" LAST" if kind == "last" else b"") + octets, 1)
    return parts


class AnySessionTests(SynchronousTestCase):
    """Nothing is raised, nothing grows, every command has its reply."""

    @holds("5321", "4.2", "As many replies as commands, whatever the commands and the answers to them are.")
    @settings(max_examples=300, deadline=None)
    @given(
        st.lists(st.integers(0, 7), min_size=1, max_size=8).map(lambda numbers: [*numbers, 0, 0, 0, 4]),
        steps,
        st.integers(1, 40),
        st.sampled_from(
            [
                {"errors": 1000},
                {"errors": 1000, "message_size": 1000, "normalizes": True},
                {"errors": 3, "recipients": 2, "messages": 2, "refused_recipients": 1},
                {"errors": 1000, "requires_auth": True},
                {"errors": 1000, "requires_tls": True},
            ]
        ),
    )
    def test_any(self, decisions, todo, size, rules):
        """One reply for each; and the same replies and messages when it is cut anywhere and answered late."""
        whole = Answers(decisions, **rules)
        parts = hold_dialogue(self, whole, [("line", b"EHLO c.example"), ("message", b""), *todo])
        cut = Answers(decisions, **rules)
        for part in parts:
            for begin in range(0, len(part), size):
                cut.feed(part[begin : begin + size], late=True)
            while cut.owed is not None:
                cut.feed(b"")
        self.assertEqual(cut.sent, whole.sent)
        self.assertEqual(cut.messages, whole.messages)
        self.assertEqual(cut.is_closed, whole.is_closed)
        self.assertEqual(cut.rejected, whole.rejected)

    @settings(max_examples=200, deadline=None)
    @given(
        st.lists(st.integers(0, 7), min_size=1, max_size=8),
        st.lists(
            st.sampled_from([*COMMANDS, *BODIES, *CHUNKS, *RESPONSES, b"\r\n", b"DATA\r\n", b"BDAT 9"]), max_size=40
        ),
        st.integers(1, 100),
    )
    def test_garbage(self, decisions, pieces, size):
        """Without any sense in it: replies are replies, and what is kept is content with proper line ends."""
        answers = Answers(decisions, errors=1000)
        answers.feed(b"EHLO c\r\nMAIL FROM:<a@x>\r\nRCPT TO:<b@x>\r\n")
        raw = b"".join(pieces)
        for begin in range(0, len(raw), size):
            answers.feed(raw[begin : begin + size], late=True)
        while answers.owed is not None:
            answers.feed(b"")
        count(answers.sent)
        for message in answers.messages:
            self.assertNotRegex(message, rb"(?<!\r)\n|\r(?!\n)|\0")
