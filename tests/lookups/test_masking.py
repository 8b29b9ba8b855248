"""Passwords never get into a log."""

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.lookups.masking import masked, masked_url, one_line


class UrlTests(SynchronousTestCase):
    """URLs of a configuration, as errors show them."""

    def test_passwords(self) -> None:
        """Wherever they stand, also when they were not encoded as they should have been."""
        for url in (
            "postgresql://user:secret@host/db",
            "postgresql://user:se/secret@host/db",
            "postgresql://user:se#secret@host/db",
            "postgresql://user:se?secret@host/db",
            "postgresql://user:p@secret@host/db",
            "postgresql://host/db?password=secret&x=y",
            "postgresql://host/db?sslpassword=secret",
            "ldap://cn=a:secret@host/dc=b",
            "https://user:secret@host/{address}",
        ):
            self.assertNotIn("secret", masked_url(url), url)
            self.assertIn("host", masked_url(url), url)

    def test_harmless(self) -> None:
        """A URL without one is shown as it is."""
        url = "ldap://host/dc=b?mail?sub?(mail={local}@ours.example)"
        self.assertEqual(masked_url(url), url)


class TextTests(SynchronousTestCase):
    """What other programs say."""

    def test_masked(self) -> None:
        """The password as it is and as the URL has it."""
        self.assertEqual(masked("p%40w and p@w", ("p%40w",)), "*** and ***")
        self.assertEqual(masked("nothing", ("",)), "nothing")

    def test_one_line(self) -> None:
        """One line, bounded, without control characters."""
        self.assertEqual(one_line("a\r\nb\x1b[31m\x00c"), "a b [31m c")
        self.assertEqual(len(one_line("x" * 10_000)), 300)
