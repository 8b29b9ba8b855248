"""Entries as rows."""

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import DecodeError
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.boundaries.spool import Update
from smtpgw.model.address import Mailbox
from smtpgw.model.envelope import BodyType, Client, Envelope, Recipient, TlsFacts
from smtpgw.model.message import Entry, Message, Slot, SlotState
from smtpgw.model.outcome import Delayed, Delivered, Failed, Relayed, Scope
from smtpgw.model.reply import Reply
from smtpgw.spool import records
from tests.spool.examples import NOW, example_entry

_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_times = st.floats(0, 4e9)
_replies = st.builds(Reply, st.integers(200, 599), _texts, st.lists(_texts, min_size=1, max_size=3).map(tuple))
_outcomes = st.one_of(
    st.none(),
    st.builds(Relayed, _replies, _texts, _texts, st.none() | st.builds(TlsFacts, _texts, _texts, st.booleans())),
    st.builds(Delivered, _texts),
    st.builds(Delayed, _texts, _texts, st.sampled_from(Scope), st.none() | _replies, _texts, _texts),
    st.builds(Failed, _texts, _texts, st.sampled_from(Scope), st.none() | _replies, _texts, _texts, st.booleans()),
)
_mailboxes = st.builds(Mailbox, _texts, _texts)
_slots = st.builds(Slot, st.sampled_from(SlotState), _times, st.integers(0, 1000), _outcomes)
_places = st.lists(st.tuples(st.builds(Recipient, _mailboxes), _slots), min_size=1, max_size=4)


@st.composite
def _entries(draw: st.DrawFn) -> Entry:
    places = draw(_places)
    envelope = Envelope(
        draw(st.none() | _mailboxes),
        tuple(recipient for recipient, _ in places),
        draw(st.sampled_from(BodyType)),
        draw(st.booleans()),
    )
    client = draw(st.builds(Client, _texts, _texts, _texts, st.none(), st.none() | _texts, st.none() | _texts))
    message = Message(
        draw(st.integers(0, (1 << 63) - 1)), envelope, client, draw(_times), draw(st.binary(max_size=50)), 5
    )
    return Entry(message, tuple(slot for _, slot in places), draw(_times), draw(st.booleans()))


def _selected(entry: Entry) -> list[records.Row]:
    """The rows of an entry, as ``SELECT_DELIVERIES`` gives them."""
    return [(row[2], row[3], row[4], row[5], row[6], row[12]) for row in records.delivery_rows(entry)]


class RoundTripTests(SynchronousTestCase):
    """What is kept is what comes back."""

    @settings(max_examples=100, deadline=None)
    @given(_entries())
    def test_any_entry(self, entry: Entry) -> None:
        """Any entry, whatever a peer has put into it."""
        record = records.message_row(entry, 5, None, b"12345")[3]
        self.assertEqual(records.entry_of(record, _selected(entry)), entry)

    def test_waiting_from_rows_and_memory(self) -> None:
        """The agenda learns the same from the disk and from memory."""
        entry = example_entry(7, "a@x.example", '"q@r"@y.example', states=(SlotState.HELD, SlotState.DONE))
        rows = [(r[0], r[1], r[10], r[8], r[2], r[3], r[4], r[5], r[6]) for r in records.delivery_rows(entry)]
        self.assertEqual(list(records.waiting_of(iter(rows[:1]))), list(records.waiting_in(entry)))

    def test_reason_column(self) -> None:
        """The list shows the status, our reason and the peer's words, in bounded length."""
        reply = Reply(450, "4.2.1", ("x" * 5000,))
        slot = Slot(SlotState.QUEUED, NOW, 1, Delayed("4.2.1", "mailbox busy", reply=reply))
        reason = records.update_rows(Update(7, ((0, slot),)))[0][3]
        self.assertTrue(reason.startswith("4.2.1 mailbox busy: 450 4.2.1 xxx"))
        self.assertEqual(len(reason), 500)

    def test_damage(self) -> None:
        """A record that makes no sense, a missing or an impossible row: an error, no entry."""
        entry = example_entry(7, "a@x.example", "b@x.example")
        record = records.message_row(entry, 0, None, b"")[3]
        rows = _selected(entry)
        for broken, deliveries in (
            (b"\xc1", rows),
            (record[:-1], rows),
            (record, rows[:1]),
            (record, []),
            (record, [(9, *rows[0][1:]), rows[1]]),
            (record, [(*rows[0][:5], b"\xc1"), rows[1]]),
        ):
            self.assertRaises(DecodeError, records.entry_of, broken, deliveries)
