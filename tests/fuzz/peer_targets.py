"""What other hosts say: a proxy, a host that is asked for recipients, a next hop; and notifications of it."""

import re
from collections.abc import Callable
from ipaddress import ip_address
from random import Random

from msgspec.structs import replace

from smtpgw.delivery.lifecycle import LifeRules, apply
from smtpgw.delivery.notify import MOST_RETURNED_OCTETS, delay_notice, failure_notice, success_notice
from smtpgw.delivery.retry import RetrySchedule
from smtpgw.model.address import Mailbox
from smtpgw.model.envelope import MailParameters, Notify, Recipient, Returned
from smtpgw.model.message import Entry
from smtpgw.model.outcome import Delayed, Failed, Outcome, Relayed
from smtpgw.model.reply import Reply
from smtpgw.model.route import TlsNeed
from smtpgw.net.proxy_header import BadProxyHeader, ProxyHeaderReader
from smtpgw.policy.greylisting import triplet_key
from smtpgw.smtp.conversation import Conversation, Phase
from smtpgw.smtp.grammar import parse_mailbox
from smtpgw.smtp.probe import Probe
from smtpgw.smtp.reply_reader import BadReply, ReplyReader
from tests.delivery.entries import EXPIRES_AT, QUEUE_ID, RECEIVED_AT, entry_for
from tests.smtp.test_conversation import FACTS, Stage, make_job
from tests.smtp.test_conversation_envelope import job_with

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_NEEDS = tuple(TlsNeed)
_RULES = LifeRules(RetrySchedule((300.0,)))
_NOW = RECEIVED_AT + 60.0


def proxy(octets: bytes) -> None:
    """A PROXY header in any cuts: the same client and the same rest, and what is held back is bounded."""
    if not octets:
        return
    step, octets = octets[0] % 9 + 1, octets[1:]
    whole = _read_proxy([octets])
    cut = _read_proxy([octets[at : at + step] for at in range(0, len(octets), step)])
    assert whole == cut, (whole, cut)


def _read_proxy(pieces: list[bytes]) -> tuple[object, bytes]:
    reader, rest = ProxyHeaderReader(), list(pieces)
    held = 0
    while rest:
        piece = rest.pop(0)
        held += len(piece)
        try:
            client = reader.feed(piece)
        except BadProxyHeader as trouble:
            return str(trouble), b""
        if client is not None:
            if client.address:
                assert str(ip_address(client.address)) == client.address, client
                assert "::ffff:" not in client.address or "." not in client.address, client
            assert 0 <= client.port <= 65535, client
            return client, reader.rest + b"".join(rest)
        assert held < 4096, held
    return None, b""


class _ProbeOwner:
    """Asks one question after the other, and counts."""

    def __init__(self) -> None:
        self.asked = 0
        self.answered = 0
        self.is_broken = False
        self.sent: list[bytes] = []
        self.probe = Probe("gw.example", self.sent.append, self)

    def probe_ready(self) -> None:
        assert not self.is_broken
        if self.asked < 50:
            self.asked += 1
            self.probe.ask(Mailbox("\u00fc" if self.asked % 3 == 0 else f"user{self.asked}", "example.com"))

    def probe_answered(self, answer: bool | str) -> None:
        assert not self.is_broken
        self.answered += 1
        assert self.answered <= self.asked
        if isinstance(answer, str):
            assert answer
            assert not _CONTROL.search(answer), answer
            assert len(answer) <= 300, answer

    def probe_broken(self, reason: str) -> None:
        assert not self.is_broken
        assert not _CONTROL.search(reason), reason
        self.is_broken = True


def probe(octets: bytes) -> None:
    """A host that is asked for recipients and says anything: no more answers than questions, one end, no DATA."""
    if not octets:
        return
    step, octets = octets[0] % 50 + 1, octets[1:]
    owner = _ProbeOwner()
    for at in range(0, len(octets), step):
        owner.probe.feed(octets[at : at + step])
    if not owner.is_broken:
        owner.probe.leave()
    said = b"".join(owner.sent)
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)", said), said
    assert all(line[:4] in (b"EHLO", b"HELO", b"MAIL", b"RCPT", b"RSET", b"QUIT") for line in said.split(b"\r\n")[:-1])


_EVENTS: dict[bytes, Callable[[Conversation], object]] = {
    b"\x01": lambda conversation: conversation.secured(FACTS),
    b"\x02": lambda conversation: conversation.content_sent(b".\r\n"),
    b"\x03": lambda conversation: conversation.content_lost("disk"),
    b"\x04": lambda conversation: conversation.expire(),
    b"\x05": lambda conversation: conversation.resume(),
    b"\x06": lambda conversation: conversation.close(),
    b"\x07": lambda conversation: conversation.abort(),
}
_CUTS = re.compile(rb"([\x01-\x07])")


class _Giver(Stage):
    """Counts the jobs that were asked for."""

    given = 0

    def _give(self) -> None:
        if self.jobs:
            self.given += 1
        super()._give()


