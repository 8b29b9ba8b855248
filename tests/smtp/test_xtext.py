"""The encodings of parameter values."""

# Wrong types are handed in on purpose, and boundaries replaced.
# mypy: no-check-untyped-defs

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.smtp.xtext import decode_original, decode_xtext, encode_original, encode_xtext
from tests.clauses import holds

_PRINTABLE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=80)


class XtextTests(SynchronousTestCase):
    """RFC 3461 section 4."""

    @holds("3461", "4", "xtext is decoded strictly: hexadecimal digits in upper case, no bare plus, no equals sign.")
    def test_decoding(self):
        """What is right is decoded; what is nearly right is nothing."""
        for encoded, text in (
            ("abc", "abc"),
            ("a+2Bb+3Dc+20d", "a+b=c d"),
            (b"a+2B", "a+"),
            ("", ""),
            ("+2b", None),
            ("+2", None),
            ("+", None),
            ("a=b", None),
            ("a b", None),
            ("+0D+0A", None),
            ("+00", None),
            ("+7F", None),
            ("+FC", None),
            ("ü", None),
            (b"\xfc", None),
            ("a\n", None),
        ):
            self.assertEqual(decode_xtext(encoded), text, encoded)

    @settings(max_examples=200, deadline=None)
    @given(_PRINTABLE)
    def test_back_and_forth(self, text):
        """Printable ASCII comes back as it was."""
        self.assertEqual(decode_xtext(encode_xtext(text)), text)

    @settings(max_examples=200, deadline=None)
    @given(st.text(max_size=50))
    def test_encoding_any_text(self, text):
        """Whatever it is, one word of a command comes out, without space or equals sign."""
        self.assertRegex(encode_xtext(text), rb"\A[!-<>-~]*\Z")

    @settings(max_examples=200, deadline=None)
    @given(st.text(max_size=50) | st.text("+0123456789ABCDEF=;abx", max_size=30))
    def test_decoding_any_text(self, text):
        """What is decoded is printable ASCII, and stays the same when it is encoded again."""
        decoded = decode_xtext(text)
        if decoded is not None:
            self.assertRegex(decoded, r"\A[ -~]*\Z")
            self.assertEqual(decode_xtext(encode_xtext(decoded)), decoded)


class OriginalTests(SynchronousTestCase):
    """ORCPT: RFC 3461 section 4.2, RFC 6533 section 3."""

    @holds("3461", "4.2", "ORCPT is an address type, a semicolon, and xtext of printable ASCII.")
    def test_decoding(self):
        """By its type; the type stays as it was written."""
        for encoded, original in (
            ("rfc822;a+2Bb@x.example", "rfc822;a+b@x.example"),
            ("RFC822;a@x", "RFC822;a@x"),
            ("x400;/C=", None),
            ("rfc822", None),
            ("rfc822;", None),
            (";a@x", None),
            ("rfc 822;a@x", None),
            ("rfc822;a+0Ab", None),
            ("rfc822;ü@x", None),
            (r"utf-8;j\x{FC}rgen@x", "utf-8;jürgen@x"),
            (r"utf-8;a\x{2B}b@x", "utf-8;a+b@x"),
            ("utf-8;a+2Bb@x", None),
            (r"utf-8;a\x{fc}@x", None),
            (r"utf-8;a\x{D800}@x", None),
            (r"utf-8;a\x{0A}@x", None),
            (r"utf-8;a\x{2028}@x", None),
            (r"utf-8;a\x{85}@x", None),
            (r"utf-8;a\x{110000}@x", None),
            (r"utf-8;a\y@x", None),
        ):
            self.assertEqual(decode_original(encoded), original, encoded)
            self.assertEqual(decode_original(encoded, True), original, encoded)

    def test_unencoded(self):
        """Characters beyond ASCII are for transactions with SMTPUTF8."""
        self.assertIsNone(decode_original("utf-8;jürgen@x"))
        self.assertEqual(decode_original("utf-8;jürgen@x", True), "utf-8;jürgen@x")
        self.assertIsNone(decode_original("rfc822;jürgen@x", True))
        self.assertIsNone(decode_original("utf-8;a\x85b", True))

    def test_encoding(self):
        """As the next hop can have it."""
        self.assertEqual(encode_original("rfc822;a+b@x"), b"rfc822;a+2Bb@x")
        self.assertEqual(encode_original("utf-8;jü+@x"), rb"utf-8;j\x{FC}\x{2B}@x")
        self.assertEqual(encode_original("utf-8;jü+@x", True), "utf-8;jü\\x{2B}@x".encode())

    @settings(max_examples=200, deadline=None)
    @given(st.text(max_size=50), st.booleans())
    def test_any_value(self, text, smtputf8):
        """What was read can be written to both kinds of next hop, and is read as the same again."""
        for prefix in ("rfc822;", "utf-8;", ""):
            original = decode_original(prefix + text, smtputf8)
            if original is not None:
                self.assertNotRegex(original, "[\x00-\x1f\x7f-\x9f\u2028\u2029]")
                self.assertEqual(decode_original(encode_original(original).decode("ascii")), original)
                self.assertEqual(decode_original(encode_original(original, True).decode("utf-8"), True), original)
