"""A client that says what it is told to, one command at a time, and shows what it hears."""

import socket
import ssl
from typing import Self

_MESSAGE = "From: <alice@client.test>\r\nSubject: hello\r\n\r\nHello\r\n"


class Dialogue:
    """
    One connection to 127.0.0.1.

    :ivar banner: the first reply.
    """

    def __init__(self, port: int, address: str = "", helo: str = "client.test", *, local: str = "") -> None:
        """
        :param address: what a PROXY header says that the client has; empty: there is no header.
        :param helo: said at once, if the banner is 220; empty: not.
        :param local: our address of the connection.
        """
        source = (local, 0) if local else None
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20, source_address=source)
        self._input = self.socket.makefile("rb")
        if address:
            family = "TCP6" if ":" in address else "TCP4"
            other = "2001:db8::25" if ":" in address else "192.0.2.25"
            self.socket.sendall(f"PROXY {family} {address} {other} 4711 25\r\n".encode())
        self.banner = self.reply()
        self.offer = self.say(f"EHLO {helo}") if helo and self.banner.startswith("220") else ""

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Hang up."""
        self.close()

    def close(self) -> None:
        """Hang up."""
        self._input.close()
        self.socket.close()

    def reply(self) -> str:
        """One reply, its lines joined with LF; empty when the connection has ended."""
        lines = []
        try:
            while line := self._input.readline():
                lines.append(line.decode("utf-8", "backslashreplace").rstrip("\r\n"))
                if line[3:4] != b"-":
                    break
        except ConnectionError:
            pass
        return "\n".join(lines)

    def say(self, *commands: str) -> str:
        """Say each and hear the reply to it; the last one."""
        answer = ""
        for command in commands:
            self.socket.sendall(command.encode("utf-8", "surrogateescape") + b"\r\n")
            answer = self.reply()
        return answer

    def begin_tls(self, context: ssl.SSLContext | None = None, helo: str = "client.test") -> str:
        """STARTTLS, the handshake, and EHLO again; what that offers."""
        answer = self.say("STARTTLS")
        assert answer.startswith("220"), answer
        self.wrap(context)
        self.offer = self.say(f"EHLO {helo}")
        return self.offer

    def wrap(self, context: ssl.SSLContext | None = None) -> None:
        """The handshake alone."""
        if context is None:
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        self._input.close()
        self.socket = context.wrap_socket(self.socket, server_hostname="gw.test")
        self._input = self.socket.makefile("rb")

    def mail(self, *recipients: str, sender: str = "alice@client.test") -> str:
        """MAIL and each RCPT; the first reply that refuses, else the last."""
        answer = ""
        for command in (f"MAIL FROM:<{sender}>", *(f"RCPT TO:<{recipient}>" for recipient in recipients)):
            answer = self.say(command)
            if not answer.startswith("2"):
                break
        return answer

    def send(self, *recipients: str, sender: str = "alice@client.test", message: str = _MESSAGE) -> str:
        """A whole message; the reply to the first command that is refused, or to the end of data."""
        answer = self.mail(*recipients, sender=sender)
        if not answer.startswith("2"):
            return answer
        answer = self.say("DATA")
        return self.say(message + ".") if answer.startswith("354") else answer
