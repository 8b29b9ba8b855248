"""Tests for whose reverse path somebody who has logged in may use."""

from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.boundaries.checks import MailCheck
from smtpgw.checks.sender_login import SenderLogin
from smtpgw.model.address import Mailbox
from smtpgw.model.envelope import MailFrom
from smtpgw.model.reply import reply
from smtpgw.model.verdict import ACCEPT, Refuse
from tests.clauses import holds
from tests.contracts.check import MAIL, STRANGER, CheckContract

SENDERS = {
    "app": ("*@example.com", "*@*.wild.example", "Boss@Other.example"),
    "all": ("*",),
    "me@example.net": (),
    "idn": ("*@xn--bcher-kva.example", "ü@example.org"),
}


class SenderLoginTests(CheckContract, SynchronousTestCase):
    """Each login has its own."""

    secrets = ("app", "example")

    def make_check(self):
        """Four logins."""
        check: MailCheck = SenderLogin(SENDERS)
        return check

    def ask_all(self, check):
        """Own, foreign, null."""
        client = replace(STRANGER, identity="app")
        yield check.check_mail(client, MailFrom(Mailbox("a", "example.com")))
        yield check.check_mail(client, MAIL)
        yield check.check_mail(client, MailFrom(None))

    def may(self, identity, local, domain):
        """Whether it is accepted."""
        client = replace(STRANGER, identity=identity)
        verdict = self.make_check().check_mail(client, MailFrom(Mailbox(local, domain)))
        if verdict is ACCEPT:
            return True
        self.assertEqual(
            verdict, Refuse(reply(553, "5.7.1", "Sender address rejected: not owned by user"), "sender_login")
        )
        return False

    def test_patterns(self):
        """Addresses, domains, and what is below a domain; case makes no difference."""
        for local, domain in (
            ("any", "example.com"),
            ("Any", "EXAMPLE.com"),
            ("x", "a.wild.example"),
            ("x", "a.b.wild.example"),
            ("boss", "other.example"),
            ("BOSS", "other.example"),
        ):
            self.assertTrue(self.may("app", local, domain), (local, domain))

    @holds("6409", "6.1", "A reverse path that is not the authenticated user's is refused.")
    def test_foreign(self):
        """553 5.7.1."""
        for local, domain in (
            ("any", "sub.example.com"),
            ("any", "notexample.com"),
            ("any", "example.com.evil.example"),
            ("x", "wild.example"),
            ("x", "notwild.example"),
            ("secretary", "other.example"),
            ("any@example.com", "evil.example"),
            ("*", "evil.example"),
            ("app", ""),
            ("x", "a." * 200 + "wild.example"),
        ):
            self.assertFalse(self.may("app", local, domain), (local, domain))

    def test_own_name(self):
        """Without patterns the name is the only address; so for logins that the configuration does not know."""
        self.assertTrue(self.may("me@example.net", "me", "example.net"))
        self.assertTrue(self.may("Me@Example.net", "ME", "example.net"))
        self.assertFalse(self.may("me@example.net", "you", "example.net"))
        self.assertTrue(self.may("token@x.example", "token", "x.example"))
        self.assertFalse(self.may("token", "token", "x.example"))
        self.assertFalse(self.may("*", "x", "x.example"))
        self.assertFalse(self.may("*@x.example", "x", "x.example"))

    def test_case_of_login(self):
        """The same login in another case has the same patterns."""
        self.assertTrue(self.may("APP", "any", "example.com"))

    def test_everything(self):
        """An asterisk alone is every address."""
        self.assertTrue(self.may("all", "any", "where.example"))

    def test_labels(self):
        """U- and A-labels are the same domain; local parts are compared in one spelling."""
        for domain in ("bücher.example", "xn--bcher-kva.example", "BÜCHER.example"):
            self.assertTrue(self.may("idn", "x", domain))
        self.assertTrue(self.may("idn", "Ü", "example.org"))
        self.assertTrue(self.may("idn", "u\u0308", "example.org"))

    def test_null_path(self):
        """Notifications of reading have the null path (RFC 8098)."""
        client = replace(STRANGER, identity="app")
        self.assertIs(self.make_check().check_mail(client, MailFrom(None)), ACCEPT)

    def test_nobody(self):
        """Who has not logged in is not asked."""
        self.assertIs(self.make_check().check_mail(STRANGER, MAIL), ACCEPT)
