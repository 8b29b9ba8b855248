"""What strangers try: too much at once, addresses that might exist, and mail to others through us."""

import time
import unicodedata

from tests.integration.certificates import make_certificate
from tests.integration.loopback import wait_until
from tests.integration.policy import STRANGER, PolicyTestCase

_QUEUED = "250 2.0.0 Ok: queued as "
_ROUTES = "[delivery]\npaused = true\n"


class RateTests(PolicyTestCase):
    """The rates of [limits]."""

    def test_rates(self) -> None:
        """Connections, messages and recipients a minute, of one address or one /64; others don't suffer."""
        self.serve(
            "[limits]\nconnections_per_minute = 6\nmessages_per_minute = 3\nrecipients_per_minute = 5",
            listen='relay_networks = ["203.0.113.0/24"]',
        )
        client = self.connect()
        for _ in range(3):
            self.assert_says(_QUEUED, client.send("bob@here.test"))
        self.assert_says("450 4.7.1 Too many messages from you in a minute, try again in", client.send("bob@here.test"))
        other = self.connect("192.0.2.2")
        self.assert_says("250", other.mail("bob@here.test", "bob@here.test", "bob@here.test", "bob@here.test"))
        # Those that don't exist count, too.
        self.assert_says("550 5.1.1", other.say("RCPT TO:<nobody@here.test>"))
        self.assert_says("450 4.7.1 Too many recipients from you", other.say("RCPT TO:<bob@here.test>"))
        banners = [self.connect(f"2001:db8::{number}", "").banner[:3] for number in range(1, 9)]
        self.assertEqual(banners, ["220"] * 6 + ["421"] * 2)
        self.assert_says("220", self.connect("2001:db8:0:1::1").banner)
        for _ in range(8):
            self.assert_says(_QUEUED, self.connect("203.0.113.5").send("bob@here.test"))
        self.assertEqual(
            self.line("smtp.reject", ip="192.0.2.2", stage="rcpt", subject="bob@here.test")["check"], "rates"
        )

    def test_connections(self) -> None:
        """connections_per_client holds for the address that the proxy tells."""
        self.serve("[limits]\nconnections_per_client = 2")
        kept = [self.connect() for _ in range(2)]
        self.assert_says("421 4.7.0", self.connect().banner)
        self.assert_says("220", self.connect("192.0.2.2").banner)
        kept[0].say("QUIT")
        kept[0].close()
        wait_until(lambda: self.connect().banner.startswith("220"), 10, "there is room for another")

    def test_trying_addresses_out(self) -> None:
        """refused_recipients ends the connection; until then the tarpit makes it slow, for that client alone."""
        self.serve("[limits]\nrefused_recipients = 4\n[policy]\ntarpit = 0.15")
        guesser, honest = self.connect(), self.connect("192.0.2.2")
        self.assert_says("250", guesser.mail("bob@here.test"))
        begun = time.monotonic()
        answers = [guesser.say(f"RCPT TO:<guess{number}@here.test>") for number in range(3)]
        self.assertEqual([answer[:9] for answer in answers], ["550 5.1.1"] * 3)
        self.assertGreater(time.monotonic() - begun, 0.85)
        waits = []
        for _ in range(3):
            begun = time.monotonic()
            self.assert_says(_QUEUED, honest.send("bob@here.test"))
            waits.append(time.monotonic() - begun)
        # Not the slowest: the machine may be busy with something else.
        self.assertLess(min(waits), 0.5)
        self.assert_says("550 5.1.1", guesser.say("RCPT TO:<guess3@here.test>"))
        self.assert_says("421 4.7.0", guesser.say("RCPT TO:<guess4@here.test>"))
        self.assertEqual(guesser.reply(), "")


