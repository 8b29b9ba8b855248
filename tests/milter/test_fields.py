"""Header sections: cut into fields, changed, and never broken by what a milter says."""

# mypy: no-check-untyped-defs

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.boundaries.filters import ChangeField, InsertField
from smtpgw.milter.fields import apply_edits, make_field, name_and_value, split_header

_HEADER = (b"Received: from a\r\n\tby b\r\n", b"From: a@b\r\n", b"X-A: 1\r\n", b"x-a : 2\r\n", b"To: c@d\r\n")


class SplitTests(SynchronousTestCase):
    """A header section is fields, and what is none begins the body."""

    def test_fields(self):
        """Folded lines belong to their field; the fields together are the header, octet for octet."""
        self.assertEqual(split_header(b"".join(_HEADER)), (_HEADER, sum(map(len, _HEADER))))

    def test_no_field(self):
        """The first line that is no field, and all behind it, is body."""
        for rest in (b"no field\r\nTo: x\r\n", b": no name\r\n", b" folded\r\n", b"\xc3\xa4: x\r\n"):
            self.assertEqual(
                split_header(_HEADER[1] + rest),
                (_HEADER[1:2], len(_HEADER[1])) if rest[0] != 32 else ((_HEADER[1] + rest,), len(_HEADER[1] + rest)),
            )
        self.assertEqual(split_header(b"no field\r\n"), ((), 0))
        self.assertEqual(split_header(b""), ((), 0))

    def test_without_line_end(self):
        """Content in chunks may end anywhere."""
        self.assertEqual(split_header(b"A: b"), ((b"A: b",), 4))

    def test_name_and_value(self):
        """Blanks before the colon are no part of the name; the value is all the rest."""
        self.assertEqual(name_and_value(b"x-a \t: 2\r\n\t3\r\n"), (b"x-a", b" 2\r\n\t3"))
        self.assertEqual(name_and_value(b"A:"), (b"A", b""))

    @settings(max_examples=100)
    @given(st.text(alphabet="a: \t\r\nÄ", max_size=40))
    def test_anything(self, text):
        """Fields and rest are always the whole."""
        header = text.encode()
        fields, end = split_header(header)
        self.assertEqual(b"".join(fields), header[:end])


class MakeTests(SynchronousTestCase):
    """A field from outside."""

    def test_plain(self):
        """The value stands as it came; LF becomes CR LF."""
        self.assertEqual(make_field(b"X-A", b" 1\n\t2"), b"X-A: 1\r\n\t2\r\n")
        self.assertEqual(make_field(b"X-A", b""), b"X-A:\r\n")

    def test_injection(self):
        """No value can begin another field, or end the header."""
        for value in (
            b" 1\nBcc: x",
            b" 1\r\nBcc: x",
            b" 1\rBcc: x",
            b" 1\r\n\r\nBcc: x",
            b" 1\n\n\nBcc: x\n",
            b" 1\n \nBcc: x",
        ):
            self.assertEqual(make_field(b"X-A", value), b"X-A: 1\r\n\tBcc: x\r\n")
        self.assertEqual(make_field(b"X-A", b" 1\0"), b"X-A: 1\r\n")

    def test_names(self):
        """What is no name makes no field."""
        for name in (b"", b"A B", b"A:", b"A\n", b"A\r\nB", b"\xc3\xa4", b"x" * 201, b"A\0"):
            self.assertIsNone(make_field(name, b" 1"))

    def test_long_lines(self):
        """Lines are folded at blanks where there are some, and never longer than RFC 5322 allows."""
        words = make_field(b"X-A", b" " + b" ".join([b"word"] * 1000))
        self.assertEqual(words.replace(b"\r\n", b""), b"X-A: " + b" ".join([b"word"] * 1000))
        for field in (words, make_field(b"X-A", b" " + b"x" * 5000), make_field(b"X-A", b" " * 5000 + b"x")):
            lines = field.split(b"\r\n")[:-1]
            self.assertLessEqual(max(map(len, lines)), 998)
            self.assertTrue(all(line.strip() for line in lines))
            self.assertTrue(all(line[:1] in b" \t" for line in lines[1:]))

    @settings(max_examples=200)
    @given(st.binary(max_size=60) | st.text(alphabet="\r\n \t:aX\0", max_size=60).map(str.encode))
    def test_always_one_field(self, value):
        """Whatever the value is, what comes out is exactly one field."""
        field = make_field(b"X-A", value)
        self.assertEqual(split_header(field + b"\r\n"), ((field,), len(field)))


class EditTests(SynchronousTestCase):
    """Changes, in the order in which they are asked for."""

    def apply(self, *edits):
        return apply_edits(_HEADER, edits)

    def test_insert(self):
        """Places count our own Received field, which is the first; beyond the last is the end."""
        new = b"X-N: 1\r\n"
        for place, expected in ((0, 0), (1, 0), (2, 1), (5, 4), (6, 5), (1 << 31, 5), (None, 5)):
            fields = list(_HEADER)
            fields.insert(expected, new)
            self.assertEqual(self.apply(InsertField(b"X-N", b" 1", place)), tuple(fields))

    def test_change(self):
        """The n-th of a name, in any case; when there is none it is added at the end."""
        found = self.apply(ChangeField(b"X-A", 2, b" new"))
        self.assertEqual(found, (*_HEADER[:3], b"X-A: new\r\n", _HEADER[4]))
        self.assertEqual(self.apply(ChangeField(b"X-A", 3, b" new")), (*_HEADER, b"X-A: new\r\n"))
        self.assertEqual(self.apply(ChangeField(b"TO", 0, b" new"))[4], b"TO: new\r\n")

    def test_remove(self):
        """Gone, the others stay; a second removal meets the next one."""
        gone = ChangeField(b"x-a", 1, None)
        self.assertEqual(self.apply(gone), _HEADER[:2] + _HEADER[3:])
        self.assertEqual(self.apply(gone, gone, gone), _HEADER[:2] + _HEADER[4:])

    def test_nonsense(self):
        """A name that is none changes nothing."""
        self.assertEqual(self.apply(InsertField(b"A B", b"1"), ChangeField(b"A:", 1, b"1")), _HEADER)

    def test_open_end(self):
        """A header that ends in the middle of a line gets its end before anything is added."""
        self.assertEqual(apply_edits((b"A: b",), [InsertField(b"C", b" d")]), (b"A: b\r\n", b"C: d\r\n"))

    def test_in_order(self):
        """An edit sees what the one before it has done."""
        found = self.apply(InsertField(b"X-N", b" 1"), ChangeField(b"X-N", 1, b" 2"))
        self.assertEqual(found[-1], b"X-N: 2\r\n")
