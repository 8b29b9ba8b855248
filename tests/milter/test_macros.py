"""What milters are told beside the commands."""

# mypy: no-check-untyped-defs

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.milter import macros
from smtpgw.model.address import Mailbox
from smtpgw.model.envelope import Client, MailFrom, TlsFacts


class MacroTests(SynchronousTestCase):
    """Under sendmail's names."""

    def test_connect(self):
        """A client with a confirmed name, and one without."""
        named = dict(macros.of_connect(Client("192.0.2.1", name="a.test", port=7, listener="tcp:25"), "gw.test"))
        self.assertEqual(
            (named[b"j"], named[b"_"], named[b"{client_name}"]), ("gw.test", "a.test [192.0.2.1]", "a.test")
        )
        self.assertEqual((named[b"{client_port}"], named[b"{daemon_name}"]), ("7", "tcp:25"))
        other = dict(macros.of_connect(Client("192.0.2.1"), "gw.test"))
        self.assertEqual((other[b"_"], other[b"{client_name}"]), ("[192.0.2.1]", "unknown"))

    def test_helo(self):
        """TLS; who a certificate names is told only when it was checked."""
        self.assertEqual(macros.of_helo(Client("192.0.2.1")), ())
        for verified, subject in ((True, "c.test"), (False, None)):
            facts = TlsFacts("TLSv1.3", "AES", verified, ("a@c.test", "c.test"))
            found = dict(macros.of_helo(Client("192.0.2.1", tls=facts)))
            self.assertEqual((found[b"{tls_version}"], found.get(b"{cert_subject}")), ("TLSv1.3", subject))

    def test_mail(self):
        """The sender; the login, if there was one; the null path has no host."""
        client = Client("192.0.2.1", identity="app", mechanism="PLAIN")
        found = dict(macros.of_mail(client, MailFrom(Mailbox("a", "b.test"))))
        self.assertEqual(
            found,
            {b"{mail_addr}": "a@b.test", b"{mail_host}": "b.test", b"{auth_authen}": "app", b"{auth_type}": "PLAIN"},
        )
        self.assertEqual(dict(macros.of_mail(Client(""), MailFrom(None))), {b"{mail_addr}": "", b"{mail_host}": ""})

    def test_the_rest(self):
        """The recipient, and the message's id."""
        self.assertEqual(
            dict(macros.of_rcpt(Mailbox("a", "b.test"))), {b"{rcpt_addr}": "a@b.test", b"{rcpt_host}": "b.test"}
        )
        self.assertEqual(macros.of_content("ID"), ((b"i", "ID"),))
