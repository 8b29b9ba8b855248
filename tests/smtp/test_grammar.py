"""Paths, parameters and names."""

# Wrong types are handed in on purpose, and boundaries replaced.
# mypy: no-check-untyped-defs

import time

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.model.address import Mailbox
from smtpgw.model.reply import Reply
from smtpgw.smtp.grammar import (
    PathArgument,
    parse_mailbox,
    read_base64,
    read_helo,
    read_mail,
    read_rcpt,
)
from tests.clauses import holds

_LABEL = "a" * 63
_CONTROLS = [*range(0x20), 0x7F]


class AcceptedPathTests(SynchronousTestCase):
    """Every form of path that RFC 5321 allows is read, into its meaning."""

    CASES = {
        b"<a@example.com>": Mailbox("a", "example.com"),
        b"<A.b+c@EXAMPLE.Com>": Mailbox("A.b+c", "example.com"),
        b"<!#$%&'*+/=?^_`{|}~-@x>": Mailbox("!#$%&'*+/=?^_`{|}~-", "x"),
        b" <a@example.com>": Mailbox("a", "example.com"),
        b'<"a b"@x.example>': Mailbox("a b", "x.example"),
        b'<"a\\"\\\\b"@x.example>': Mailbox('a"\\b', "x.example"),
        b'<"a@b"@x.example>': Mailbox("a@b", "x.example"),
        b'<"a>b"@x.example>': Mailbox("a>b", "x.example"),
        b'<""@x.example>': Mailbox("", "x.example"),
        b"<a@[192.0.2.1]>": Mailbox("a", "[192.0.2.1]"),
        b"<a@[IPv6:2001:DB8:0:0::1]>": Mailbox("a", "[IPv6:2001:db8::1]"),
        b"<a@[ipv6:::1]>": Mailbox("a", "[IPv6:::1]"),
        b"<@r1.example,@r2.example:a@x.example>": Mailbox("a", "x.example"),
        b"<a@under_score.example>": Mailbox("a", "under_score.example"),
        "<jürgen@müller.example>".encode(): Mailbox("jürgen", "müller.example"),
        "<a@ÜBER.example>".encode(): Mailbox("a", "über.example"),
        b"<a@xn--mller-kva.example>": Mailbox("a", "xn--mller-kva.example"),
        b"<" + b"l" * 64 + b"@x.example>": Mailbox("l" * 64, "x.example"),
        f"<a@{_LABEL}.{_LABEL}.{_LABEL}.{'a' * 61}>".encode(): Mailbox("a", f"{_LABEL}.{_LABEL}.{_LABEL}.{'a' * 61}"),
    }

    @holds(
        "5321",
        "4.1.2",
        "Dot-strings, quoted strings, domains, literals and source routes are read; the route is dropped.",
    )
    @holds("5321", "4.5.3.1.1", "A local part of 64 octets is taken.")
    @holds("5321", "4.5.3.1.2", "A domain of 253 octets, the longest that the DNS can hold, is taken.")
    def test_in_mail_and_rcpt(self):
        """Both commands read the same paths."""
        for text, mailbox in self.CASES.items():
            with self.subTest(text):
                self.assertEqual(read_mail(b"FROM:" + text), PathArgument(mailbox))
                self.assertEqual(read_rcpt(b"to:" + text), PathArgument(mailbox))

    @holds("5321", "4.1.1.2", "The reverse-path may be null, a forward-path may not.")
    def test_null_path(self):
        """The null path is a reverse-path, and no recipient."""
        self.assertEqual(read_mail(b"FROM:<>"), PathArgument(None))
        self.assertIsInstance(read_rcpt(b"TO:<>"), Reply)

    @holds("5321", "4.1.1.3", "RCPT takes Postmaster without a domain, in any case.")
    def test_postmaster(self):
        """Postmaster without a domain is a recipient, in any case, and no sender."""
        self.assertEqual(read_rcpt(b"TO:<PostMaster>"), PathArgument(Mailbox("PostMaster", "")))
        self.assertIsInstance(read_mail(b"FROM:<postmaster>"), Reply)

    def test_written_and_read_again(self):
        """What we write of a mailbox is read as the same mailbox."""
        for mailbox in self.CASES.values():
            with self.subTest(mailbox):
                self.assertEqual(read_rcpt(f"TO:<{mailbox}>".encode()), PathArgument(mailbox))


