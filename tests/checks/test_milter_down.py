"""A milter that is down, or too busy, and clients that go away while it is asked."""

# mypy: no-check-untyped-defs

from twisted.internet.defer import Deferred

from smtpgw.boundaries.filters import Edits, Passed
from smtpgw.milter import codec
from smtpgw.milter.codec import packet
from smtpgw.model.envelope import Client
from smtpgw.model.verdict import ACCEPT, Accept, Refuse
from tests.checks.test_milter import CAROL, CLIENT, ENVELOPE, MAIL, MilterTestCase, Rig
from tests.milter.fakes import DIE, HANG, FakeContent, FakeMilter

_END = packet(codec.CONTINUE)


class DownTests(MilterTestCase):
    """While it can't be asked."""

    def test_unreachable(self):
        """451; or as if there were none, with a remark."""
        rig = Rig()
        refuse = self.mail(rig)
        self.assertEqual((refuse.reply.code, refuse.reply.status), (451, "4.7.1"))
        self.assertIn("can't be reached", refuse.cause)
        rig = Rig(accepts_when_down=True)
        self.assertIn("can't be reached", self.mail(rig).notes[0])
        self.assertEqual(self.rcpt(rig), ACCEPT)
        self.assertEqual(self.content(rig), Passed(notes=("milter: not asked",)))

    def test_which(self):
        """The log says which one of several it is, and only the log."""
        address = "unix:/secret/path"
        refuse = self.mail(Rig(FakeMilter({codec.HELO: DIE}), address=address))
        self.assertEqual(refuse.cause, f"{address}: it has hung up")
        self.assertEqual(self.mail(Rig(address=address)).cause, f"{address} can't be reached")
        note = self.mail(Rig(FakeMilter({codec.HELO: DIE}), accepts_when_down=True, address=address)).notes[0]
        self.assertEqual(note, f"milter: not asked: {address}: it has hung up")
        refuse = self.mail(Rig(FakeMilter({codec.MAIL: [packet(codec.REJECT)]}), address=address))
        self.assertEqual(refuse.cause, address)
        self.assertNotIn("secret", str(refuse.reply))

    def test_back_again(self):
        """The next MAIL tries it again."""
        rig = Rig()
        self.assertEqual(self.mail(rig).reply.code, 451)
        rig.milters.append(FakeMilter())
        self.assertEqual(self.mail(rig), ACCEPT)

    def test_idle_connection_lost(self):
        """A milter that has closed an idle connection is asked over a new one; nobody notices."""
        first, second = FakeMilter(), FakeMilter()
        rig = Rig(first, second)
        self.assertEqual((self.mail(rig), self.rcpt(rig), self.content(rig)), (ACCEPT, ACCEPT, Passed()))
        first.die()
        self.assertEqual((self.mail(rig), self.rcpt(rig), self.content(rig)), (ACCEPT, ACCEPT, Passed()))
        self.assertEqual(second.commands(), b"OCHMRTLNBE")

    def test_lost_at_mail(self):
        """Also when it closes just as it is asked."""
        first, second = FakeMilter({codec.MAIL: [_END, DIE]}), FakeMilter()
        rig = Rig(first, second)
        self.mail(rig)
        self.assertEqual(self.mail(rig), ACCEPT)
        self.assertEqual(second.commands(), b"OCHM")

    def test_lost_at_rcpt(self):
        """451 for this recipient; the message of the others is told again, from its beginning, on a new connection."""
        rig = Rig(FakeMilter({codec.RCPT: [_END, DIE]}), FakeMilter())
        self.mail(rig)
        self.assertEqual((self.rcpt(rig), self.rcpt(rig, CAROL).reply.code), (ACCEPT, 451))
        self.assertEqual(self.content(rig), Passed())
        self.assertEqual(rig.opened[1].commands(), b"OCHMRTLNBE")

    def test_told_again_and_refused(self):
        """What is refused then is refused."""
        rig = Rig(FakeMilter(), FakeMilter({codec.RCPT: packet(codec.REJECT)}))
        self.mail(rig)
        self.rcpt(rig)
        rig.opened[0].die()
        self.assertEqual(self.content(rig).reply.code, 550)

    def test_dies_in_the_content(self):
        """At any step: 451, or the message as it came; never half of its changes."""
        for command in (codec.DATA, codec.HEADER, codec.END_OF_HEADER, codec.BODY, codec.END_OF_MESSAGE):
            for accepts in (False, True):
                rig = Rig(FakeMilter({command: DIE}), accepts_when_down=accepts)
                self.mail(rig)
                self.rcpt(rig)
                found = self.content(rig)
                if accepts:
                    self.assertEqual(found, Passed(notes=("milter: not asked: it has hung up",)))
                else:
                    self.assertEqual(found.reply.code, 451)
        rig = Rig(FakeMilter({codec.END_OF_MESSAGE: packet(b"h", b"A\0b\0") + packet(b"?")}), accepts_when_down=True)
        self.assertEqual(self.content(rig).edits, Edits())

    def test_too_many(self):
        """Connections to it are bounded."""
        rig = Rig(FakeMilter(), FakeMilter(), FakeMilter(), most_visits=2)
        clients = [Client("192.0.2.1", session_id=f"s{n}") for n in range(3)]
        self.assertEqual([type(self.mail(rig, client)) for client in clients], [Accept, Accept, Refuse])
        rig.check.leave(clients[0])
        self.assertEqual(self.mail(rig, clients[2]), ACCEPT)

    def test_too_many_for_content(self):
        """Messages that come with a connection of their own count, too; with "accept" they go on without it."""
        for accepts in (False, True):
            rig = Rig(FakeMilter({codec.END_OF_MESSAGE: HANG}), FakeMilter(), accepts_when_down=accepts, most_visits=1)
            local, stranger = Client("", protocol="LOCAL"), Client("192.0.2.9", session_id="s9")
            first = self.later(rig.check.filter_content(local, ENVELOPE, "ID", FakeContent()))
            for client in (local, stranger):
                found = self.content(rig, client=client)
                if accepts:
                    self.assertEqual(found, Passed(notes=("milter: not asked: too many connections to it",)))
                else:
                    self.assertEqual((found.reply.code, found.cause), (451, "too many connections to it"))
            self.assertIsInstance(self.mail(rig, stranger), Accept if accepts else Refuse)
            self.assertEqual(len(rig.opened), 1)
            rig.opened[0].die()
            self.successResultOf(first)
            self.assertEqual(self.content(rig, client=local), Passed())
            self.assertEqual(len(rig.opened), 2)

    def test_room_for_others(self):
        """Clients that stay for later messages give theirs up to those that have one now, and get another."""
        rig = Rig(*[FakeMilter() for _ in range(4)], most_visits=2)
        clients = [Client("192.0.2.1", session_id=f"s{n}") for n in range(3)]
        for client in clients:
            self.assertEqual((self.mail(rig, client), self.rcpt(rig, client=client)), (ACCEPT, ACCEPT))
            self.assertEqual(self.content(rig, client=client), Passed())
        self.assertEqual([milter.is_open for milter in rig.opened], [False, True, True])
        self.assertEqual(self.mail(rig, clients[0]), ACCEPT)
        self.assertEqual([milter.is_open for milter in rig.opened], [False, False, True, True])
        # One that is not yet connected has none to spare, and nobody is hung up on in a transaction.
        self.assertEqual(self.mail(rig, clients[2]), ACCEPT)
        self.assertEqual(self.mail(rig, clients[1]).cause, "too many connections to it")
        # Refused at MAIL is no transaction.
        rig = Rig(FakeMilter({codec.MAIL: [packet(codec.REJECT)] * 2}), FakeMilter(), most_visits=1)
        self.assertIsInstance(self.mail(rig, clients[0]), Refuse)
        self.assertEqual(self.mail(rig, clients[1]), ACCEPT)


