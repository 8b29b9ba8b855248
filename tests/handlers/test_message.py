"""Tests for the message that a handler gets."""

from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.handlers.message import HEAD_OCTETS, IncomingMessage, UnreadableMessage, header_section
from tests.handlers.bodies import RECEIVED_AT, TLS, CountedThreads, MemoryBody, message_for

CONTENT = (
    b"From: Alice <alice@a.example>\r\n"
    b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n aus Rom\r\n"
    b"X-Tag: one\r\nx-tag:two\r\nX-Tag : three\r\n"
    b"\r\n"
    b"Subject: not this\r\n\r\nHello\r\n"
)


def incoming(content=CONTENT, *, is_large=False, reverse_path=...):
    """A message, and where its work is counted."""
    body = MemoryBody(content, is_large=is_large)
    threads = CountedThreads()
    message = message_for(
        "bob", "b c", size=len(content), **({} if reverse_path is ... else {"reverse_path": reverse_path})
    )
    head = content[:HEAD_OCTETS]
    return IncomingMessage(message, message.envelope.recipients, body, threads, head), body, threads


class FactsTests(SynchronousTestCase):
    """What is known of a message without reading it."""

    def test_facts(self):
        """Envelope, client and time, as plain values."""
        message = incoming()[0]
        self.assertEqual(message.queue_id, "0RZBH7D4XM000")
        self.assertEqual(message.reverse_path, "a@a.example")
        self.assertEqual(message.recipients, ("bob@ours.example", '"b c"@ours.example'))
        self.assertEqual(
            (message.client_address, message.helo, message.client_name), ("192.0.2.1", "client.example", "host.example")
        )
        self.assertEqual((message.tls, message.identity), (TLS, None))
        self.assertEqual(message.received_at, datetime.fromtimestamp(RECEIVED_AT, UTC))
        self.assertIsNotNone(message.received_at.tzinfo)
        self.assertEqual((message.size, message.trace), (len(CONTENT), b"Received: x\r\n"))

    def test_null_path(self):
        """A notification has the empty reverse path."""
        self.assertEqual(incoming(reverse_path=None)[0].reverse_path, "")

    def test_shown(self):
        """It is shown by its id and never with its content."""
        self.assertEqual(repr(incoming()[0]), f"<IncomingMessage 0RZBH7D4XM000 for 2, {len(CONTENT)} octets>")


class HeaderTests(SynchronousTestCase):
    """Fields of the header, decoded."""

    def value(self, octets, name="Subject"):
        """The value of a field written like that."""
        return incoming(b"Subject:" + octets + b"\r\n\r\n")[0].header(name)

    def test_subject(self):
        """Unfolded and decoded; from the header and not from the text."""
        message = incoming()[0]
        self.assertEqual(message.subject, "Grüße aus Rom")
        self.assertEqual(message.header("subject"), "Grüße aus Rom")

    def test_repeated(self):
        """Fields may repeat; the first is the one that is told."""
        message = incoming()[0]
        self.assertEqual(message.header_all("X-TAG"), ["one", "two", "three"])
        self.assertEqual(message.header_all("X-Tag", limit=2), ["one", "two"])
        self.assertEqual(message.header("X-Tag"), "one")

    def test_missing(self):
        """What isn't there is nothing; a part of a name is not the name."""
        message = incoming(b"X-Subject-Long: x\r\n\r\n")[0]
        self.assertEqual(message.subject, "")
        for name in ("Subject", "X-Subject", "", ".*", "X-Subject-Lon."):
            self.assertIsNone(message.header(name))

    def test_odd(self):
        """Broken forms are told as they were written, and nothing in a value ends a line."""
        table = {
            b" plain": "plain",
            b"": "",
            b" Gr\xc3\xbc\xc3\x9fe": "Grüße",
            b" \xff": "\ufffd",
            b" =?x-unknown?q?=41?=": "=?x-unknown?q?=41?=",
            b" =?zlib?b?QUJD?=": "=?zlib?b?QUJD?=",
            b" =?utf-8?q?a=0D=0ABcc:_x=00?=": "a  Bcc: x ",
            b" a\tb\x1b\r\n\tc": "a b  c",
        }
        for octets, value in table.items():
            self.assertEqual(self.value(octets), value, octets)

    def test_long(self):
        """A value made to be slow is left as it is."""
        octets = b"=?utf-8?q?=41?= " * 5000
        self.assertEqual(self.value(octets), octets.decode().strip())

    def test_sections(self):
        """The header ends at the first empty line."""
        table = [
            (b"", b""),
            (b"\r\nbody", b""),
            (b"A: b\r\n\r\nbody\r\n\r\n", b"A: b\r\n"),
            (b"A: b\r\n", b"A: b\r\n"),
        ]
        for head, header in table:
            self.assertEqual(header_section(head), header)

    @given(st.binary(max_size=200))
    @settings(max_examples=200, deadline=None)
    def test_anything(self, octets):
        """No header makes it raise, and no value can end a line."""
        for content in (octets, b"Subject: " + octets + b"\r\n\r\n", b"Subject: =?utf-8?b?" + octets + b"?=\r\n\r\n"):
            self.assertNotRegex(incoming(content)[0].subject, "[\r\n\0]")


