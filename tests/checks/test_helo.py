"""Tests for names that clients give themselves."""

from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.checks.helo import Helo
from smtpgw.model.verdict import ACCEPT, Accept
from tests.clauses import holds
from tests.contracts.check import MAIL, STRANGER, CheckContract

OWN = frozenset(["MX1.Ours.Example"])


class HeloTests(CheckContract, SynchronousTestCase):
    """What can't be true is refused, what might be is not."""

    secrets = ("stranger",)

    def make_check(self):
        """One that enforces."""
        return Helo(OWN, enforces=True)

    def ask_all(self, check):
        """One of each kind, and hostile ones."""
        helos = (
            "mail.remote.example",
            "mx1.ours.example",
            "[192.0.2.1]",
            "[x]",
            "192.0.2.1",
            "stranger",
            "a\r\nb.example",
        )
        for helo in helos:
            yield check.check_mail(replace(STRANGER, helo=helo), MAIL)
            yield Helo(OWN, enforces=False).check_mail(replace(STRANGER, helo=helo), MAIL)

    def fault(self, helo, address="203.0.113.9"):
        """Why it is refused; empty when it isn't."""
        verdict = self.make_check().check_mail(replace(STRANGER, helo=helo, address=address), MAIL)
        if verdict is ACCEPT:
            return ""
        refused = self.refusal_of(verdict).reply
        self.assertEqual((refused.code, refused.status), (550, "5.7.1"))
        return refused.lines[0].removeprefix("HELO refused: ")

    @holds("5321", "4.1.4", "A HELO name that does not lead to the client's address is no reason to refuse")
    def test_real(self):
        """Names of real mail servers, whether or not the name server knows them."""
        for helo in (
            "mail.remote.example",
            "MAIL.REMOTE.EXAMPLE",
            "mail.remote.example.",
            "a.b",
            "mail_out-1.remote.example",
            "1.2.3.4.pool.remote.example",
            "xn--bcher-kva.example",
            "ours.example",
            "not-mx1.ours.example",
            "mail.internal.lan",
        ):
            self.assertEqual(self.fault(helo), "", helo)

    def test_ours(self):
        """Nobody else has our name."""
        for helo in ("mx1.ours.example", "MX1.OURS.EXAMPLE", "mx1.ours.example."):
            self.assertEqual(self.fault(helo), "that is the name of this host", helo)

    def test_literals(self):
        """An address literal is the client's own; ours is not."""
        for helo, address in (
            ("[203.0.113.9]", "203.0.113.9"),
            ("[203.0.113.9]", "::ffff:203.0.113.9"),
            ("[IPv6:::ffff:203.0.113.9]", "203.0.113.9"),
            ("[IPv6:2001:DB8::1]", "2001:db8::1"),
            ("[ipv6:2001:db8:0:0::1]", "2001:db8::1"),
            ("[192.0.2.1]", ""),
        ):
            self.assertEqual(self.fault(helo, address), "", helo)
        for helo in ("[192.0.2.1]", "[127.0.0.1]", "[IPv6:2001:db8::1]"):
            self.assertEqual(self.fault(helo), "the address literal is not your address", helo)
        for helo in ("[203.0.113.9", "[2001:db8::1]", "[IPv6:203.0.113.9]", "[]", "[mail.example]", "[203.0.113.009]"):
            self.assertEqual(self.fault(helo), "not an address literal", helo)

    def test_bare_addresses(self):
        """An address without brackets is no name."""
        for helo in ("203.0.113.9", "192.0.2.1", "2001:db8::1", "::1"):
            self.assertIn("brackets", self.fault(helo), helo)

    def test_no_names(self):
        """Words that are the name of every machine or of none."""
        for helo in (
            "localhost",
            "LOCALHOST",
            "localhost.localdomain",
            "WIN-K3J2HD",
            "user",
            ".",
            "",
            "a..b",
            ".a.b",
            "-a.example",
            "a-.example",
            "1.2.3",
            "mail.remote.example:25",
            "mail/remote.example",
            "a b.example",
            "a.example\n",
            "a.example\r\nX: y",
            "\x1b[2J.example",
            "b\u00fccher.example",
            "x" * 64 + ".example",
            ".".join(["x" * 60] * 5),
        ):
            self.assertEqual(self.fault(helo), "not a fully qualified domain name", helo)

    def test_mark(self):
        """Where it is only marked, it is noted and accepted."""
        check = Helo(OWN, enforces=False)
        self.assertIs(check.check_mail(replace(STRANGER, helo="mail.remote.example"), MAIL), ACCEPT)
        self.assertEqual(
            check.check_mail(replace(STRANGER, helo="localhost"), MAIL),
            Accept(("helo: not a fully qualified domain name",)),
        )

    def test_long(self):
        """A long name costs nothing."""
        for helo in ("a." * 100_000, "a" * 200_000, "[" * 200_000, "-" * 200_000, "1." * 100_000):
            self.assertNotEqual(self.fault(helo), "")