class LeavingTests(MilterTestCase):
    """Clients that are gone leave nothing behind."""

    def test_in_the_middle(self):
        """Whatever the milter was asked, its connection goes with the client's."""
        for command in (codec.OPTNEG, codec.CONNECT, codec.MAIL):
            rig = Rig(FakeMilter({command: HANG}))
            waiting = self.later(rig.check.check_mail(CLIENT, MAIL))
            rig.check.leave(CLIENT)
            self.assertIsInstance(self.successResultOf(waiting), Refuse)
            self.assertFalse(rig.opened[0].is_open)

    def test_while_connecting(self):
        """A connection that stands too late is closed at once."""
        opening = Deferred()
        rig = Rig(opening)
        waiting = self.later(rig.check.check_mail(CLIENT, MAIL))
        rig.check.leave(CLIENT)
        opening.callback(FakeMilter())
        self.successResultOf(waiting)
        self.assertFalse(rig.opened[0].is_open)

    def test_cancelled(self):
        """A client that goes while its message is judged takes the milter's connection along."""
        rig = Rig(FakeMilter({codec.END_OF_MESSAGE: HANG}))
        self.mail(rig)
        self.rcpt(rig)
        waiting = self.later(rig.check.filter_content(CLIENT, ENVELOPE, "ID", FakeContent()))
        waiting.addErrback(lambda failure: None)
        waiting.cancel()
        self.assertFalse(rig.opened[0].is_open)

    def test_strangers(self):
        """Of most clients it has never heard."""
        rig = Rig()
        rig.check.leave(CLIENT)
        self.assertEqual(self.rcpt(rig), ACCEPT)
