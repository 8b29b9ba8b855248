"""Who is a recipient, asked elsewhere, through a gateway as it runs; and what is said while that is down."""

import contextlib
import socket
import sqlite3
import threading
import time

from tests.integration.gateway import Gateway
from tests.integration.loopback import free_port
from tests.integration.policy import DOMAIN, PolicyTestCase

_QUEUED = "250 2.0.0 Ok: queued as "
_FUNCTIONS = """\
import time
async def soon(address):
    if address == "boom@here.test":
        raise ValueError("hunter2")
    return 1 if address == "one@here.test" else address == "bob@here.test"
def slow(address):
    if address.startswith("stuck"):
        time.sleep(3)
    return address == "bob@here.test"
"""


class SourceTestCase(PolicyTestCase):
    """One domain, another source each time."""

    def serve_from(self, source: str, more: str = "") -> None:
        """Start the gateway."""
        domain = f'[[domain]]\nname = "here.test"\nrecipients = "{source}"\ndeliver = "maildir:mail/{{local}}"\n'
        self.serve(more, domain=domain)

    def ask(self, *addresses: str) -> list[str]:
        """What RCPT says to each, without its text."""
        client = self.connect()
        self.assert_says("250", client.say("MAIL FROM:<a@client.test>"))
        return [client.say(f"RCPT TO:<{address}>")[:9] for address in addresses]


class SqliteTests(SourceTestCase):
    """recipients = "sqlite:..."."""

    def test_asked(self) -> None:
        """Values are values, whatever stands in an address; a missing or broken file delays."""
        path = self.folder / "users.db"
        with sqlite3.connect(path) as database:
            database.execute("CREATE TABLE recipients (address TEXT)")
            database.executemany("INSERT INTO recipients VALUES (?)", [("bob@here.test",), ("o'hara@here.test",)])
        database.close()
        self.serve_from("sqlite:users.db")
        answers = self.ask(
            "Bob@HERE.test", "bob+tag@here.test", "o'hara@here.test", "'or'1'='1@here.test", "eve@here.test"
        )
        self.assertEqual(answers, ["250 2.1.5"] * 3 + ["550 5.1.1"] * 2)
        self.assert_says("550 5.1.1", self.connect().mail("\"x' OR '1'='1\"@here.test"))
        path.write_bytes(b"damaged" * 1000)
        self.assertEqual(self.ask("carol@here.test", "postmaster@here.test"), ["451 4.3.0", "250 2.1.5"])
        path.unlink()
        self.assertEqual(self.ask("dave@here.test"), ["451 4.3.0"])
        # What was known stays known for a while.
        self.assertEqual(self.ask("bob@here.test"), ["250 2.1.5"])
        self.assertFalse(path.exists())
        self.assertIn("recipient lookup", self.line("smtp.reject", subject="dave@here.test")["cause"])


class PythonTests(SourceTestCase):
    """recipients = "python:..."."""

    def setUp(self) -> None:
        """Write the functions."""
        super().setUp()
        (self.folder / "recipients_of_test.py").write_text(_FUNCTIONS, encoding="utf-8")

    def test_coroutine(self) -> None:
        """True is known, False is not, and everything else is trouble, whose text nobody outside hears."""
        self.serve_from("python:recipients_of_test:soon")
        answers = self.ask("bob@here.test", "eve@here.test", "boom@here.test", "one@here.test")
        self.assertEqual(answers, ["250 2.1.5", "550 5.1.1", "451 4.3.0", "451 4.3.0"])

    def test_function(self) -> None:
        """One that blocks keeps nobody else waiting, and no gateway from stopping."""
        self.serve_from("python:recipients_of_test:slow")
        stuck = [self.connect() for _ in range(3)]
        for number, client in enumerate(stuck):
            client.say("MAIL FROM:<a@client.test>")
            client.socket.sendall(f"RCPT TO:<stuck{number}@here.test>\r\n".encode())
        begun = time.monotonic()
        self.assert_says(_QUEUED, self.connect().send("bob@here.test"))
        self.assertLess(time.monotonic() - begun, 1)
        self.stop()
        self.assertLess(time.monotonic() - begun, 10)


class CallAheadTests(SourceTestCase):
    """recipients = "smtp:..."."""

    def test_another_gateway(self) -> None:
        """Another mail host's word is taken; while it is gone mail is delayed, and the client hears nothing of it."""
        folder = self.folder / "inner"
        folder.mkdir()
        inner = Gateway(folder, DOMAIN, "relay_networks = []")
        port = inner.port
        self.addCleanup(inner.stop)
        inner.start()
        self.serve_from(f"smtp:127.0.0.1:{port}")
        self.assertEqual(
            self.ask("bob@here.test", "eve@here.test", "bob+x@here.test"), ["250 2.1.5", "550 5.1.1", "250 2.1.5"]
        )
        inner.kill()
        client = self.connect()
        client.say("MAIL FROM:<a@client.test>")
        answer = client.say("RCPT TO:<carol@here.test>")
        self.assert_says("451 4.3.0", answer)
        self.assertNotIn(str(port), answer)
        self.assertEqual(self.ask("bob@here.test", "eve@here.test"), ["250 2.1.5", "550 5.1.1"])
        self.assertIn(str(port), self.line("smtp.reject", subject="carol@here.test")["cause"])

    def test_hostile_host(self) -> None:
        """One that says what no mail host says delays mail, and puts nothing into our replies."""
        server = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(server.close)

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with contextlib.suppress(ConnectionError), connection:
                    connection.sendall(b"220 x\r\n")
                    while line := connection.recv(4096):
                        if line.startswith(b"RCPT"):
                            connection.sendall(b"550 5.1.1 a\n250 2.0.0 b\r550-\x1b[31m" + b"x" * 100_000 + b"\r\n")
                        else:
                            connection.sendall(b"250 ok\r\n")

        threading.Thread(target=serve, daemon=True).start()
        self.serve_from(f"smtp:127.0.0.1:{server.getsockname()[1]}")
        client = self.connect()
        client.say("MAIL FROM:<a@client.test>")
        self.assertEqual(client.say("RCPT TO:<bob@here.test>"), "451 4.3.0 Temporary trouble, please try again later")
        self.assertEqual(client.say("NOOP"), "250 2.0.0 Ok")


class SecretTests(SourceTestCase):
    """Passwords of sources."""

    def test_nowhere(self) -> None:
        """A web service that is down: neither reply nor log has the password of its URL."""
        port = free_port()
        self.serve_from(f"http://gw:hunter2secret@127.0.0.1:{port}/exists?key=s3cr3tkey&a={{address}}")
        client = self.connect()
        client.say("MAIL FROM:<a@client.test>")
        answer = client.say("RCPT TO:<bob@here.test>")
        self.assert_says("451 4.3.0", answer)
        self.line("smtp.reject", subject="bob@here.test")
        for shown in (answer, self.gateway.log_text()):
            self.assertNotIn("hunter2secret", shown)
            self.assertNotIn("Z3c6aHVudGVyMnNlY3JldA", shown)
