"""The client's side of SMTP: what it says, and what becomes of each recipient when it goes as it should."""

import io
from collections.abc import Iterator
from random import Random
from typing import BinaryIO

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.boundaries.relay import Job, LinkFailure
from smtpgw.boundaries.spool import Body
from smtpgw.model.address import Mailbox
from smtpgw.model.envelope import BodyType, Client, Envelope, Recipient, TlsFacts
from smtpgw.model.message import Message
from smtpgw.model.outcome import Delayed, Failed, Outcome, Relayed, Scope
from smtpgw.model.reply import Reply
from smtpgw.model.route import Hop, TlsNeed
from smtpgw.smtp.conversation import Conversation, Phase
from smtpgw.smtp.conversation_terms import RelaySettings
from smtpgw.smtp.stuffing import Stuffing
from tests.clauses import holds

HOP = Hop("mx.example.net", "192.0.2.25", 25)
FACTS = TlsFacts("TLSv1.3", "TLS_AES_256_GCM_SHA384")
SETTINGS = RelaySettings("gw.example.com")
TRACE = b"Received: from here by there\r\n"


class MemoryBody:
    """A body, in memory or as if on disk."""

    def __init__(self, content: bytes, *, inline: bool = True) -> None:
        self._content = content
        self._inline = inline

    @property
    def size_octets(self) -> int:
        return len(self._content)

    def inline(self) -> bytes | None:
        return self._content if self._inline else None

    def open(self) -> BinaryIO:
        return io.BytesIO(self._content)


def make_job(
    *addresses: str | Mailbox,
    content: bytes = b"Subject: x\r\n\r\nhello\r\n",
    reverse_path: Mailbox | None = Mailbox("alice", "example.com"),  # noqa: B008 (frozen)
    body_type: BodyType = BodyType.SEVEN_BIT,
    smtputf8: bool = False,
    slots: tuple[int, ...] | None = None,
    inline: bool = True,
) -> Job:
    """A job for these addresses; without any, for one."""
    mailboxes = [
        one if isinstance(one, Mailbox) else Mailbox(*one.rsplit("@", 1)) for one in addresses or ("bob@example.net",)
    ]
    envelope = Envelope(reverse_path, tuple(map(Recipient, mailboxes)), body_type, smtputf8)
    message = Message(1, envelope, Client("127.0.0.1"), 0.0, TRACE, len(content))
    return Job(message, tuple(range(len(mailboxes))) if slots is None else slots, MemoryBody(content, inline=inline))


class Stage:
    """
    A conversation, its wire and its link.

    :ivar sent: everything it said. :ivar writes: the same, write by write.
    :ivar jobs: given one by one as they are asked for.
    :ivar events: what the link heard.
    """

    def __init__(self, need: TlsNeed = TlsNeed.OFF, *jobs: Job, clear: bool = False) -> None:
        self.writes: list[bytes] = []
        self.events: list[tuple[object, ...]] = []
        self.jobs = list(jobs)
        self.actions: list[str] = []
        self.outcomes: list[tuple[Outcome, ...]] = []
        self.streams: list[tuple[bytes, Body]] = []
        self.conversation = Conversation(self, self, SETTINGS, HOP, need, clear=clear)

    @property
    def sent(self) -> bytes:
        return b"".join(self.writes)

    def said(self) -> bytes:
        """What it said since the last time."""
        octets = self.sent
        self.writes.clear()
        return octets

    def hear(self, octets: bytes) -> bytes:
        """Octets from the host; gives the answer."""
        self.writes.clear()
        self.conversation.receive(octets)
        return self.sent

    # Wire

    def write(self, octets: bytes) -> None:
        assert octets
        self.writes.append(octets)

    def stream(self, trace: bytes, body: Body) -> None:
        self.streams.append((trace, body))

    def start_tls(self) -> None:
        self.actions.append("tls")

    def lose(self) -> None:
        self.actions.append("lose")

    def abort(self) -> None:
        self.actions.append("abort")

    def soon(self) -> None:
        self.actions.append("soon")

    # LinkEvents

    def _give(self) -> None:
        if self.jobs:
            self.conversation.send(self.jobs.pop(0))

    def ready(self, tls: TlsFacts | None) -> None:
        self.events.append(("ready", tls))
        self._give()

    def failed(self, failure: LinkFailure, broken_tls: bool) -> None:
        self.events.append(("failed", failure, broken_tls))

    def wants_job(self) -> None:
        self.events.append(("wants_job",))
        self._give()

    def finished(self, job: Job, outcomes: tuple[Outcome, ...]) -> None:
        assert len(outcomes) == len(job.slots)
        self.events.append(("finished", job))
        self.outcomes.append(outcomes)

    def gone(self, failure: LinkFailure | None) -> None:
        self.events.append(("gone", failure))

    @property
    def names(self) -> list[object]:
        """The events' names."""
        return [event[0] for event in self.events]


