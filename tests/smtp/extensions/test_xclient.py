"""XCLIENT."""

# Wrong types are handed in on purpose, and boundaries replaced.
# mypy: no-check-untyped-defs

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.model.reply import Reply, reply
from smtpgw.smtp import replies
from smtpgw.smtp.events import XclientAsked
from smtpgw.smtp.extension import Facts
from smtpgw.smtp.extensions.xclient import Xclient
from tests.contracts.extension import ExtensionContract
from tests.smtp.fakes import CoreDriver

_BANNER = b"220 mx.example ESMTP\r\n"


class XclientTests(ExtensionContract, SynchronousTestCase):
    """A trusted proxy says for whom it speaks."""

    extension = Xclient()
    offered = Facts(xclient=True)

    def make_driver(self, **rules):
        """Trusted, and greeted."""
        driver = CoreDriver(facts=Facts(xclient=True), **rules)
        driver.feed(b"EHLO proxy\r\n")
        return driver

    def test_attributes(self):
        """Decoded, checked, in their canonical form."""
        for argument, attributes in (
            (b"ADDR=192.0.2.7 PORT=25", {"ADDR": "192.0.2.7", "PORT": "25"}),
            (b"addr=IPV6:2001:DB8::1", {"ADDR": "2001:db8::1"}),
            (b"NAME=Spike.Example. HELO=[192.0.2.7]", {"NAME": "spike.example", "HELO": "[192.0.2.7]"}),
            (b"NAME=[TEMPUNAVAIL] ADDR=[unavailable] LOGIN=[UNAVAILABLE]", {"NAME": "", "ADDR": "", "LOGIN": ""}),
            (b"LOGIN=a+2Bb@x PROTO=esmtp", {"LOGIN": "a+b@x", "PROTO": "ESMTP"}),
            (b"DESTADDR=192.0.2.1 DESTPORT=65535", {"DESTADDR": "192.0.2.1", "DESTPORT": "65535"}),
        ):
            driver = self.make_driver()
            self.assertEqual(driver.feed(b"XCLIENT " + argument + b" \r\n"), b"")
            self.assertEqual(driver.events[-1], XclientAsked(attributes))

    def test_bad(self):
        """501: one wrong attribute and none is taken."""
        for argument in (
            b"",
            b"ADDR",
            b"ADDR=",
            b"ADDR=192.0.2.256",
            b"ADDR=2001:db8::1",
            b"ADDR=IPV6:fe80::1%25eth0",
            b"ADDR=IPV6:192.0.2.1",
            b"PORT=0",
            b"PORT=65536",
            b"PORT=+31x",
            b"PORT=025",
            b"PROTO=LMTP",
            b"NAME=a+20b",
            b"NAME=a+0D+0Ab",
            b"NAME=" + b"a." * 127 + b"aa",
            b"HELO=a+20b",
            b"HELO=(a)",
            b"LOGIN=a+0Ab",
            b"LOGIN=+20a",
            b"LOGIN=" + b"a" * 256,
            b"COLOUR=red",
            b"ADDR=192.0.2.1 ADDR=192.0.2.1",
            b"ADDR=192.0.2.1  PORT=1",
            b"ADDR=192.0.2.1\tPORT=1",
        ):
            driver = self.make_driver()
            self.assertEqual(driver.feed(b"XCLIENT " + argument + b"\r\n")[:10], b"501 5.5.4 ", argument)

    def test_who_and_when(self):
        """Nobody but the trusted, and not in a transaction."""
        self.assertEqual(CoreDriver().feed(b"XCLIENT ADDR=192.0.2.1\r\n")[:10], b"550 5.7.0 ")
        self.assertNotIn(b"XCLIENT", CoreDriver().feed(b"EHLO c\r\n"))
        driver = self.make_driver()
        driver.feed(b"MAIL FROM:<a@x>\r\n")
        self.assertEqual(driver.feed(b"XCLIENT ADDR=192.0.2.1\r\n")[:10], b"503 5.5.1 ")

    def test_start_anew(self):
        """The banner comes again, the client has no name, and what stood behind the command is read."""
        driver = self.make_driver()
        driver.feed(b"XCLIENT ADDR=192.0.2.1\r\nMAIL FROM:<a@x>\r\nEHLO c\r\n")
        driver.session.xclient_done()
        said = driver.run()
        self.assertEqual(said[: len(_BANNER) + 4], _BANNER + b"503 ")
        self.assertEqual(driver.session.helo, "c")

    def test_login(self):
        """A login that counts is as good as AUTH."""
        driver = self.make_driver(requires_auth=True)
        self.assertEqual(driver.feed(b"MAIL FROM:<a@x>\r\n")[:4], b"530 ")
        driver.feed(b"XCLIENT LOGIN=alice\r\n")
        driver.session.xclient_done(is_authenticated=True)
        self.assertEqual(driver.feed(b"EHLO c\r\nMAIL FROM:<a@x>\r\n")[-14:], replies.MAIL_OK)
        driver.feed(b"RSET\r\nXCLIENT LOGIN=[UNAVAILABLE]\r\n")
        driver.session.xclient_done()
        driver.run()
        self.assertEqual(driver.feed(b"EHLO c\r\nMAIL FROM:<a@x>\r\n").splitlines()[-1][:4], b"530 ")

    def test_refused(self):
        """The client it speaks for may not come in: that is said instead of the banner."""
        driver = self.make_driver()
        driver.feed(b"XCLIENT ADDR=192.0.2.1\r\n")
        driver.session.refuse(reply(421, "4.7.0", "Not now"))
        self.assertEqual(driver.run(), b"421 4.7.0 Not now\r\n")
        self.assertTrue(driver.is_closed)

    @settings(max_examples=200, deadline=None)
    @given(st.sampled_from(["NAME", "ADDR", "PORT", "PROTO", "HELO", "LOGIN", "DESTADDR"]), st.binary(max_size=40))
    def test_any_value(self, name, value):
        """Nothing is raised, and nothing that is given out has a control character or a space at its ends."""
        result = self.extension.command("XCLIENT", name.encode() + b"=" + value, Facts(xclient=True))
        if not isinstance(result, Reply):
            self.assertRegex(result.attributes[name], r"\A(?:[!-~](?:[ -~]*[!-~])?)?\Z")
