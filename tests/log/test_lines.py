"""What the log says of each thing that happens."""

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.log.lines import INFO, WARN, Fields, level_of, lines_of
from smtpgw.model.envelope import Client, TlsFacts
from smtpgw.model.message import SlotState
from smtpgw.model.notice import Connected, Dropped, Held, HostTrouble, Notice, Queued, Rejected
from smtpgw.model.outcome import Delayed, Delivered, Failed, Relayed, Scope
from smtpgw.model.queue_id import queue_id_text
from smtpgw.model.reply import Reply, reply
from smtpgw.model.verdict import Refuse
from tests.service.notices import CLIENT, QUEUE_ID, attempted, entry

QID = queue_id_text(QUEUE_ID)
IDS = {"qid": QID, "sid": "s1"}


class LineTests(SynchronousTestCase):
    """One line for each thing, with the fields of the manual in their order."""

    def assert_lines(self, notice: Notice, *lines: tuple[int, str, dict[str, object]]) -> None:
        found = lines_of(notice)
        self.assertEqual(found, lines)
        self.assertEqual([list(fields) for _, _, fields in found], [list(fields) for _, _, fields in lines])
        self.assertEqual({level for level, _, _ in found}, {level_of(notice)})

    def test_connected(self) -> None:
        """A client was greeted."""
        fields: Fields = {"sid": "s1", "ip": "192.0.2.7", "listener": "tcp:25"}
        self.assert_lines(Connected(CLIENT), (INFO, "smtp.connect", fields))
        named = Client("192.0.2.7", name="c.example", listener="tcp:25", session_id="s1")
        self.assert_lines(Connected(named), (INFO, "smtp.connect", {**fields, "name": "c.example"}))

    def test_rejected(self) -> None:
        """Whom, at which stage, with which words, by which rule, and why."""
        refuse = Refuse(reply(550, "5.7.1", "Not here"), "relay_access", "not in any network")
        self.assert_lines(
            Rejected(CLIENT, "rcpt", refuse, "x@y.example"),
            (
                INFO,
                "smtp.reject",
                {
                    "sid": "s1",
                    "ip": "192.0.2.7",
                    "stage": "rcpt",
                    "subject": "x@y.example",
                    "reply": "550 5.7.1 Not here",
                    "check": "relay_access",
                    "helo": "client.example",
                    "cause": "not in any network",
                },
            ),
        )

    def test_queued(self) -> None:
        """A message is ours."""
        fields = {
            **IDS,
            "from": "alice@a.example",
            "to": ["bob@b.example", "carol@c.example"],
            "recipients": 2,
            "size": 4096,
            "ip": "192.0.2.7",
            "helo": "client.example",
            "protocol": "ESMTPS",
            "tls": "TLSv1.3",
        }
        self.assert_lines(Queued(entry("bob@b.example", "carol@c.example")), (INFO, "msg.queued", fields))

    def test_queued_of_ours(self) -> None:
        """A notification: the null path, nobody's address."""
        ((_, _, fields),) = lines_of(Queued(entry(client=Client("", protocol="LOCAL", identity="app"), null=True)))
        self.assertEqual((fields["from"], fields["sid"], fields["identity"]), ("", "", "app"))
        self.assertNotIn("tls", fields)
        self.assertNotIn("notes", fields)

    def test_notes(self) -> None:
        """What the rules have remarked stands with the message; a long remark is cut."""
        ((_, _, fields),) = lines_of(Queued(entry(), ("helo: a word", "x" * 2000)))
        self.assertEqual(fields["notes"], ["helo: a word", "x" * 997 + "..."])

    def test_many_recipients(self) -> None:
        """Some are named, all are counted."""
        ((_, _, fields),) = lines_of(Queued(entry(*[f"r{number}@b.example" for number in range(1000)])))
        self.assertEqual((len(fields["to"]), fields["recipients"]), (50, 1000))  # type: ignore[arg-type]

    def test_relayed(self) -> None:
        """The proof: host, address, TLS and the host's own words."""
        outcome = Relayed(
            reply(250, "2.0.0", "Ok: queued as 4A"), "mx1.b.example", "192.0.2.9", TlsFacts("TLSv1.3", "C")
        )
        words = "250 2.0.0 Ok: queued as 4A"
        meaning = {"mx": "mx1.b.example", "ip": "192.0.2.9", "tls": "TLSv1.3", "reply": words}
        self.assert_lines(
            attempted(outcome),
            (
                INFO,
                "attempt.result",
                {
                    **IDS,
                    "recipient": "bob@b.example",
                    "result": "relayed",
                    "site": "mx.b.example",
                    "mx": "mx1.b.example",
                    "ip": "192.0.2.9",
                    "tls": "TLSv1.3",
                    "reply": words,
                    "status": "2.0.0",
                    "delays": [0.01, 1.5, 0.25, 0.1],
                },
            ),
            (INFO, "msg.relayed", {**IDS, "recipient": "bob@b.example", **meaning}),
        )

    def test_delivered(self) -> None:
        """It is in its place here."""
        result, meaning = lines_of(attempted(Delivered("maildir"), state=SlotState.DONE))
        self.assertEqual(
            {key: result[2][key] for key in ("result", "mx", "ip", "tls", "reply", "status")},
            {"result": "delivered", "mx": "", "ip": "", "tls": None, "reply": None, "status": "2.0.0"},
        )
        self.assertEqual(meaning, (INFO, "msg.delivered", {**IDS, "recipient": "bob@b.example", "by": "maildir"}))

    def test_deferred(self) -> None:
        """Why, and when next."""
        outcome = Delayed("4.7.1", "greylisted", Scope.RECIPIENT, reply(451, "4.7.1", "Later"), "mx1", "192.0.2.9")
        result, meaning = lines_of(attempted(outcome))
        self.assertEqual(result[2]["result"], "delayed")
        self.assertEqual(result[2]["reply"], "451 4.7.1 Later")
        self.assertEqual(
            meaning,
            (
                INFO,
                "msg.deferred",
                {
                    **IDS,
                    "recipient": "bob@b.example",
                    "status": "4.7.1",
                    "reason": "greylisted",
                    "scope": "recipient",
                    "attempts": 2,
                    "next_at": 1300.0,
                },
            ),
        )

    def test_bounced(self) -> None:
        """For good, and whether only for its age."""
        result, meaning = lines_of(attempted(Failed("4.4.1", "no host answers", expired=True), state=SlotState.DONE))
        self.assertEqual((result[2]["result"], result[2]["reply"]), ("failed", None))
        self.assertEqual(
            meaning,
            (
                INFO,
                "msg.bounced",
                {
                    **IDS,
                    "recipient": "bob@b.example",
                    "status": "4.4.1",
                    "reason": "no host answers",
                    "expired": True,
                    "attempts": 2,
                },
            ),
        )

    def test_operator(self) -> None:
        """What an operator has done, and why something is held."""
        held = Held(entry("bob@b.example", "carol@c.example"), (1,), "r" * 2000)
        why = "r" * 997 + "..."
        self.assert_lines(held, (INFO, "msg.held", {**IDS, "to": ["carol@c.example"], "recipients": 1, "reason": why}))
        dropped = {**IDS, "from": "alice@a.example", "recipients": 1}
        self.assert_lines(Dropped(entry()), (INFO, "msg.dropped", dropped))
        who = {"check": "milter", "cause": "192.0.2.4:11332"}
        self.assert_lines(Dropped(entry(), *who.values()), (INFO, "msg.dropped", {**dropped, **who}))

    def test_host_trouble(self) -> None:
        """A warning: nobody's message is to blame."""
        fields = {
            "site": "b.example",
            "mx": "mx1.b.example",
            "ip": "192.0.2.9",
            "stage": "connect",
            "reason": "refused",
            "waiting": 7,
        }
        trouble = HostTrouble("b.example", "mx1.b.example", "192.0.2.9", "connect", "refused", 7, None)
        self.assert_lines(trouble, (WARN, "host.trouble", fields))
        later = HostTrouble("b.example", "mx1.b.example", "192.0.2.9", "connect", "refused", 7, 60.0)
        self.assert_lines(later, (WARN, "host.trouble", {**fields, "next_at": 60.0}))

    def test_long_texts_are_cut(self) -> None:
        """A peer that talks without end does not fill the disk."""
        outcome = Delayed("4.0.0", "r" * 5000, reply=Reply(451, "", ("x" * 2000,) * 100))
        for _, _, fields in lines_of(attempted(outcome)):
            for value in fields.values():
                self.assertLessEqual(len(str(value)), 1000)
        refuse = Refuse(Reply(550, "5.1.1", ("x" * 5000,)), "c", "y" * 5000)
        ((_, _, fields),) = lines_of(Rejected(Client("::1", helo="h" * 5000), "rcpt", refuse, "s" * 5000))
        self.assertEqual(max(len(str(value)) for value in fields.values()), 1000)