class Receiver:
    """
    A naive reference server: line by line, no pipelining of its own, content up to the lone dot.

    :ivar messages: MAIL line, RCPT lines that were accepted, content.
    :ivar faults: what it says instead at the nth time of a verb, as ``("RCPT", 2)``; "" is the greeting, "." content.
    """

    def __init__(self, *keywords: str, faults: dict[tuple[str, int], bytes] | None = None) -> None:
        self.keywords = keywords
        self.faults = faults or {}
        self.counts: dict[str, int] = {}
        self.messages: list[tuple[bytes, list[bytes], bytes]] = []
        self.verbs: list[str] = []
        self._buffer = b""
        self._content: list[bytes] | None = None
        self._mail = b""
        self._rcpts: list[bytes] = []

    def _says(self, verb: str, reply: bytes) -> bytes:
        self.counts[verb] = self.counts.get(verb, 0) + 1
        return self.faults.get((verb, self.counts[verb]), reply)

    def greet(self) -> bytes:
        return self._says("", b"220 mx.example.net ESMTP\r\n")

    def feed(self, octets: bytes) -> bytes:
        """Commands or content; gives the replies."""
        self._buffer += octets
        replies = b""
        while b"\r\n" in self._buffer:
            line, _, self._buffer = self._buffer.partition(b"\r\n")
            replies += self._line(line)
        return replies

    def _line(self, line: bytes) -> bytes:  # noqa: PLR0911 (one for each verb)
        if self._content is not None:
            if line == b".":
                return self._end()
            self._content.append((line[1:] if line.startswith(b".") else line) + b"\r\n")
            return b""
        verb = line[:4].decode("ascii", "replace").upper()
        self.verbs.append(verb)
        match verb:
            case "EHLO":
                names = ["mx.example.net", *self.keywords]
                lines = [f"250{' ' if at == len(names) - 1 else '-'}{name}\r\n" for at, name in enumerate(names)]
                return self._says(verb, "".join(lines).encode())
            case "MAIL":
                reply = self._says(verb, b"250 2.1.0 ok\r\n")
                self._mail, self._rcpts = (line, []) if reply.startswith(b"2") else (b"", [])
                return reply
            case "RCPT":
                reply = self._says(verb, b"250 2.1.5 ok\r\n" if self._mail else b"503 5.5.1 no\r\n")
                if reply.startswith(b"2"):
                    self._rcpts.append(line)
                return reply
            case "DATA":
                reply = self._says(verb, b"354 go\r\n" if self._rcpts else b"503 5.5.1 no\r\n")
                if reply.startswith(b"354"):
                    self._content = []
                return reply
            case "RSET":
                self._mail, self._rcpts = b"", []
                return self._says(verb, b"250 2.0.0 ok\r\n")
            case "QUIT":
                return self._says(verb, b"221 2.0.0 bye\r\n")
            case _:
                return self._says(verb, b"250 2.0.0 ok\r\n")

    def _end(self) -> bytes:
        assert self._content is not None
        content, self._content = b"".join(self._content), None
        reply = self._says(".", b"250 2.0.0 queued\r\n")
        if reply.startswith(b"2") and self._rcpts:
            self.messages.append((self._mail, self._rcpts, content))
        self._mail, self._rcpts = b"", []
        return reply


def cut(octets: bytes, how: str, random: Random) -> Iterator[bytes]:
    """Octets whole, one by one, or cut at random."""
    at = 0
    while at < len(octets):
        size = {"whole": len(octets), "octets": 1}.get(how) or random.randrange(1, 40)
        yield octets[at : at + size]
        at += size