class ContentTests(SynchronousTestCase):
    """The content, in three ways."""

    def result(self, coroutine):
        """What it comes to."""
        return self.successResultOf(Deferred.fromCoroutine(coroutine))

    def test_small(self):
        """A small one is there at once."""
        message, _, threads = incoming()
        self.assertEqual(self.result(message.content()), CONTENT)
        self.assertEqual(threads.runs, 0)

    def test_large(self):
        """A large one is read in a thread, and its file closed."""
        message, body, threads = incoming(is_large=True)
        self.assertEqual(self.result(message.content()), CONTENT)
        self.assertEqual(threads.runs, 1)
        self.assertTrue(body.opened[0].closed)

    def test_stream(self):
        """A stream gives it piece by piece."""
        with incoming(is_large=True)[0].open() as stream:
            self.assertEqual(stream.read(4), b"From")

    def test_parsed(self):
        """A tree of parts, made in a thread, whatever its size."""
        content = (
            b"Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
            b"--b\r\n\r\ntext\r\n--b\r\nContent-Type: application/pdf\r\n\r\n%PDF\r\n--b--\r\n"
        )
        for is_large in (False, True):
            message, _, threads = incoming(content, is_large=is_large)
            tree = self.result(message.parsed())
            self.assertEqual(
                [part.get_content_type() for part in tree.get_payload()], ["text/plain", "application/pdf"]
            )
            self.assertEqual(tree["Subject"], "x")
            self.assertEqual(threads.runs, 1)

    def test_bombs(self):
        """What is made to exhaust the parser is refused by one kind of exception, soon."""
        nested = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(101))
        bombs = (
            nested,
            nested * 100,
            nested.replace(b"boundary", b"BOUNDary") + b"x\r\n" * 250_000,
            b"Content-Type: message/rfc822\r\n\r\n" * 5000 + b"x",
            b"Content-Type: text/plain; " + b"a=b; " * 20_000 + b"\r\n\r\nx",
            b'Content-Type: text/plain; x="' + b";" * 60_000 + b"\r\n\r\nx",
            b"Content-Type: text/plain;" + b"(" * 60_000 + b"\r\n\r\nx",
        )
        for bomb in bombs:
            self.failureResultOf(Deferred.fromCoroutine(incoming(bomb)[0].parsed()), UnreadableMessage)

    @given(st.binary(max_size=300))
    @settings(max_examples=100, deadline=None)
    def test_anything(self, octets):
        """Any content gives a tree or that exception."""
        for content in (octets, b"Content-Type: multipart/mixed; boundary=" + octets):
            try:
                self.result(incoming(content)[0].parsed()).get_content_type()
            except self.failureException:
                self.flushLoggedErrors(UnreadableMessage)
                raise