class OpenRelayTests(PolicyTestCase):
    """Nobody sends to others through us: whatever the address looks like."""

    FOREIGN = (
        "victim@elsewhere.test",
        "victim@ELSEWHERE.TEST",
        "victim@elsewhere.test.",
        "@here.test:victim@elsewhere.test",
        "@here.test,@here.test:victim@elsewhere.test",
        '"victim"@elsewhere.test',
        '"bob@here.test"@elsewhere.test',
        "bob%here.test@elsewhere.test",
        "here.test!bob@elsewhere.test",
        "victim@[192.0.2.25]",
        "victim@[127.0.0.1]",
        "victim@[IPv6:::1]",
        "bob@[127.0.0.1]",
        "postmaster@[127.0.0.1]",
        "postmaster@elsewhere.test",
        "victim@sub.here.test",
        "bob@sub.here.test",
        "postmaster@sub.here.test",
        "bob@xhere.test",
        "bob@here.test.elsewhere.test",
        "bob@here",
        "bob@localhost",
        "bob@gw.test",
        "bob@xn--hre-bma.test",
        "bob@127.0.0.1",
    )
    OURS_BUT_NOBODY = (
        "victim%elsewhere.test@here.test",
        "victim%elsewhere.test%other.test@here.test",
        "elsewhere.test!victim@here.test",
        '"victim@elsewhere.test"@here.test',
        '"victim%elsewhere.test"@here.test',
        '"elsewhere.test!victim"@here.test',
        '"@elsewhere.test:victim"@here.test',
        '"victim\\@elsewhere.test"@here.test',
        '"victim "@here.test',
        "victim#elsewhere.test@here.test",
        "@elsewhere.test:victim@here.test",
        "bob.@all.test",
        "bob..bob@all.test",
    )
    MALFORMED = (
        "victim@elsewhere.test@here.test",
        "victim",
        "@here.test",
        "bob@",
        "",
        "victim@elsewhere.test\0@here.test",
        "victim@elsewhere.test\t@here.test",
        "victim@elsewhere.test>@here.test",
        "victim@here.test,elsewhere.test",
        "victim@[here.test]",
        "victim@elsewhere.test\r@here.test",
        "bob@here.test..",
    )
    WILD = (
        "victim%elsewhere.test@all.test",
        "elsewhere.test!victim@all.test",
        '"victim@elsewhere.test"@all.test',
        '"victim\\@elsewhere.test"@all.test',
        '"v\\ictim\\%elsewhere.test"@all.test',
        "victim+x%elsewhere.test@all.test",
    )

    def setUp(self) -> None:
        """One domain with a list, one with everybody, one in Unicode."""
        super().setUp()
        more = '[[domain]]\nname = "all.test"\ndeliver = "discard:"\n'
        more += '[[domain]]\nname = "bücher.test"\nrecipients = ["bob"]\n'
        certificate, key = make_certificate(self.folder, "gw.test")
        tls = f'[tls]\ncertificate = "{certificate.name}"\nkey = "{key.name}"\n'
        self.serve(f"{_ROUTES}{tls}{more}[limits]\nrefused_recipients = 0\nerrors = 1000")

    def test_no_way(self) -> None:
        """None of them is taken, from whatever reverse path, with and without SMTPUTF8 and TLS."""
        client = self.connect()
        secure = self.connect()
        secure.begin_tls()
        self.assertNotIn("AUTH", secure.offer)
        for dialogue in (client, secure):
            for path in (
                "<stranger@client.test>",
                "<>",
                "<bob@here.test>",
                "<postmaster@here.test>",
                "<bob@[127.0.0.1]>",
            ):
                self.assert_says("250", dialogue.say("RSET", f"MAIL FROM:{path}"))
                for address in self.FOREIGN:
                    answer = dialogue.say(f"RCPT TO:<{address}>")
                    self.assertIn(
                        answer[:9], {"550 5.7.1", "501 5.1.2", "501 5.1.3", "553 5.1.3"}, f"{address}: {answer}"
                    )
                for address in (*self.OURS_BUT_NOBODY, *self.WILD):
                    answer = dialogue.say(f"RCPT TO:<{address}>")
                    self.assertIn(answer[:9], {"550 5.1.1", "501 5.1.3", "553 5.1.3"}, f"{address}: {answer}")
                self.assert_says("5", dialogue.say("DATA"))
        for address in self.MALFORMED:
            self.assert_says("250", client.say("RSET", "MAIL FROM:<a@client.test>"))
            answer = client.say(f"RCPT TO:<{address}>")
            self.assertIn(answer[:3], {"500", "501", "550", "553"}, f"{address!r}: {answer}")
            self.assert_says("503", client.say("DATA"))
            client.close()
            client = self.connect()
        self.assertEqual(self.lines("msg.queued"), [])

    def test_unicode_domain(self) -> None:
        """A domain of ours is ours as U-label and as A-label, in any case; a look-alike is not."""
        client = self.connect()
        self.assert_says("250", client.say("MAIL FROM:<a@client.test> SMTPUTF8"))
        for address, begins in (
            ("bob@bücher.test", "250 2.1.5"),
            ("bob@BÜCHER.test", "250 2.1.5"),
            (unicodedata.normalize("NFD", "bob@bücher.test"), "501 5.1.3"),
            ("BOB@xn--bcher-kva.TEST", "250 2.1.5"),
            ("victim@bücher.test", "550 5.1.1"),
            ("bob@bucher.test", "550 5.7.1"),
            ("bob@здесь.test", "550 5.7.1"),
            ("bob@here.test".replace("e", "\u0435"), "550 5.7.1"),
        ):
            self.assertEqual((address, client.say(f"RCPT TO:<{address}>")[: len(begins)]), (address, begins))

    def test_postmaster(self) -> None:
        """Every domain of ours has one, and so have we."""
        client = self.connect()
        self.assert_says("250", client.say("MAIL FROM:<>"))
        for address in (
            "postmaster",
            "PostMaster",
            "postmaster@here.test",
            "POSTMASTER@HERE.TEST",
            '"postmaster"@all.test',
        ):
            self.assert_says("250 2.1.5", client.say(f"RCPT TO:<{address}>"))
        for address in ("postmaster%elsewhere.test@here.test", "elsewhere.test!postmaster@here.test"):
            self.assert_says("550 5.1.1", client.say(f"RCPT TO:<{address}>"))

    def test_who_may(self) -> None:
        """Nobody relays by claiming to be one of us: not by HELO, and not with AUTH where it is not offered."""
        client = self.connect(helo="[127.0.0.1]")
        self.assert_says("550 5.7.1", client.mail("victim@elsewhere.test", sender="bob@here.test"))
        for command in ("AUTH PLAIN AGEAYg==", "AUTH LOGIN", "AUTH EXTERNAL =", "XCLIENT ADDR=127.0.0.1 LOGIN=bob"):
            self.assert_says("5", self.connect().say(command))
        client = self.connect()
        self.assert_says("5", client.say("MAIL FROM:<bob@here.test> AUTH=<bob@here.test>"))
        # The PROXY header's own clients: loopback is the proxy here, and no relay network.
        self.assert_says("550 5.7.1", self.connect("127.0.0.1").mail("victim@elsewhere.test"))
        self.assert_says("550 5.7.1", self.connect("::1").mail("victim@elsewhere.test"))
        self.assert_says("550 5.7.1", self.connect("::ffff:127.0.0.1").mail("victim@elsewhere.test"))
        self.assertEqual(self.line("smtp.reject", ip=STRANGER)["check"], "relay_access")


class RelayNetworkTests(PolicyTestCase):
    """Who is in a relay network relays; the rest of the policy is not asked."""

    def test_network(self) -> None:
        """By address alone, mapped ones included; a neighbour does not."""
        self.serve(
            f'{_ROUTES}[policy]\nhelo = "enforce"\ngreylist = true\ndnsbl = ["bl.test"]',
            failing=["bl.test"],
            listen='relay_networks = ["192.0.2.1", "2001:db8::/64"]',
        )
        for address in (STRANGER, "2001:db8::77", "::ffff:192.0.2.1"):
            self.assert_says(_QUEUED, self.connect(address, "word").send("victim@elsewhere.test", "bob@here.test"))
        for address in ("192.0.2.2", "2001:db8:0:1::1"):
            self.assert_says("550 5.7.1", self.connect(address).mail("victim@elsewhere.test"))