def converse(stage: Stage, receiver: Receiver, how: str = "whole", seed: int = 0) -> None:
    """Let both talk until nobody has anything more to say."""
    random = Random(seed)
    octets = receiver.greet()
    while octets:
        for piece in cut(octets, how, random):
            stage.conversation.receive(piece)
        octets = b""
        while stage.streams:
            trace, body = stage.streams.pop()
            stuffing = Stuffing()
            stage.write(stuffing.take(trace))
            with body.open() as stream:
                while piece := stream.read(random.randrange(1, 3000)):
                    stage.write(stuffing.take(piece))
            stage.conversation.content_sent(stuffing.end())
        for write in list(stage.writes):
            octets += receiver.feed(write)
        stage.writes.clear()


def relayed(text: str = "queued") -> Relayed:
    """The outcome of a message that was taken."""
    return Relayed(Reply(250, "2.0.0", (text,)), HOP.host, HOP.address)


FULL = ("PIPELINING", "SIZE 1000000", "8BITMIME", "SMTPUTF8")


class DialogueTests(SynchronousTestCase):
    """A host that does everything right."""

    @holds("2920", "3.1", "As a client, MAIL, RCPT and DATA go out as one group where PIPELINING is offered.")
    def test_pipelined(self) -> None:
        """With PIPELINING the envelope is one write, content another, and the next envelope goes with it."""
        stage = Stage(TlsNeed.OFF, make_job("b@example.net", "c@example.net"), make_job("d@example.net"))
        self.assertEqual(stage.hear(b"220 hi\r\n"), b"EHLO gw.example.com\r\n")
        self.assertEqual(
            stage.hear(b"250-mx\r\n250 PIPELINING\r\n"),
            b"MAIL FROM:<alice@example.com>\r\nRCPT TO:<b@example.net>\r\nRCPT TO:<c@example.net>\r\nDATA\r\n",
        )
        self.assertEqual(stage.hear(b"250 ok\r\n250 ok\r\n250 ok\r\n"), b"")
        self.assertEqual(
            stage.hear(b"354 go\r\n"),
            TRACE + b"Subject: x\r\n\r\nhello\r\n.\r\n"
            b"MAIL FROM:<alice@example.com>\r\nRCPT TO:<d@example.net>\r\nDATA\r\n",
        )
        self.assertEqual(len(stage.writes), 1)
        self.assertEqual(stage.names, ["ready", "wants_job"])
        stage.hear(b"250 2.0.0 queued\r\n250 ok\r\n250 ok\r\n354 go\r\n")
        self.assertEqual(stage.hear(b"250 2.0.0 queued\r\n"), b"")
        self.assertEqual(stage.outcomes, [(relayed(), relayed()), (relayed(),)])
        self.assertEqual(stage.names, ["ready", "wants_job", "finished", "wants_job", "finished"])

    @holds(
        "5321",
        "4.3.1",
        "As a client, where PIPELINING is not offered every command waits for the reply to the one before.",
    )
    def test_lock_step(self) -> None:
        """Without PIPELINING every command waits for the reply to the one before."""
        stage = Stage(TlsNeed.OFF, make_job("b@example.net", "c@example.net"), make_job("d@example.net"))
        stage.hear(b"220 hi\r\n")
        self.assertEqual(stage.hear(b"250 mx\r\n"), b"MAIL FROM:<alice@example.com>\r\n")
        self.assertEqual(stage.hear(b"250 ok\r\n"), b"RCPT TO:<b@example.net>\r\n")
        self.assertEqual(stage.hear(b"250 ok\r\n"), b"RCPT TO:<c@example.net>\r\n")
        self.assertEqual(stage.hear(b"251 ok\r\n"), b"DATA\r\n")
        self.assertEqual(stage.hear(b"354 go\r\n"), TRACE + b"Subject: x\r\n\r\nhello\r\n.\r\n")
        self.assertEqual(stage.names, ["ready"])
        self.assertEqual(stage.hear(b"250 2.0.0 queued\r\n"), b"MAIL FROM:<alice@example.com>\r\n")
        self.assertEqual(stage.names, ["ready", "finished", "wants_job"])
        self.assertEqual(stage.outcomes, [(relayed(), relayed())])

    def test_old_host(self) -> None:
        """A host that knows no EHLO is spoken to with HELO, and offers nothing."""
        stage = Stage(TlsNeed.OPPORTUNISTIC, make_job(body_type=BodyType.EIGHT_BIT))
        stage.hear(b"220 hi\r\n")
        self.assertEqual(stage.hear(b"500 what?\r\n"), b"HELO gw.example.com\r\n")
        self.assertEqual(
            stage.hear(b"250-mx\r\n250-PIPELINING\r\n250 8BITMIME\r\n"), b"MAIL FROM:<alice@example.com>\r\n"
        )

    def test_close(self) -> None:
        """QUIT when idle; after the reply the connection is closed, which is as we wished."""
        stage = Stage()
        converse(stage, Receiver())
        stage.conversation.close()
        self.assertEqual(stage.said(), b"QUIT\r\n")
        self.assertEqual(stage.conversation.patience_seconds, 5.0)
        stage.conversation.receive(b"221 bye\r\n")
        self.assertEqual(stage.actions, ["lose"])
        stage.conversation.lost("done")
        self.assertEqual(stage.events[-1], ("gone", None))
        stage.conversation.lost("done")
        self.assertEqual(stage.names, ["ready", "gone"])

    def test_close_is_patient(self) -> None:
        """With a job under way QUIT waits for its reply, and no other job is asked for."""
        for keywords in [(), ("PIPELINING",)]:
            stage = Stage(TlsNeed.OFF, make_job(), make_job())
            receiver = Receiver(*keywords)
            stage.conversation.receive(receiver.greet())
            stage.conversation.receive(receiver.feed(stage.said()))
            stage.conversation.close()
            octets = receiver.feed(stage.said())
            while octets:
                stage.conversation.receive(octets)
                octets = receiver.feed(stage.said())
            self.assertEqual(stage.outcomes, [(relayed(),)])
            self.assertEqual(receiver.verbs[-1], "QUIT")
            self.assertEqual(len(stage.jobs), 1)

    def test_after_the_end_nothing_changes(self) -> None:
        """Once a message is taken, no answer to QUIT, drop or silence reports it again."""
        for ending in [b"550 no\r\n", b"garbage\r\n", b"421 x\r\n", b"x" * 9999, b"221-", b""]:
            stage = Stage(TlsNeed.OFF, make_job())
            receiver = Receiver("PIPELINING", faults={("QUIT", 1): ending})
            converse(stage, receiver)
            stage.conversation.close()
            stage.conversation.receive(receiver.feed(stage.said()))
            stage.conversation.expire()
            stage.conversation.lost("gone")
            self.assertEqual(stage.names.count("finished"), 1)
            self.assertEqual(stage.events[-1], ("gone", None))

    def test_a_job_must_be_asked_for(self) -> None:
        """A job that nobody asked for is an error of ours, and shows."""
        stage = Stage()
        self.assertRaises(RuntimeError, stage.conversation.send, make_job())
        converse(stage, Receiver())
        stage.conversation.send(make_job())
        self.assertRaises(RuntimeError, stage.conversation.send, make_job())

    def test_waits(self) -> None:
        """Each wait has its own time (RFC 5321 section 4.5.3.2)."""
        stage = Stage(TlsNeed.OFF, make_job())
        conversation = stage.conversation
        seconds = [conversation.patience_seconds]
        for reply in [b"220 x\r\n", b"250 x\r\n", b"250 x\r\n", b"250 x\r\n", b"354 x\r\n", b"250 x\r\n"]:
            conversation.receive(reply)
            seconds.append(conversation.patience_seconds)
        self.assertEqual(seconds, [300, 300, 300, 300, 120, 600, None])

    def test_progress(self) -> None:
        """Pieces of a reply are no progress: a host can't drip its way round the time limit."""
        stage = Stage(TlsNeed.OFF, make_job("b@example.net", "c@example.net"))
        stage.hear(b"220 x\r\n")
        stage.hear(b"250-x\r\n250 PIPELINING\r\n")
        self.assertFalse(stage.conversation.receive(b"250-x\r\n25"))
        self.assertTrue(stage.conversation.receive(b"0 x\r\n250"))
        self.assertFalse(stage.conversation.receive(b" x"))

    def test_several_messages(self) -> None:
        """Twenty messages on one connection need no RSET and arrive in order."""
        for keywords in [(), ("PIPELINING",)]:
            for inline in [True, False]:
                jobs = [make_job(content=b".%d\r\n" % number, inline=inline) for number in range(20)]
                stage = Stage(TlsNeed.OFF, *jobs)
                receiver = Receiver(*keywords)
                converse(stage, receiver)
                self.assertEqual(
                    [content for _, _, content in receiver.messages], [TRACE + b".%d\r\n" % n for n in range(20)]
                )
                self.assertNotIn("RSET", receiver.verbs)
                self.assertEqual(stage.outcomes, [(relayed(),)] * 20)

    def test_content_arrives_octet_for_octet(self) -> None:
        """3,000 random bodies, in memory and streamed, reach a naive receiver as they are, whatever the cuts."""
        random = Random(3)
        bodies = [
            b"".join(
                random.choice([b".", b"..\r\n", b"\r\n", b"a", b".\r\n", b"QUIT\r\n"])
                for _ in range(random.randrange(30))
            )
            + b"\r\n"
            for _ in range(3000)
        ]
        jobs = [make_job(content=content, inline=bool(random.randrange(2))) for content in bodies]
        stage = Stage(TlsNeed.OFF, *jobs)
        receiver = Receiver("PIPELINING")
        converse(stage, receiver, "random")
        self.assertEqual([content for _, _, content in receiver.messages], [TRACE + content for content in bodies])


