"""Tests for what all values promise: they are compared by value, can't be changed, and survive the spool's encoding."""

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.model.address import Mailbox
from smtpgw.model.envelope import BodyType, Client, Envelope, Recipient, TlsFacts
from smtpgw.model.message import Entry, Message, Slot, SlotState
from smtpgw.model.outcome import Delayed, Delivered, Failed, Relayed, Scope
from smtpgw.model.reply import Reply, reply

TLS = TlsFacts("TLSv1.3", "TLS_AES_256_GCM_SHA384", verified=True)
OUTCOMES = (
    None,
    Relayed(reply(250, "2.0.0", "Ok"), "mx.b.example", "192.0.2.7", TLS),
    Delivered("maildir"),
    Delayed("4.2.0", "greylisted", Scope.RECIPIENT, reply(450, "4.2.0", "later"), "mx", "192.0.2.7", 300.0),
    Failed("5.1.1", "unknown", reply=Reply(550, "5.1.1", ("one", "two")), expired=False),
)


def full_entry():
    """An entry with something in every field, and every kind of outcome."""
    return Entry(
        Message(
            7,
            Envelope(
                Mailbox("a", "a.example"),
                tuple(Recipient(Mailbox(f"b{n}", "b.example")) for n in range(len(OUTCOMES))),
                BodyType.EIGHT_BIT,
                smtputf8=True,
            ),
            Client("192.0.2.1", "helo.example", "ESMTPS", TLS, "user", "name.example", "tcp:25", "s1"),
            1000.5,
            b"Received: from x\r\n",
            42,
        ),
        tuple(Slot(state, 5.0, 2, last) for state, last in zip([*SlotState, *SlotState], OUTCOMES, strict=False)),
        9000.0,
        warned=True,
    )


class EncodingTests(SynchronousTestCase):
    """What is written to the spool is what is read from it."""

    def test_entry(self):
        """An entry with every kind of outcome comes back equal."""
        entry = full_entry()
        self.assertEqual(msgspec.msgpack.decode(msgspec.msgpack.encode(entry), type=Entry), entry)
        self.assertEqual(msgspec.json.decode(msgspec.json.encode(entry), type=Entry), entry)

    def test_null_path(self):
        """The null path stays one."""
        envelope = Envelope(None, ())
        self.assertIsNone(msgspec.msgpack.decode(msgspec.msgpack.encode(envelope), type=Envelope).reverse_path)

    def test_older_record(self):
        """A delay that was written before there was a time in it is still read."""
        octets = msgspec.msgpack.encode({"type": "delayed", "status": "4.0.0", "reason": "x"})
        self.assertEqual(msgspec.msgpack.decode(octets, type=Delayed), Delayed("4.0.0", "x"))


class FrozenTests(SynchronousTestCase):
    """Nobody changes a value under another's eyes."""

    def test_frozen(self):
        """Setting a field is an error."""
        entry = full_entry()
        for value, name in [(entry, "warned"), (entry.message, "queue_id"), (entry.slots[0], "state")]:
            with self.assertRaises(AttributeError):
                setattr(value, name, 0)


class ReplyTests(SynchronousTestCase):
    """Replies know their class and their form on one line."""

    def test_class(self):
        """The first digit decides."""
        for code, answer in [(250, (True, False, False)), (421, (False, True, False)), (554, (False, False, True))]:
            one = reply(code, "", "x")
            self.assertEqual((one.is_positive, one.is_transient, one.is_permanent), answer)
        self.assertFalse(reply(354, "", "go").is_positive)

    def test_text(self):
        """Several lines stand on one, the status once."""
        self.assertEqual(str(Reply(550, "5.1.1", ("one", "two"))), "550 5.1.1 one / two")
        self.assertEqual(str(reply(220, "", "mx ESMTP")), "220 mx ESMTP")