class RefusedPathTests(SynchronousTestCase):
    """What is no path is refused with 501, and with a status that names what is wrong."""

    CASES = (
        b"a@example.com",
        b"<a@example.com",
        b"<a>",
        b"<@x.example>",
        b"<a@>",
        b"<a b@x.example>",
        b"<a..b@x.example>",
        b"<.a@x.example>",
        b"<a.@x.example>",
        b"<a@x..example>",
        b"<a@.example>",
        b"<a@x.example.>",
        b"<a@-x.example>",
        b"<a@x-.example>",
        b"<a@x example>",
        b"<a@x@y>",
        b'<"a@x.example>',
        b'<"a"b@x.example>',
        b"<a\\b@x.example>",
        b"<a@[192.0.2.256]>",
        b"<a@[192.0.2.01]>",
        b"<a@[2001:db8::1]>",
        b"<a@[IPv6:fe80::1%eth0]>",
        b"<a@[IPv6:2001:db8::1>",
        b"<a@[x400:what]>",
        b"<@r1.example:>",
        b"<@r1.example,a@x.example>",
        b"<a@x.example> junk=\x07",
        b"<a@x.example>SIZE=1",
        b"<a@x.example> =1",
        b"<a@x.example> A=",
        b"<a@x.example> A=b=c",
        b"<" + b"l" * 65 + b"@x.example>",
        b"<" + "é".encode() * 33 + b"@x.example>",
        f"<a@{_LABEL}a.example>".encode(),
        f"<a@{_LABEL}.{_LABEL}.{_LABEL}.{_LABEL}.a>".encode(),
        b"<a@\xff.example>",
        b"<\xff@x.example>",
        "<a@x。example>".encode(),
        "<a@é.>".encode(),
        "<a@\u2028.example>".encode(),
        "<a\u2028b@x.example>".encode(),
        "<a\u0085b@x.example>".encode(),
        '<"a\u2029b"@x.example>'.encode(),
        "<a@☃\u202e.example>".encode(),
        b"",
    )

    @holds("5321", "4.1.2", "What breaks the grammar of a path is 501, as some forty examples show.")
    def test_refused(self):
        """None of them gets through, in either command."""
        for text in self.CASES:
            with self.subTest(text):
                for found in (read_mail(b"FROM:" + text), read_rcpt(b"TO:" + text)):
                    self.assertIsInstance(found, Reply)
                    self.assertEqual(found.code, 501)
                    self.assertIn(found.status, ("5.5.2", "5.5.4", "5.1.3", "5.1.7"))

    def test_no_control_character_anywhere(self):
        """No control character gets into an address, quoted or not, in local part or domain."""
        for octet in _CONTROLS:
            character = bytes([octet])
            for text in (
                b"<a" + character + b"@x.example>",
                b'<"a' + character + b'"@x.example>',
                b'<"a\\' + character + b'"@x.example>',
                b"<a@x" + character + b".example>",
                b"<a@x.example" + character + b">",
                b"<a@x.example> SIZE=1" + character,
                character + b"<a@x.example>",
            ):
                with self.subTest(text):
                    self.assertIsInstance(read_mail(b"FROM:" + text), Reply)
                    self.assertIsInstance(read_rcpt(b"TO:" + text), Reply)

    def test_wrong_word(self):
        """MAIL needs FROM:, RCPT needs TO:."""
        self.assertEqual(read_mail(b"TO:<a@x>").status, "5.5.2")
        self.assertEqual(read_rcpt(b"FROM:<a@x>").status, "5.5.2")
        self.assertEqual(read_mail(b"FROM <a@x>").code, 501)

    @settings(max_examples=300, deadline=None)
    @given(st.binary(max_size=120))
    def test_garbage(self, garbage):
        """Any octets give a value or a refusal, and a value can be written out and read again."""
        for found in (read_mail(b"FROM:" + garbage), read_rcpt(b"TO:<" + garbage + b">")):
            if isinstance(found, Reply):
                self.assertEqual(found.code, 501)
            elif found.path is not None and found.path.domain:
                self.assertEqual(read_rcpt(f"TO:<{found.path}>".encode()).path, found.path)

    def test_linear_time(self):
        """The longest line that the server takes costs next to nothing, however it is made."""
        size = 2000
        for text in (
            b"<" + b"a." * (size // 2) + b"@x>",
            b"<a@" + b"a-" * (size // 2) + b">",
            b"<a@" + b"a." * (size // 2) + b">",
            b'<"' + b"\\a" * (size // 2),
            b"<" + b'""' * (size // 2),
            b"<" + b"@a," * (size // 3) + b">",
            b"<a@x>" + b" A=b" * (size // 4) + b"\x00",
            b"<a@x>" + b" " * size + b"=",
            b"<" + "é".encode() * (size // 2) + b"@x>",
            b"<a@" + "é.".encode() * (size // 3) + b">",
        ):
            with self.subTest(text[:20]):
                started = time.process_time()
                for _ in range(10):
                    read_mail(b"FROM:" + text)
                self.assertLess(time.process_time() - started, 0.2)


class ParameterTests(SynchronousTestCase):
    """Parameters are taken apart, not judged."""

    def test_keywords_and_values(self):
        """Keywords in upper case, values as given, in order; spaces at the end are tolerated."""
        self.assertEqual(
            read_mail(b"FROM:<a@x> size=12  BODY=8bitmime SMTPUTF8 "),
            PathArgument(Mailbox("a", "x"), (("SIZE", "12"), ("BODY", "8bitmime"), ("SMTPUTF8", None))),
        )

    def test_behind_the_null_path(self):
        """They may follow any path."""
        self.assertEqual(read_mail(b"FROM:<> SIZE=1"), PathArgument(None, (("SIZE", "1"),)))
        self.assertEqual(read_rcpt(b"TO:<postmaster> X=1"), PathArgument(Mailbox("postmaster", ""), (("X", "1"),)))


class HeloTests(SynchronousTestCase):
    """The name a client gives itself can be put into a header."""

    def test_accepted(self):
        """Names, literals, and the odd things that real clients send."""
        for text in (
            b"mx.example",
            b"[192.0.2.1]",
            b"[IPv6:2001:db8::1]",
            b"my_pc",
            b"localhost",
            b"192.0.2.1",
            b"a:b",
        ):
            with self.subTest(text):
                self.assertEqual(read_helo(text + b" "), text.decode())

    def test_refused(self):
        """Nothing empty, nothing that could end a word, a comment or a line."""
        for text in (
            b"",
            b" ",
            b"a b",
            b"a(b",
            b"a)b",
            b"a<b",
            b'a"b',
            b"a\\b",
            b"a;b",
            b"\xc3\xa9",
            b"x" * 256,
            b"[a b]",
        ):
            with self.subTest(text):
                self.assertIsNone(read_helo(text))
        for octet in _CONTROLS:
            self.assertIsNone(read_helo(b"mx" + bytes([octet]) + b"x.example"))


class MailboxTests(SynchronousTestCase):
    """Addresses in configuration and commands."""

    def test_read(self):
        """With or without brackets and spaces around it."""
        self.assertEqual(parse_mailbox(" <a@Example.com> "), Mailbox("a", "example.com"))
        self.assertEqual(parse_mailbox("é@example.com"), Mailbox("é", "example.com"))

    def test_refused(self):
        """With a reason."""
        for text in ("", "a", "a@", "<a@x", "a b@x", "\udc80@x"):
            with self.subTest(text):
                self.assertRaises(ValueError, parse_mailbox, text)
        self.assertRaises(ValueError, parse_mailbox, "é@x", smtputf8=False)


class Base64Tests(SynchronousTestCase):
    """Only exact base64 is base64."""

    def test_strict(self):
        """No spaces, no rubbish, no missing padding."""
        self.assertEqual(read_base64(b"YWI="), b"ab")
        self.assertEqual(read_base64(b""), b"")
        for text in (b"x", b"YWI", b"YW I=", b"YWI=\n", b"*", b"YWI==", b"\xff", b"====", b"YWI=YWI="):
            with self.subTest(text):
                self.assertIsNone(read_base64(text))


class ALabelTests(SynchronousTestCase):
    """Domains in their ASCII form (RFC 5890)."""

    def test_labels(self):
        """Taken in any case if they stand for any text; refused if they can stand for none."""
        for domain in (b"xn--mller-kva.example", b"a.XN--MLLER-KVA.example", b"axn--9.example", b"xn--a.example"):
            self.assertEqual(read_rcpt(b"TO:<a@" + domain + b">"), PathArgument(Mailbox("a", domain.decode().lower())))
            self.assertEqual(read_mail(b'FROM:<"a b"@' + domain + b">").path.domain, domain.decode().lower())
        for domain in (b"xn--99999999999.example", b"a.xn--zzzzzzzzz", b"XN--0.example"):
            self.assertIsInstance(read_rcpt(b"TO:<a@" + domain + b">"), Reply)
            self.assertIsInstance(read_mail(b'FROM:<"a b"@' + domain + b">"), Reply)

    @settings(max_examples=200, deadline=None)
    @given(st.from_regex(r"[a-z0-9-]{1,59}", fullmatch=True))
    def test_any(self, label):
        """Nothing is raised, whatever the label is."""
        found = read_rcpt(b"TO:<a@xn--%s.example>" % label.encode())
        self.assertTrue(isinstance(found, Reply) or found.path.domain == f"xn--{label}.example")


class FuzzTests(SynchronousTestCase):
    """Any argument at all."""

    PIECES = st.lists(
        st.sampled_from(
            [b"<", b">", b"a", b"@", b"x.example", b'"', b"\\", b" ", b"=", b"[", b"]", b"IPv6:", b"::1", b","]
        )
        | st.binary(max_size=4)
        | st.text(max_size=3).map(lambda text: text.encode("utf-8", "replace")),
        max_size=20,
    )

    @settings(max_examples=300, deadline=None)
    @given(PIECES)
    def test_any(self, pieces):
        """A value or a refusal; a path that is taken has no control character, and is read again as it is written."""
        text = b"".join(pieces)
        for argument in (text, b"<" + text + b">", b"<a@x>" + text):
            for found in (read_mail(b"FROM:" + argument), read_rcpt(b"TO:" + argument)):
                if isinstance(found, Reply) or found.path is None or not found.path.domain:
                    continue
                written = str(found.path)
                self.assertNotRegex(written, "[\x00-\x1f\x7f-\x9f\u2028\u2029]")
                self.assertEqual(read_mail(f"FROM:<{written}>".encode()), PathArgument(found.path))
            name = read_helo(text)
            self.assertTrue(name is None or name.isprintable())
