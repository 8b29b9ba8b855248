"""The Maildir sink."""

import errno
import os
import tempfile
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import ensureDeferred
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.model.address import Mailbox
from smtpgw.model.outcome import Delayed, Delivered, Failed
from smtpgw.model.queue_id import queue_id_text
from smtpgw.sinks import maildir
from smtpgw.sinks.maildir import MaildirSink, to_lf
from tests.clauses import holds
from tests.contracts.sink import CallerThreads, MemoryBody, SinkContract, example_message

ALICE = Mailbox("alice", "x.example")
BOB = Mailbox("bob", "x.example")
_DELIVERED = Delivered("maildir")


class _Base(SinkContract):
    def setUp(self) -> None:
        super().setUp()
        temporary = tempfile.TemporaryDirectory(prefix="smtpgw-test-")
        self.addCleanup(temporary.cleanup)
        self.root = Path(temporary.name) / "mail"

    def make_sink(self) -> MaildirSink:
        return MaildirSink(f"{self.root}/{{domain}}/{{local}}", CallerThreads(), hostname="mx.example.net")

    def files(self, local: str = "alice") -> dict[str, list[str]]:
        """Names by folder of a Maildir."""
        return {
            part: sorted(path.name for path in (self.root / "x.example" / local / part).iterdir())
            for part in ("tmp", "new", "cur")
        }

    def only_text(self, local: str = "alice") -> bytes:
        """Of the one message that is there."""
        (path,) = (self.root / "x.example" / local / "new").iterdir()
        return path.read_bytes()


class MaildirTests(_Base, SynchronousTestCase):
    """It keeps the promises of every sink."""


class TextTests(_Base, SynchronousTestCase):
    """What is written."""

    @holds("5321", "4.4", "Delivery into a Maildir puts one Return-Path in front.")
    def test_text(self) -> None:
        """Return-Path, Delivered-To, our trace, the content; line ends are LF."""
        message = example_message(Mailbox("alice+news", "x.example"), reverse_path=Mailbox("a b", "y.example"))
        self.deliver(self.make_sink(), message)
        self.assertEqual(
            self.only_text(),
            b'Return-Path: <"a b"@y.example>\nDelivered-To: alice+news@x.example\n'
            b"Received: from mail.example.org\n\tby mx.example.net; now\nSubject: x\n\ntext\n",
        )

    def test_null_path(self) -> None:
        """A notification has the empty path."""
        self.deliver(self.make_sink(), example_message(ALICE))
        self.assertTrue(self.only_text().startswith(b"Return-Path: <>\n"))

    def test_no_header_of_theirs(self) -> None:
        """An address can't add a header line."""
        strange = Mailbox("alice+\r\nX-Evil: yes", "x.example")
        sink = MaildirSink(f"{self.root}/{{domain}}/{{local}}", CallerThreads(), hostname="mx")
        self.deliver(sink, example_message(strange, reverse_path=Mailbox("a\nb: c", "y.example")))
        header = self.only_text().split(b"\n\n")[0]
        self.assertEqual(
            [line.split(b":")[0] for line in header.split(b"\n") if not line.startswith(b"\t")],
            [b"Return-Path", b"Delivered-To", b"Received", b"Subject"],
        )

    def test_name(self) -> None:
        """Time, queue id, recipient and host make a name, as the Maildir specification has it."""
        sink = MaildirSink(f"{self.root}/{{domain}}/{{local}}", CallerThreads(), hostname="mx/1:2")
        self.deliver(sink, example_message(BOB, ALICE))
        name = f"1800000000.Q{queue_id_text(77)}S1.mx\\0571\\0722"
        self.assertEqual(self.files(), {"tmp": [], "new": [name], "cur": []})

    def test_closed_to_others(self) -> None:
        """Only we can read it."""
        self.deliver(self.make_sink(), example_message(ALICE))
        for path in [self.root, *self.root.rglob("*")]:
            self.assertEqual(path.stat().st_mode & 0o077, 0, path)

    def test_twice_to_one(self) -> None:
        """Who was named twice gets it twice, also when two names are one mailbox."""
        self.deliver(self.make_sink(), example_message(ALICE, ALICE, Mailbox("Alice+x", "x.example")))
        self.assertEqual(len(self.files()["new"]), 3)

    @settings(max_examples=60, deadline=None)
    @given(st.lists(st.sampled_from([b"\r\n", b"\r", b"\n", b"a"]), max_size=30), st.integers(1, 5))
    def test_line_ends_at_borders(self, parts: list[bytes], chunk: int) -> None:
        """However the stream is cut, exactly each CR LF becomes LF."""
        content = b"".join(parts)

        class Cut(BytesIO):
            def read(self, size: int | None = -1) -> bytes:
                return super().read(chunk)

        self.assertEqual(b"".join(to_lf(Cut(content))), content.replace(b"\r\n", b"\n"))