def relay(octets: bytes) -> None:
    """
    A next hop that says anything at any time: each job ends once, and the connection once.

    The first octet says how TLS is needed; the octets 1 to 7 are events of ours, everything else is the host's.
    """
    if not octets:
        return
    jobs = [
        make_job("b@example.net", "c@example.net"),
        job_with(envelope_id="QQ", returned=Returned.HEADERS),
        make_job("\u00fc@example.net"),
        make_job(inline=False),
        job_with(requires_tls=True),
    ] * 2
    giver = _Giver(_NEEDS[octets[0] % len(_NEEDS)], *jobs)
    conversation = giver.conversation
    for piece in _CUTS.split(octets[1:]):
        event = _EVENTS.get(piece)
        if event is not None:
            event(conversation)
        elif piece:
            conversation.receive(piece)
        seconds = conversation.patience_seconds
        assert seconds is None or seconds > 0
    conversation.resume()
    conversation.lost("gone")
    assert conversation.phase is Phase.CLOSED
    names = [event[0] for event in giver.events]
    assert names.count("finished") == giver.given, (names, giver.given)
    assert names.count("failed") + names.count("gone") == 1, names
    assert names[-1] in {"failed", "gone"}, names
    for outcome in (outcome for outcomes in giver.outcomes for outcome in outcomes):
        assert isinstance(outcome, Relayed | Delayed | Failed), outcome
        assert not isinstance(outcome, Relayed) or outcome.reply.is_positive, outcome
        if isinstance(outcome, Delayed | Failed):
            assert outcome.status[:2] == ("4." if isinstance(outcome, Delayed) else "5."), outcome


def notice(octets: bytes) -> None:
    """
    Notifications with a hostile next hop's words, and a hostile sender's header and addresses, in them.

    The first octet says what for; then up to a NUL what is returned, then what the host has said.
    """
    if not octets:
        return
    kind, (header, _, said) = octets[0], octets[1:].partition(b"\0")
    reply = _first_reply(said)
    host = said[:80].decode("utf-8", "replace")
    bob = _mailbox(said[:120]) or Mailbox("bob", "b.example")
    outcome: Outcome
    if kind & 1:
        outcome = Failed("5.1.1", host, reply=reply, host=host, address=host)
    elif kind & 2 and reply is not None:
        outcome = Relayed(reply, host, host)
    else:
        outcome = Delayed("4.2.0", host, reply=reply, host=host, address=host)
    entry = entry_for(bob, Mailbox("carol", "b.example"))
    recipients = tuple(
        Recipient(one.mailbox, Notify(success=True, failure=True, delay=True), "rfc822;" + ascii(host)[1:-1])
        for one in entry.message.envelope.recipients
    )
    envelope = replace(
        entry.message.envelope,
        recipients=recipients,
        parameters=MailParameters(envelope_id=ascii(host)[1:-1], returned=Returned.FULL if kind & 4 else None),
    )
    entry = replace(entry, message=replace(entry.message, envelope=envelope))
    entry = apply(entry, (0, 1), (outcome, outcome), _NOW, _RULES, Random(1)).entry
    header = re.sub(rb"[\r\n\0]+", b"\r\n", header)
    about = (entry, (0, 1), _NOW, "gw.example", QUEUE_ID + 1, header, EXPIRES_AT, Random(1))
    if isinstance(outcome, Failed):
        made = failure_notice(*about, whole=header if kind & 4 else None)
    else:
        made = success_notice(*about) if isinstance(outcome, Relayed) else delay_notice(*about)
    assert made is not None
    _check_notice(*made, len(header))


def _mailbox(octets: bytes) -> Mailbox | None:
    try:
        return parse_mailbox(octets.decode("utf-8", "replace"))
    except ValueError:
        return None


def _first_reply(said: bytes) -> Reply | None:
    reader = ReplyReader()
    try:
        reader.feed(said)
        return reader.next()
    except BadReply:
        return None


def _check_notice(entry: Entry, content: bytes, returned: int) -> None:
    assert entry.message.envelope.reverse_path is None
    assert content.endswith(b"\r\n")
    assert len(content) <= 3 * returned + MOST_RETURNED_OCTETS + 64 * 1024, len(content)
    top, _, _ = content.partition(b"\r\n\r\n")
    assert re.fullmatch(rb"(?:[!-9;-~]+: [^\r\n]*\r\n(?:\t[^\r\n]*\r\n)*)+", top + b"\r\n"), top
    boundary = re.search(rb'boundary="([^"]+)"', top)
    assert boundary is not None
    assert content.count(b"\r\n--" + boundary[1]) == 4, content
    report = content.split(b"\r\n--" + boundary[1])[2]
    assert not re.search(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)|(?<!\r)\n", report), report
    assert all(len(line) <= 998 for line in report.split(b"\r\n")), report


def triplets(octets: bytes) -> None:
    """Keys of greylisting: any address has one, and always the same."""
    mailbox = _mailbox(octets)
    if mailbox is None:
        return
    key = triplet_key("192.0.2.0/24", mailbox, mailbox)
    assert key == triplet_key("192.0.2.0/24", mailbox, mailbox)
    assert key != triplet_key("198.51.100.0/24", mailbox, mailbox)
    assert triplet_key("192.0.2.0/24", None, mailbox) != key