class ParameterTests(SynchronousTestCase):
    """MAIL says what the host knows, and nothing else."""

    def mail(self, job: Job, *keywords: str) -> bytes:
        """The MAIL command for a job."""
        stage = Stage(TlsNeed.OFF, job)
        stage.hear(b"220 x\r\n")
        offer = "".join(f"250-{keyword}\r\n" for keyword in ("mx", *keywords)) + "250 HELP\r\n"
        return stage.hear(offer.encode()).partition(b"\r\n")[0]

    @holds("1870", "6", "As a client, MAIL bears the size of trace header and content together where SIZE is offered.")
    def test_size(self) -> None:
        """SIZE counts our trace header with the content."""
        job = make_job(content=b"x" * 100)
        self.assertEqual(self.mail(job, "size 5000"), b"MAIL FROM:<alice@example.com> SIZE=%d" % (100 + len(TRACE)))
        self.assertEqual(self.mail(job), b"MAIL FROM:<alice@example.com>")

    @holds("6152", "3", "As a client, BODY=8BITMIME is said of content that was declared so, to a host that offers it.")
    def test_body(self) -> None:
        """BODY=8BITMIME for content that was declared so, to a host that knows it."""
        job = make_job(body_type=BodyType.EIGHT_BIT)
        self.assertEqual(self.mail(job, "8BitMime"), b"MAIL FROM:<alice@example.com> BODY=8BITMIME")
        self.assertEqual(self.mail(job), b"MAIL FROM:<alice@example.com>")
        self.assertEqual(self.mail(make_job(), "8BITMIME"), b"MAIL FROM:<alice@example.com>")

    def test_null_path(self) -> None:
        """A notification has the null reverse-path."""
        self.assertEqual(self.mail(make_job(reverse_path=None)), b"MAIL FROM:<>")

    @holds(
        "6531", "3.4", "As a client, SMTPUTF8 is said where the message or an address needs it and the host offers it."
    )
    def test_smtputf8(self) -> None:
        """SMTPUTF8 when the header or an address needs it, and the host knows it; else it is not sent."""
        self.assertEqual(self.mail(make_job(smtputf8=True), "SMTPUTF8"), b"MAIL FROM:<alice@example.com> SMTPUTF8")
        self.assertEqual(self.mail(make_job(smtputf8=True)), b"")
        self.assertEqual(
            self.mail(make_job("b\u00f6b@example.net"), "SMTPUTF8"), b"MAIL FROM:<alice@example.com> SMTPUTF8"
        )
        self.assertEqual(
            self.mail(make_job(reverse_path=Mailbox("\u00e4", "example.com")), "SMTPUTF8"),
            "MAIL FROM:<\u00e4@example.com> SMTPUTF8".encode(),
        )
        self.assertEqual(self.mail(make_job(), "SMTPUTF8"), b"MAIL FROM:<alice@example.com>")

    def test_a_label(self) -> None:
        """A domain alone that isn't ASCII is written as A-label for a host without SMTPUTF8."""
        self.assertEqual(
            self.mail(make_job(reverse_path=Mailbox("a", "b\u00fccher.example"))),
            b"MAIL FROM:<a@xn--bcher-kva.example>",
        )


