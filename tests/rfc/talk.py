"""Clients that talk to a whole server in memory, for tests of one clause each."""

# mypy: no-check-untyped-defs

import re

from smtpgw.smtp.extension import Facts
from tests.net.server_rig import Rig
from tests.smtp.fakes import CoreDriver

ENVELOPE = ("MAIL FROM:<a@a.example>", "RCPT TO:<b@b.example>")
CONTENT = ("Subject: x", "", "hello", ".")

_REPLY = re.compile(r"(?:\d\d\d-[^\r\n]*\r\n)*\d\d\d(?: [^\r\n]*)?\r\n")


def replies(text):
    """The replies in what a server said, one text for each, checked for their form."""
    found = _REPLY.findall(text)
    assert "".join(found) == text, text
    return found


def codes(text):
    """Their codes."""
    return [int(one[:3]) for one in replies(text)]


class Talk:
    """
    One client of a whole server, EHLO not yet said.

    :ivar banner: what the server began with.
    :ivar rig: the server.
    """

    def __init__(self, rig=None, *, errors=1000, **options):
        self.rig = rig or Rig(errors=errors, **options)
        self.client = self.rig.connect()
        self.banner = self.client.said().decode("ascii")

    @property
    def messages(self):
        """Those that were taken."""
        return self.rig.reception.messages

    @property
    def is_closed(self):
        """By the server."""
        return self.client.transport.disconnecting or self.client.transport.is_aborted

    def raw(self, octets):
        """What is said to these octets."""
        return self.client.send(octets).decode("ascii")

    def say(self, *lines):
        """Lines at once; all that is said to them."""
        return self.raw("".join(f"{line}\r\n" for line in lines).encode())

    def codes(self, *lines):
        """Likewise; the codes."""
        return codes(self.say(*lines))

    def greet(self):
        """EHLO."""
        self.say("EHLO c.example")
        return self

    def offers(self):
        """What EHLO offers: keyword and what follows it."""
        lines = self.say("EHLO c.example").splitlines()[1:]
        return dict(line[4:].partition(" ")[::2] for line in lines)


class Inside(Talk):
    """The same of a session alone, with facts that a transport in memory can't have: TLS, logins."""

    def __init__(self, *, errors=1000, facts=None, **rules):
        self.driver = CoreDriver(facts=facts or Facts(tls_active=True), errors=errors, **rules)
        self.banner = ""

    @property
    def messages(self):
        """Those that were taken."""
        return self.driver.reception.messages

    @property
    def is_closed(self):
        """By the server."""
        return self.driver.is_closed

    def raw(self, octets):
        """What is said to these octets."""
        return self.driver.feed(octets).decode("ascii")
