"""Tests for the recipients of our own domains."""

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.checks.recipients import Recipients
from smtpgw.model.domains import LocalDomain, LocalDomains, LookupTrouble
from smtpgw.model.route import Route, ViaSink
from smtpgw.model.verdict import ACCEPT, Accept
from tests.clauses import holds
from tests.contracts.check import MAIL, STRANGER, CheckContract, recipient

ROUTE = Route("local", ViaSink("discard:"))


def make(recipients, subaddress="+"):
    """A check for one domain."""
    return Recipients(LocalDomains([LocalDomain("ours.example", ROUTE, recipients, subaddress)]))


def troubled(local, domain):
    """A lookup that can't tell."""
    raise LookupTrouble(f"/etc/users: no {local}")


class RecipientsTests(CheckContract, SynchronousTestCase):
    """Known recipients are accepted, unknown ones refused at once."""

    secrets = ("/etc/users", "alice")

    def make_check(self):
        """One with a list."""
        return make(frozenset({"alice", "o'hara", "a%b"}))

    def ask_all(self, check):
        """Known, unknown, can't tell, later."""
        yield check.check_rcpt(STRANGER, MAIL, recipient("alice", "ours.example"))
        yield check.check_rcpt(STRANGER, MAIL, recipient("mallory", "ours.example"))
        yield make(troubled).check_rcpt(STRANGER, MAIL, recipient("alice", "ours.example"))
        yield self.later("alice").check_rcpt(STRANGER, MAIL, recipient("alice", "ours.example"))

    def later(self, *known):
        """A check whose lookup must be waited for."""

        async def lookup(local, domain):
            return local in known

        return make(lookup)

    def reply_to(self, check, local, domain="ours.example"):
        """Code and status, or ``None`` when it is accepted."""
        verdict = self.verdict_of(check.check_rcpt(STRANGER, MAIL, recipient(local, domain)))
        return None if isinstance(verdict, Accept) else (verdict.reply.code, verdict.reply.status)

    def test_list(self):
        """A listed local part in any case, and no other."""
        for local in ("alice", "Alice", "ALICE", "o'hara", "a%b"):
            self.assertIsNone(self.reply_to(self.make_check(), local), local)
        for local in ("mallory", "alic", "alicex", "", "alice ", "alice\x00"):
            self.assertEqual(self.reply_to(self.make_check(), local), (550, "5.1.1"), local)

    def test_every(self):
        """A domain that takes everything takes everything but hidden routes."""
        check = make(None)
        self.assertIsNone(self.reply_to(check, "anything"))
        self.assertEqual(self.reply_to(check, "user%remote.example"), (550, "5.1.1"))

    def test_nobody(self):
        """A domain without recipients still has a postmaster."""
        check = make(frozenset())
        self.assertEqual(self.reply_to(check, "alice"), (550, "5.1.1"))
        self.assertIsNone(self.reply_to(check, "postmaster"))

    @holds(
        "5321", "4.5.1", "Postmaster is a recipient of our domains, in any case and without a domain, listed or not."
    )
    def test_postmaster(self):
        """Postmaster is accepted in every case and of every of our domains, also when lookups are down."""
        for local in ("postmaster", "PostMaster", "postmaster+tag"):
            for check in (self.make_check(), make(troubled)):
                self.assertIsNone(self.reply_to(check, local))
        self.assertIsNone(self.reply_to(self.make_check(), "Postmaster", ""))
        self.assertEqual(self.reply_to(make(None), "alice", ""), (550, "5.1.1"))

    def test_subaddress(self):
        """A tag is taken off if the whole isn't listed; only by the domain's own separator."""
        check = make(frozenset({"alice", "bob+lists"}))
        for local in ("alice+x", "alice+", "alice+x+y", "bob+lists"):
            self.assertIsNone(self.reply_to(check, local), local)
        for local in ("bob+other", "+alice", "alice-x", "bob"):
            self.assertEqual(self.reply_to(check, local), (550, "5.1.1"), local)
        self.assertIsNone(self.reply_to(make(frozenset({"alice"}), "-"), "alice-x"))
        self.assertEqual(self.reply_to(make(frozenset({"alice"}), ""), "alice+x"), (550, "5.1.1"))

    def test_other_domains(self):
        """Of other domains it knows nothing."""
        self.assertIs(self.make_check().check_rcpt(STRANGER, MAIL, recipient("x", "remote.example")), ACCEPT)

    def test_lookup(self):
        """A lookup is asked for the whole, then without the tag, in lower case, and answers at once if it can."""
        asked = []

        def lookup(local, domain):
            asked.append(local)
            return local == "alice"

        check = make(lookup)
        self.assertIs(check.check_rcpt(STRANGER, MAIL, recipient("Alice+X", "ours.example")), ACCEPT)
        self.assertEqual(asked, ["alice+x", "alice"])
        self.assertEqual(self.reply_to(check, "bob"), (550, "5.1.1"))

    def test_lookup_later(self):
        """The same when its answers take time."""
        check = self.later("alice", "bob+x")
        for local in ("alice", "alice+x", "bob+x"):
            self.assertIsNone(self.reply_to(check, local), local)
        for local in ("bob", "bob+y"):
            self.assertEqual(self.reply_to(check, local), (550, "5.1.1"), local)

    def test_lookup_waits(self):
        """Nothing is decided before the answer is there."""
        answer: Deferred[bool] = Deferred()
        verdict = make(lambda local, domain: answer).check_rcpt(STRANGER, MAIL, recipient("alice", "ours.example"))
        waiting = Deferred.fromCoroutine(verdict)
        self.assertNoResult(waiting)
        answer.callback(True)
        self.assertEqual(self.successResultOf(waiting), ACCEPT)

    def test_trouble(self):
        """While a lookup can't tell, the sender is asked to come back: nobody is refused for good."""

        async def troubled_later(local, domain):
            raise OSError(f"/etc/users: {local}")

        async def troubled_at_the_tag(local, domain):
            if "+" in local:
                return False
            return troubled(local, domain)

        for lookup in (troubled, troubled_later, troubled_at_the_tag):
            check = make(lookup)
            verdict = self.refusal_of(check.check_rcpt(STRANGER, MAIL, recipient("alice+x", "ours.example")))
            self.assertEqual((verdict.reply.code, verdict.reply.status), (451, "4.3.0"))
            self.assertIn("/etc/users", verdict.cause)