class UnsendableTests(SynchronousTestCase):
    """What can't be said to a host fails without a word to it."""

    def outcomes(self, job: Job, *keywords: str) -> tuple[tuple[Outcome, ...], Receiver]:
        """Of one job, followed by one that is fine."""
        stage = Stage(TlsNeed.OFF, job, make_job("next@example.net"))
        receiver = Receiver("PIPELINING", *keywords)
        converse(stage, receiver)
        self.assertEqual(receiver.messages[-1][1], [b"RCPT TO:<next@example.net>"])
        self.assertEqual(len(stage.outcomes), 2)
        self.assertEqual(stage.names, ["ready", "finished", "wants_job", *stage.names[3:]])
        return stage.outcomes[0], receiver

    @holds("1870", "4", "As a client, a message above the limit that the host announced fails without MAIL.")
    def test_too_large(self) -> None:
        """A message above the host's limit fails with 5.3.4 before it is sent."""
        job = make_job("b@example.net", "c@example.net", content=b"x" * 1000)
        outcomes, receiver = self.outcomes(job, "SIZE 1000")
        failed = Failed(
            "5.3.4", f"the message has {1000 + len(TRACE)} octets, the host takes 1000", Scope.MESSAGE, None, *HOP_NAMES
        )
        self.assertEqual(outcomes, (failed, failed))
        self.assertEqual(receiver.verbs.count("MAIL"), 1)

    @holds(
        "6531",
        "3.2",
        "As a client, only recipients whose local part is not ASCII fail with 5.6.7 at a host without SMTPUTF8.",
    )
    def test_no_smtputf8(self) -> None:
        """An address that isn't ASCII fails with 5.6.7; of several recipients, only that one."""
        stage = Stage(TlsNeed.OFF, make_job("b@example.net", "\u00fc@example.net", "c@b\u00fccher.example"))
        receiver = Receiver("PIPELINING")
        converse(stage, receiver)
        ((first, second, third),) = stage.outcomes
        self.assertEqual((first, third), (relayed(), relayed()))
        assert isinstance(second, Failed)
        self.assertEqual((second.status, second.scope), ("5.6.7", Scope.RECIPIENT))
        self.assertEqual(receiver.messages[0][1], [b"RCPT TO:<b@example.net>", b"RCPT TO:<c@xn--bcher-kva.example>"])

    def test_reverse_path(self) -> None:
        """A reverse-path that can't be written fails the message."""
        (outcome,), _ = self.outcomes(make_job(reverse_path=Mailbox("\u00fc", "example.com")))
        assert isinstance(outcome, Failed)
        self.assertEqual((outcome.status, outcome.scope), ("5.6.7", Scope.MESSAGE))

    def test_injection(self) -> None:
        """No address can end the path or the line it stands in."""
        for local, domain in [
            ("a\r\nRSET", "example.net"),
            ("a\nb", "example.net"),
            ("a\x00b", "example.net"),
            ("a\x85b", "example.net"),
            ("a", "example.net\r\nDATA"),
            ("a", "example.net> SIZE=1"),
            ("a", "example.net>"),
            ("a", "exa mple.net"),
            ("a", "[192.0.2.1]>x"),
            ("a", "[192.0.2.1\r\n]"),
            ("a", ""),
            ("", "example.net"),
            ("a", "\u2028.example"),
            ("\ud800", "example.net"),
            ("a" * 1000, "example.net"),
        ]:
            (outcome,), receiver = self.outcomes(make_job(Mailbox(local, domain)), "SMTPUTF8")
            assert isinstance(outcome, Failed)
            self.assertEqual((outcome.status, outcome.scope), ("5.1.3", Scope.RECIPIENT), (local, domain))
            self.assertEqual(receiver.verbs.count("RCPT"), 1)

    def test_quoted(self) -> None:
        """Local parts that need quotes get them."""
        stage = Stage(TlsNeed.OFF, make_job(Mailbox('a"> b', "[IPv6:2001:db8::1]")))
        receiver = Receiver("PIPELINING")
        converse(stage, receiver)
        self.assertEqual(receiver.messages[0][1], [b'RCPT TO:<"a\\"> b"@[IPv6:2001:db8::1]>'])

    def test_not_before_send_returns(self) -> None:
        """A job given to an idle link that can't be sent is reported later, not from within ``send``."""
        stage = Stage()
        converse(stage, Receiver())
        stage.conversation.send(make_job(Mailbox("", "")))
        self.assertEqual(stage.names, ["ready"])
        self.assertEqual(stage.actions, ["soon"])
        stage.conversation.resume()
        self.assertEqual(stage.names, ["ready", "finished", "wants_job"])

    def test_closed_while_it_waits(self) -> None:
        """A link closed before such a report still makes it, and then takes its leave."""
        stage = Stage()
        converse(stage, Receiver())
        stage.conversation.send(make_job(Mailbox("", "")))
        stage.conversation.close()
        self.assertEqual(stage.sent, b"")
        stage.conversation.resume()
        self.assertEqual(stage.names, ["ready", "finished"])
        self.assertEqual(stage.sent, b"QUIT\r\n")

    def test_a_thousand(self) -> None:
        """A thousand of them in a row don't pile up on the stack."""
        stage = Stage(TlsNeed.OFF, *(make_job(Mailbox("", "")) for _ in range(2000)), make_job())
        converse(stage, Receiver())
        self.assertEqual(len(stage.outcomes), 2001)
        self.assertEqual(stage.outcomes[-1], (relayed(),))

    def test_helo_name(self) -> None:
        """A name that can't stand in EHLO is refused at the start."""
        for name in ["", "a b", "a\r\nb", "\u00fc.example"]:
            self.assertRaises(ValueError, RelaySettings, name)