class RepeatTests(_Base, SynchronousTestCase):
    """An attempt that is repeated puts nothing there twice."""

    def test_in_process(self) -> None:
        """Also when the reader has moved it on meanwhile."""
        sink = self.make_sink()
        message = example_message(ALICE)
        self.deliver(sink, message)
        folder = self.root / "x.example/alice"
        (name,) = self.files()["new"]
        (folder / "new" / name).rename(folder / "cur" / f"{name}:2,S")
        self.assertEqual(self.deliver(sink, message), (_DELIVERED,))
        self.assertEqual(self.files()["new"], [])

    def test_after_a_crash(self) -> None:
        """A new process finds what the old one left: a half-written file, or the message in new."""
        self.deliver(self.make_sink(), example_message(ALICE))
        (name,) = self.files()["new"]
        (self.root / "x.example/alice/tmp" / name).write_bytes(b"half")
        self.assertEqual(self.deliver(self.make_sink(), example_message(ALICE)), (_DELIVERED,))
        self.assertEqual(self.files(), {"tmp": [], "new": [name], "cur": []})

    def test_same_name_other_message(self) -> None:
        """A file of the same name with another message in it is not taken for ours, and not overwritten."""
        for number in range(3):
            body = MemoryBody(b"%d\r\n" % number)
            self.assertEqual(self.deliver(self.make_sink(), example_message(ALICE), body=body), (_DELIVERED,))
        texts = {path.read_bytes()[-2:] for path in (self.root / "x.example/alice/new").iterdir()}
        self.assertEqual(texts, {b"0\n", b"1\n", b"2\n"})

    def test_bounded_memory(self) -> None:
        """It does not remember for ever."""
        self.patch(maildir, "_REMEMBERED", 2)
        sink = self.make_sink()
        for queue_id in range(5):
            self.deliver(sink, example_message(ALICE, queue_id=queue_id))
        self.assertEqual(len(sink._delivered), 2)


class TroubleTests(_Base, SynchronousTestCase):
    """If in doubt, delayed; and each recipient alone."""

    def fail_with(self, call: str, number: int, when: Any = None) -> None:
        """Have a call of the operating system fail."""
        real = getattr(os, call)

        def failing(*arguments: Any, **more: Any) -> Any:
            if when is None or when(arguments):
                raise OSError(number, os.strerror(number), "/secret/path")
            return real(*arguments, **more)

        self.patch(os, call, failing)

    def test_address_that_is_no_path(self) -> None:
        """Refused for good (5.1.3), while the others get their mail."""
        outcomes = self.deliver(self.make_sink(), example_message(Mailbox("../bob", "x.example"), ALICE))
        assert isinstance(outcomes[0], Failed)
        self.assertEqual((outcomes[0].status, outcomes[1]), ("5.1.3", _DELIVERED))

    def test_no_space(self) -> None:
        """A full disk delays (4.3.1) and leaves nothing behind."""
        for number in (errno.ENOSPC, errno.EDQUOT):
            self.fail_with("write", number)
            (outcome,) = self.deliver(self.make_sink(), example_message(ALICE))
            assert isinstance(outcome, Delayed)
            self.assertEqual(outcome.status, "4.3.1")
            self.assertEqual(self.files(), {"tmp": [], "new": [], "cur": []})

    def test_failing_disk(self) -> None:
        """What can't be synced, made or linked is delayed (4.3.0), and the sender is told no path of ours."""
        for call in ("fsync", "link", "open"):
            self.fail_with(call, errno.EIO)
            (outcome,) = self.deliver(self.make_sink(), example_message(ALICE))
            assert isinstance(outcome, Delayed)
            self.assertEqual(outcome.status, "4.3.0", call)
            self.assertNotIn("secret", outcome.reason)
            self.assertNotIn(str(self.root), outcome.reason)

    def test_one_mailbox_fails(self) -> None:
        """A file where a Maildir should be delays that recipient only."""
        (self.root / "x.example").mkdir(parents=True)
        (self.root / "x.example/alice").write_bytes(b"")
        outcomes = self.deliver(self.make_sink(), example_message(ALICE, BOB))
        self.assertIsInstance(outcomes[0], Delayed)
        self.assertEqual(outcomes[1], _DELIVERED)

    def test_content_that_is_gone(self) -> None:
        """Content that can't be opened or read is a delay of all, and no half message."""

        class Broken(BytesIO):
            def read(self, size: int | None = -1) -> bytes:
                raise OSError(errno.EIO, "gone")

        class Body(MemoryBody):
            def open(self) -> BinaryIO:
                return Broken()

        outcomes = self.deliver(self.make_sink(), example_message(ALICE, BOB), body=Body(b""))
        self.assertEqual([type(outcome) for outcome in outcomes], [Delayed, Delayed])
        self.assertEqual((self.files()["new"], self.files()["tmp"]), ([], []))

    def test_synced_before_it_is_told(self) -> None:
        """The file is synced before it gets its name in new, and new is synced after."""
        steps: list[str] = []
        real_fsync, real_link = os.fsync, os.link

        def fsync(descriptor: int) -> None:
            steps.append("sync " + Path(f"/proc/self/fd/{descriptor}").readlink().parent.name)
            real_fsync(descriptor)

        def link(source: Any, target: Any) -> None:
            steps.append("link")
            real_link(source, target)

        self.deliver(self.make_sink(), example_message(ALICE))
        self.patch(os, "fsync", fsync)
        self.patch(os, "link", link)
        self.deliver(self.make_sink(), example_message(ALICE, queue_id=78))
        self.assertEqual(steps, ["sync tmp", "link", "sync alice"])

    def test_not_of_this_message(self) -> None:
        """Somebody who is no recipient of the message is a mistake of ours, and shown."""
        message = example_message(ALICE)
        stranger = example_message(BOB).envelope.recipients
        delivery = ensureDeferred(self.make_sink().deliver(message, stranger, MemoryBody(b"")))
        self.failureResultOf(delivery, ValueError)
