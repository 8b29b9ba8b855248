"""A message as programs hand it in becomes one that can be sent."""

from email import message_from_bytes, policy

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.cli.submission import NotAMessage, Submission

_COMPLETE = b"Date: x\nFrom: a@a.example\nMessage-ID: <1@a>\n"


def submit(octets: bytes, *, dot_ends: bool = False, takes_recipients: bool = False) -> Submission:
    return Submission(octets, dot_ends=dot_ends, takes_recipients=takes_recipients)


def complete(octets: bytes, **options: bool) -> bytes:
    return submit(octets, **options).complete("me@a.example", "", 0.0, lambda: "<new@a.example>")


class LineTests(SynchronousTestCase):
    """Line ends, and where the message ends."""

    def test_line_ends(self) -> None:
        """Any of the three kinds become CR LF; the last line gets its own."""
        header = _COMPLETE.replace(b"\n", b"\r\n")
        for body in (b"a\nb\n", b"a\r\nb\r\n", b"a\rb\r", b"a\nb"):
            for begin in (_COMPLETE, header):
                self.assertEqual(complete(begin + b"\n" + body), header + b"\r\na\r\nb\r\n")

    def test_dot(self) -> None:
        """A line of only a dot is the end, if asked for, wherever it stands; other dots are not."""
        text = _COMPLETE + b"\na\n..\n. \n.b\n"
        whole = complete(text)
        self.assertEqual(complete(text + b".\nleft out\n", dot_ends=True), whole)
        self.assertTrue(complete(text + b".\nkept\n").endswith(b"\r\n.\r\nkept\r\n"))
        self.assertEqual(complete(text + b".", dot_ends=True), whole + b".\r\n")

    @given(
        st.lists(st.sampled_from([b"a", b"\r", b"\n", b".", b":", b" ", b"\r\n", b"Bcc: b@b\n", b"\xff"])).map(
            b"".join
        ),
        st.booleans(),
    )
    @settings(max_examples=200)
    def test_always_right(self, octets: bytes, takes: bool) -> None:
        """Whatever is handed in: CR LF only, a header that can be read, an empty line."""
        try:
            found = complete(octets, takes_recipients=takes)
        except NotAMessage:
            return
        bare = found.replace(b"\r\n", b"")
        self.assertNotIn(b"\r", bare)
        self.assertNotIn(b"\n", bare)
        self.assertIn(b"\r\n\r\n", found)
        self.assertTrue(found.endswith(b"\r\n"))


class HeaderTests(SynchronousTestCase):
    """Fields that must be there."""

    def test_added(self) -> None:
        """Date, From and Message-ID, before the others."""
        found = complete(b"Subject: x\n\nbody\n")
        parsed = message_from_bytes(found, policy=policy.SMTP)
        self.assertEqual(list(parsed), ["Date", "From", "Message-ID", "Subject"])
        self.assertEqual((parsed["From"], parsed["Message-ID"]), ("me@a.example", "<new@a.example>"))
        self.assertEqual(parsed["Date"].datetime.timestamp(), 0)

    def test_kept(self) -> None:
        """What is there stays, in any case of letters, and as it was written."""
        text = b"DATE: x\r\nfrom : y\r\n z\r\nMessage-Id: <a>\r\nX-Long: a\r\n\tb\r\n\r\nbody\r\n"
        self.assertEqual(complete(text), text)

    def test_full_name(self) -> None:
        """In quotes, for a name may hold anything."""
        found = submit(b"\nx\n").complete("me@a.example", 'A "B" \\', 0.0, lambda: "<1@a>")
        self.assertIn(b'From: "A \\"B\\" \\\\" <me@a.example>\r\n', found)

    def test_full_name_beyond_ascii(self) -> None:
        """As encoded words, folded where it is long, and the address as it was."""
        for name in ("Jörg Müller", "日本語" * 40):
            found = submit(b"\nx\n").complete("me@a.example", name, 0.0, lambda: "<1@a>")
            header = found.partition(b"\r\n\r\n")[0]
            self.assertTrue(header.isascii())
            self.assertLess(max(map(len, header.split(b"\r\n"))), 100)
            (address,) = message_from_bytes(found, policy=policy.SMTP)["From"].addresses
            # Python's parser leaves the space between two encoded words, which RFC 2047 section 6.2 takes away.
            self.assertEqual(address.display_name.replace(" ", ""), name.replace(" ", ""))
            self.assertEqual(address.addr_spec, "me@a.example")

    def test_full_name_can_not_add_fields(self) -> None:
        """A line end in a name is no line end in the header."""
        self.assertRaises(
            NotAMessage, submit(b"\nx\n").complete, "me@a.example", "A\nBcc: x@y.example", 0.0, lambda: "<1@a>"
        )
        self.assertRaises(NotAMessage, submit(b"\nx\n").complete, "me@a.example\r\nX: y", "", 0.0, lambda: "<1@a>")

    def test_no_header(self) -> None:
        """Text that begins at once is the body; nothing of it is lost."""
        for text, body in (
            (b"hello: \n", b""),
            (b"hello world\nx\n", b"hello world\r\nx\r\n"),
            (b" x\n", b" x\r\n"),
            (b"", b""),
        ):
            self.assertEqual(complete(text).partition(b"\r\n\r\n")[2], body, text)

    def test_separator_of_mailbox_files(self) -> None:
        """The From line of an mbox is no field."""
        found = complete(b"From alice Fri Nov 20\n" + _COMPLETE + b"\nbody\n")
        self.assertEqual(found, complete(_COMPLETE + b"\nbody\n"))