HOP_NAMES = (HOP.host, HOP.address)


class StreamTests(SynchronousTestCase):
    """Content that isn't in memory."""

    def streaming(self) -> Stage:
        """In the middle of content, with another job waiting."""
        stage = Stage(TlsNeed.OFF, make_job(inline=False), make_job())
        stage.hear(b"220 x\r\n")
        stage.hear(b"250-x\r\n250 PIPELINING\r\n")
        stage.hear(b"250 x\r\n250 x\r\n354 x\r\n")
        self.assertEqual(len(stage.streams), 1)
        return stage

    def test_waits(self) -> None:
        """Blocks have their own time, and the next job waits for the last octet."""
        stage = self.streaming()
        self.assertEqual(stage.conversation.patience_seconds, 180)
        self.assertEqual(stage.names, ["ready"])
        stage.conversation.content_sent(b".\r\n")
        self.assertTrue(stage.sent.startswith(b".\r\nMAIL FROM"))
        self.assertEqual(stage.conversation.patience_seconds, 600)
        stage.conversation.content_sent(b".\r\n")
        self.assertEqual(stage.sent.count(b"MAIL"), 1)

    def test_refused_midway(self) -> None:
        """A refusal before the end counts, and the connection ends: it can't be brought back into step."""
        stage = self.streaming()
        stage.conversation.receive(b"552 5.3.4 enough\r\n")
        ((outcome,),) = stage.outcomes
        assert isinstance(outcome, Failed)
        self.assertEqual((outcome.status, outcome.scope), ("5.3.4", Scope.MESSAGE))
        self.assertEqual(stage.actions, ["abort"])
        self.assertEqual(stage.names, ["ready", "finished", "gone"])

    def test_accepted_midway(self) -> None:
        """An acceptance before the end is none."""
        stage = self.streaming()
        stage.conversation.receive(b"250 2.0.0 fine\r\n")
        ((outcome,),) = stage.outcomes
        assert isinstance(outcome, Delayed)
        self.assertEqual((outcome.status, outcome.scope), ("4.5.0", Scope.MESSAGE))

    def test_half_a_reply_midway(self) -> None:
        """An acceptance that began before the end is none either."""
        stage = self.streaming()
        stage.conversation.receive(b"250 2.0.0 fi")
        stage.conversation.content_sent(b".\r\n")
        stage.conversation.receive(b"ne\r\n")
        self.assertIsInstance(stage.outcomes[0][0], Delayed)
        self.assertEqual(stage.conversation.phase, Phase.CLOSED)

    def test_cannot_be_read(self) -> None:
        """Content that can't be read here delays the message, and the host isn't blamed."""
        stage = self.streaming()
        stage.conversation.content_lost("disk on fire")
        self.assertEqual(stage.outcomes, [(Delayed("4.3.0", "disk on fire", Scope.MESSAGE, None, *HOP_NAMES),)])
        self.assertEqual(stage.actions, ["abort"])
        stage.conversation.content_lost("again")
        self.assertEqual(stage.names, ["ready", "finished", "gone"])
