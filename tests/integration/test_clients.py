"""Mail programs that people have hand in mail: swaks, Python's smtplib, Postfix; in clear text and over STARTTLS."""

import smtplib
import ssl
from email.message import EmailMessage

from tests.clauses import holds
from tests.integration.certificates import make_certificate
from tests.integration.gateway import Gateway
from tests.integration.loopback import RealThingTestCase, find_program, wait_until
from tests.integration.postfix import ADDRESS, Postfix
from tests.integration.programs import swaks


class ClientTestCase(RealThingTestCase):
    """A gateway that puts the mail of one domain into Maildirs and offers STARTTLS."""

    def setUp(self) -> None:
        """Start it."""
        super().setUp()
        self.home = self.folder / "gateway"
        self.home.mkdir()
        self.certificate, key = make_certificate(self.home, "gw.test")
        self.gateway = Gateway(
            self.home,
            f'[tls]\ncertificate = "{self.certificate.name}"\nkey = "{key.name}"\n'
            '[[domain]]\nname = "here.test"\nrecipients = ["alice", "bob"]\ndeliver = "maildir:mail/{local}"\n',
        )
        self.gateway.start()
        self.addCleanup(self.gateway.stop)

    def mailbox(self, name: str) -> list[bytes]:
        """What has been delivered to somebody."""
        new = self.home / "mail" / name / "new"
        return [path.read_bytes() for path in new.iterdir()] if new.exists() else []

    def wait_for(self, name: str, count: int = 1) -> list[bytes]:
        """So many messages in somebody's mailbox."""
        try:
            wait_until(lambda: len(self.mailbox(name)) >= count, 20, f"{count} messages for {name}")
        except AssertionError as late:
            raise AssertionError(f"{late}\n{self.gateway.log_text()[-3000:]}") from None
        messages = self.mailbox(name)
        self.assertEqual(count, len(messages))
        return messages


class SwaksTests(ClientTestCase):
    """swaks hands in mail."""

    def setUp(self) -> None:
        """Only where it is installed."""
        find_program("swaks")
        super().setUp()

    def test_clear_text(self) -> None:
        """A plain message arrives, and the reply has the words that logs are searched for."""
        dialogue = swaks(self.gateway.port, "--from", "x@client.test", "--to", "alice@here.test", "--body", "Hello")
        self.assertRegex(dialogue, r"250 2\.0\.0 Ok: queued as [0-9A-Z]{13}")
        (message,) = self.wait_for("alice")
        self.assertIn(b"Hello", message)
        self.assertIn(b"with ESMTP id", message)

    @holds(
        "3207",
        "4",
        "As a server, STARTTLS is offered where there is a certificate, and the session starts anew after it.",
    )
    def test_starttls(self) -> None:
        """Over TLS the trace header says so."""
        dialogue = swaks(self.gateway.port, "--from", "x@client.test", "--to", "alice@here.test", tls=True)
        self.assertIn("TLS started", dialogue)
        (message,) = self.wait_for("alice")
        self.assertIn(b"with ESMTPS id", message)

    def test_unknown_recipient(self) -> None:
        """Somebody who is not there is refused at once, by the exact reply."""
        with self.assertRaises(AssertionError) as refused:
            swaks(self.gateway.port, "--from", "x@client.test", "--to", "carol@here.test")
        self.assertIn("550 5.1.1", str(refused.exception))


class SmtplibTests(ClientTestCase):
    """Python's own client hands in mail."""

    def message(self, text: str) -> EmailMessage:
        """A message to both."""
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = "x@client.test", "alice@here.test, bob@here.test", "Grüße"
        message.set_content(text, cte="8bit")
        return message

    def test_two_recipients(self) -> None:
        """A message with two recipients arrives at both, 8-bit text and lines that start with a dot unharmed."""
        with smtplib.SMTP("127.0.0.1", self.gateway.port, local_hostname="lib.test") as client:
            self.assertEqual({}, client.send_message(self.message(".\n..\nÄ\n")))
        for name in ("alice", "bob"):
            (message,) = self.wait_for(name)
            self.assertIn("\n\n.\n..\nÄ\n".encode(), message)

    def test_one_refused(self) -> None:
        """A recipient who is refused does not keep the others from getting theirs."""
        with smtplib.SMTP("127.0.0.1", self.gateway.port, local_hostname="lib.test") as client:
            refused = client.sendmail(
                "x@client.test", ["alice@here.test", "carol@here.test"], "Subject: a\r\n\r\nb\r\n"
            )
        self.assertEqual(["carol@here.test"], list(refused))
        self.wait_for("alice")

    def test_starttls(self) -> None:
        """STARTTLS with the certificate checked, and several messages over the one connection."""
        context = ssl.create_default_context(cafile=str(self.certificate))
        with smtplib.SMTP("127.0.0.1", self.gateway.port, local_hostname="lib.test") as client:
            # The name that smtplib checks is the one it was told to connect to.
            vars(client)["_host"] = "gw.test"
            client.starttls(context=context)
            for number in range(3):
                client.send_message(self.message(f"{number}\n"))
        self.wait_for("alice", 3)

    def test_large(self) -> None:
        """Ten megabytes arrive octet for octet."""
        line = "0123456789" * 7 + "\n"
        text = line * (10_000_000 // len(line))
        with smtplib.SMTP("127.0.0.1", self.gateway.port, local_hostname="lib.test", timeout=120) as client:
            client.sendmail("x@client.test", ["alice@here.test"], f"Subject: large\n\n{text}")
        (message,) = self.wait_for("alice")
        self.assertTrue(message.partition(b"\n\n")[2] == text.encode("ascii"))


class PostfixTests(ClientTestCase):
    """A Postfix has the gateway as its relayhost."""

    def relay(self, tls: str) -> bytes:
        """Hand a message to Postfix; what the gateway has delivered."""
        postfix = Postfix(self.folder / "postfix", relay_to=self.gateway.port, relay_tls=tls)
        self.addCleanup(postfix.close)
        options = ("--from", "x@client.test", "--to", "alice@here.test", "--body", "By way of Postfix")
        swaks(postfix.port, *options, address=ADDRESS)
        (message,) = self.wait_for("alice")
        self.assertIn(b"By way of Postfix", message)
        wait_until(lambda: "status=sent (250 2.0.0 Ok: queued as" in postfix.log_text(), 10, "Postfix is content")
        return message

    def test_clear_text(self) -> None:
        """Its mail arrives, pipelined as it speaks."""
        self.assertIn(b"with ESMTP id", self.relay("none"))

    def test_starttls(self) -> None:
        """Its mail arrives when it insists on TLS."""
        self.assertIn(b"with ESMTPS id", self.relay("encrypt"))