class RecipientTests(SynchronousTestCase):
    """-t: recipients from the header."""

    def test_fields(self) -> None:
        """To, Cc and Bcc; folded, grouped, with names, quoted, repeated."""
        submission = submit(
            b'To: Bob <bob@b.example>,\n "x, y" <carol@c.example>\nCC: team: d@d.example, e@e.example;\n'
            b'bcc: f@f.example (a comment)\nTo: "a b"@g.example\nTo:\nResent-To: not@x.example\n\nTo: not@y.example\n',
            takes_recipients=True,
        )
        self.assertEqual(
            submission.recipients,
            [
                *("bob@b.example", "carol@c.example", "d@d.example", "e@e.example", "f@f.example", '"a b"@g.example'),
            ],
        )

    def test_bcc_is_taken_out(self) -> None:
        """With its folded lines; without -t the header is nobody's business."""
        text = _COMPLETE + b"Bcc: x@x.example,\n y@y.example\nTo: z@z.example\n\nBcc: body\n"
        self.assertNotIn(b"x.example", complete(text, takes_recipients=True))
        self.assertNotIn(b"y.example", complete(text, takes_recipients=True))
        self.assertIn(b"\r\nBcc: body\r\n", complete(text, takes_recipients=True))
        self.assertIn(b"x@x.example", complete(text))

    def test_other_scripts(self) -> None:
        """Addresses in UTF-8."""
        found = submit("To: jörg@bücher.example\n\n".encode(), takes_recipients=True)
        self.assertEqual(found.recipients, ["jörg@bücher.example"])

    def test_unreadable(self) -> None:
        """A field that can't be read is told as such; one that says that it names nobody is taken for that."""
        for field in (b"To: ;\n", b"To: <>\n", b"To: ,\n"):
            error = self.assertRaises(NotAMessage, submit, field + b"\nx\n", takes_recipients=True)
            self.assertIn("the To field can't be ", str(error))
        self.assertEqual(submit(b"To: undisclosed-recipients:;\n\nx\n", takes_recipients=True).recipients, [])

    def test_wrong(self) -> None:
        """What is no address is refused, not guessed; a flood is not taken apart."""
        for field in (
            b"To: bob\n",
            b"To: \xff@b.example\n",
            b"To: bob@\n",
            b"To: " + b"a@b.example, " * 10_001 + b"\n",
        ):
            self.assertRaises(NotAMessage, submit, field + b"\nx\n", takes_recipients=True)

    @given(st.text(alphabet='a@b.<>()",;:\\ é[]', max_size=30))
    @settings(max_examples=150)
    def test_any_field(self, value: str) -> None:
        """Addresses or a refusal, whatever stands in the field."""
        try:
            found = submit(f"To: {value}\n\n".encode(), takes_recipients=True).recipients
        except NotAMessage:
            return
        for address in found:
            self.assertIn("@", address)
