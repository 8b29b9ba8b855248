"""Each rule of [policy] and each rate of [limits], through a gateway as it runs."""

import time

from tests.integration.policy import STRANGER, PolicyTestCase

_QUEUED = "250 2.0.0 Ok: queued as "
_NAMED = {
    ("1.2.0.192.in-addr.arpa", "PTR"): ["mail.client.test."],
    ("mail.client.test", "A"): [STRANGER],
    ("2.2.0.192.in-addr.arpa", "PTR"): ["mail.client.test."],
    ("3.2.0.192.in-addr.arpa", "PTR"): [
        r"a\013\010250.test.",
        r"\<x\>.client.test.",
        "4.3.2.1.",
        *(f"n{number}.client.test." for number in range(40)),
    ],
    ("4.2.0.192.in-addr.arpa", "PTR"): ["down.client.test."],
}


class EarlyTalkerTests(PolicyTestCase):
    """policy.early_talker."""

    def test_early(self) -> None:
        """Who talks before the banner gets 554 instead; who waits gets the banner, after a while."""
        self.serve("[policy]\nearly_talker = 0.4")
        begun = time.monotonic()
        waits = self.connect()
        self.assertGreater(time.monotonic() - begun, 0.35)
        self.assert_says(_QUEUED, waits.send("bob@here.test"))
        hasty = self.connect("192.0.2.9 192.0.2.25 4711 25\r\nEHLO hasty.test\r\nPROXY TCP4 192.0.2.9", helo="")
        self.assert_says("554 5.5.1", hasty.banner)
        self.assertEqual(hasty.reply(), "")


class HeloTests(PolicyTestCase):
    """policy.helo."""

    def test_enforce(self) -> None:
        """What can't be its name is refused at MAIL, a name that nobody knows is not."""
        self.serve('[policy]\nhelo = "enforce"')
        for helo in ("word", "GW.test", "localhost.localdomain", STRANGER, "[192.0.2.2]", "[127.0.0.1]"):
            client = self.connect(helo=helo)
            self.assert_says("250", client.offer)
            self.assert_says("550 5.7.1 HELO refused: ", client.mail("bob@here.test"))
            self.assert_says("550 5.7.1 HELO refused: ", client.mail("postmaster@here.test", sender=""))
        for helo in ("nobody-knows.client.test", f"[{STRANGER}]"):
            self.assert_says(_QUEUED, self.connect(helo=helo).send("bob@here.test"))
        self.assert_says(_QUEUED, self.connect("2001:db8::1", "[IPv6:2001:db8::1]").send("bob@here.test"))
        self.assertEqual(self.line("smtp.reject", helo="word")["check"], "helo")

    def test_mark(self) -> None:
        """Marked mail is taken, and the log says what was wrong."""
        self.serve('[policy]\nhelo = "mark"')
        self.assert_says(_QUEUED, self.connect(helo="word").send("bob@here.test"))
        self.assertIn("helo: not a fully qualified domain name", self.line("msg.queued", helo="word")["notes"])
        self.assert_says(_QUEUED, self.connect().send("bob@here.test"))
        self.assertNotIn("helo", str(self.line("msg.queued", helo="client.test")["notes"]))


class ReverseDnsTests(PolicyTestCase):
    """policy.reverse_dns."""

    def test_enforce(self) -> None:
        """A name that leads back is needed; what can't be told now is told later."""
        self.serve('[policy]\nreverse_dns = "enforce"', _NAMED, failing=["down.client.test", "5.2.0.192.in-addr.arpa"])
        self.assert_says(_QUEUED, self.connect().send("bob@here.test"))
        (message,) = self.arrived(1)
        self.assertIn(b"(mail.client.test [192.0.2.1])", message)
        for address, banner in (
            ("192.0.2.2", "554 5.7.25"),
            ("192.0.2.3", "554 5.7.25"),
            ("192.0.2.4", "421 4.7.25"),
            ("192.0.2.5", "421 4.7.25"),
            ("192.0.2.6", "554 5.7.25"),
            ("2001:db8::1", "554 5.7.25"),
        ):
            client = self.connect(address)
            self.assert_says(banner, client.banner)
            self.assertEqual(self.line("smtp.reject", ip=address)["check"], "reverse_dns")
        # Of many names five are asked for, and none that could not be a name.
        forward = [name for name, kind in self.names.asked if kind in {"A", "AAAA"} and name.startswith("n")]
        self.assertLessEqual(len(set(forward)), 5)
        self.assertNotIn("250.test", str(self.names.asked))

    def test_mark(self) -> None:
        """Whoever has none is taken, with a remark; with one it is in the trace and the log."""
        self.serve('[policy]\nreverse_dns = "mark"', _NAMED, failing=["5.2.0.192.in-addr.arpa"])
        for address, note in (
            ("192.0.2.3", "reverse_dns: no confirmed name"),
            ("192.0.2.5", "reverse_dns: can't be told now"),
        ):
            self.assert_says(_QUEUED, self.connect(address).send("bob@here.test"))
            self.assertIn(note, self.line("msg.queued", ip=address)["notes"])
        self.connect()
        self.assertEqual(self.line("smtp.connect", ip=STRANGER)["name"], "mail.client.test")

    def test_down_accept(self) -> None:
        """With when_down = "accept" a name server that fails turns nobody away."""
        self.serve('[policy]\nreverse_dns = "enforce"\nwhen_down = "accept"', failing=["in-addr.arpa"])
        self.assert_says(_QUEUED, self.connect().send("bob@here.test"))
        self.assertIn("reverse_dns: can't be told now", self.line("msg.queued")["notes"])

    def test_silence(self) -> None:
        """A name server that says nothing costs five seconds, and only those that ask it."""
        self.serve('[policy]\nreverse_dns = "enforce"', silent=["in-addr.arpa"])
        begun = time.monotonic()
        self.assert_says("421 4.7.25", self.connect().banner)
        self.assertLess(time.monotonic() - begun, 10)


class DnsListTests(PolicyTestCase):
    """policy.dnsbl and policy.dnswl."""

    def listed(self, address: str, zone: str, code: str, text: str = "") -> dict[tuple[str, str], list[str]]:
        """The records of one listing."""
        name = ".".join(reversed(address.split("."))) + f".{zone}"
        records = {(name, "A"): [code]}
        if text:
            records[name, "TXT"] = [text]
        return records

    def test_lists(self) -> None:
        """Listed clients are refused at RCPT, with the list's words made safe; not if they write to postmaster."""
        zone = {
            **self.listed("192.0.2.1", "bl.test", "127.0.0.2", r'"Bad\013\010250 Ok\027[31m" " see us"'),
            **self.listed("192.0.2.2", "bl.test", "127.0.0.2"),
            **self.listed("192.0.2.2", "wl.test", "127.0.5.1"),
            **self.listed("192.0.2.3", "bl.test", "203.0.113.80"),
            **self.listed("192.0.2.4", "bl.test", "127.255.255.254"),
            **self.listed("192.0.2.5", "some.test", "127.0.0.4"),
            **self.listed("192.0.2.6", "some.test", "127.0.0.5"),
            ("1." + "0." * 23 + "8.b.d.0.1.0.0.2.bl.test", "A"): ["127.0.0.3"],
        }
        self.serve(
            '[policy]\ndnsbl = ["bl.test", {zone = "some.test", codes = ["127.0.0.5"]}]\ndnswl = ["wl.test"]', zone
        )
        client = self.connect()
        self.assert_says("220", client.banner)
        answer = client.send("bob@here.test")
        self.assert_says("554 5.7.1 Your address 192.0.2.1 is listed by bl.test: Bad", answer)
        self.assertTrue(answer.isprintable(), answer)
        self.assert_says("550 5.7.1 Relay access denied", client.say("RCPT TO:<bob@elsewhere.test>"))
        self.assert_says("250 2.1.5", client.say("RCPT TO:<Postmaster@here.test>"))
        for address, begins in (
            ("192.0.2.2", _QUEUED),
            ("192.0.2.3", _QUEUED),
            ("192.0.2.4", "451 4.4.3"),
            ("192.0.2.5", _QUEUED),
            ("192.0.2.6", "554 5.7.1 Your address 192.0.2.6 is listed by some.test"),
            ("192.0.2.7", _QUEUED),
            ("2001:db8::1", "554 5.7.1 Your address 2001:db8::1 is listed by bl.test"),
        ):
            self.assert_says(begins, self.connect(address).send("bob@here.test"))
        self.assertIn("dns_lists: listed by wl.test as good", self.line("msg.queued", ip="192.0.2.2")["notes"])
        self.assertEqual(self.line("smtp.reject", ip="192.0.2.4")["cause"], "no answer from bl.test")

    def test_down(self) -> None:
        """A list that is down delays, or is left out with a remark, as it is configured; so does one of good ones."""
        self.serve(
            '[policy]\ndnsbl = ["one.test", {zone = "two.test", when_down = "accept"}]\ndnswl = ["wl.test"]',
            self.listed("192.0.2.2", "one.test", "127.0.0.2"),
            failing=["one.test", "two.test"],
        )
        self.assert_says("451 4.4.3", self.connect().send("bob@here.test"))
        self.names.failing = ("two.test",)
        self.assert_says(_QUEUED, self.connect("192.0.2.3").send("bob@here.test"))
        self.assertIn("dns_lists: no answer from two.test", self.line("msg.queued")["notes"])
        self.names.failing = ("wl.test",)
        self.assert_says("451 4.4.3", self.connect("192.0.2.2").send("bob@here.test"))

    def test_silence(self) -> None:
        """The client is greeted at once, and told to come again in a few seconds."""
        self.serve('[policy]\ndnsbl = ["bl.test"]', silent=["bl.test"])
        begun = time.monotonic()
        client = self.connect()
        self.assertLess(time.monotonic() - begun, 3)
        self.assert_says("451 4.4.3", client.send("bob@here.test"))
        self.assertLess(time.monotonic() - begun, 10)


class GreylistTests(PolicyTestCase):
    """policy.greylist."""

    def send(self, address: str = STRANGER, sender: str = "alice@client.test") -> str:
        """A message to bob."""
        return self.connect(address).send("bob@here.test", sender=sender)

    def test_strangers(self) -> None:
        """They wait for the delay, then are known with their network; other senders, and the null path, are others."""
        self.serve('[policy]\ngreylist = {delay = "2s"}')
        self.assert_says("450 4.7.1 Greylisted, try again in 2 seconds", self.send())
        self.assert_says("450 4.7.1", self.send("192.0.2.77", "ALICE+tag@Client.test"))
        self.assert_says("450 4.7.1", self.send(sender=""))
        # Who is no recipient hears that at once, and the rest of the transaction is not lost with it.
        client = self.connect()
        self.assert_says("550 5.1.1", client.mail("nobody@here.test"))
        time.sleep(2.1)
        self.assert_says(_QUEUED, self.send("192.0.2.77"))
        self.assertIn("greylist: passed", self.line("msg.queued")["notes"])
        self.assert_says("450 4.7.1", self.send("192.0.3.1"))
        self.assert_says("450 4.7.1", self.send("2001:db8:0:1::1"))

    def test_after_the_window(self) -> None:
        """Who comes too late begins anew; who passed and was not seen for the lifetime, too."""
        self.serve('[policy]\ngreylist = {delay = 1, window = "3s", lifetime = "1s"}')
        self.assert_says("450 4.7.1", self.send())
        time.sleep(4.2)
        self.assert_says("450 4.7.1", self.send())
        time.sleep(1.2)
        self.assert_says(_QUEUED, self.send())
        time.sleep(1.2)
        self.assert_says("450 4.7.1", self.send())

    def test_restarts(self) -> None:
        """What was learned stays, over a stop and over kill -9."""
        self.serve('[policy]\ngreylist = {delay = "1s"}')
        self.assert_says("450 4.7.1", self.send())
        self.stop()
        self.start()
        time.sleep(1)
        self.assert_says(_QUEUED, self.send())
        self.assert_says("450 4.7.1", self.send("198.51.100.1"))
        time.sleep(1)
        self.gateway.kill()
        self.start()
        self.assert_says(_QUEUED, self.send())
        self.assert_says(_QUEUED, self.send("198.51.100.1"))

    def test_damaged(self) -> None:
        """A file that can't be read is put aside, and everybody is a stranger again."""
        self.serve("[policy]\ngreylist = true")
        self.assert_says("450 4.7.1 Greylisted, try again in 300 seconds", self.send())
        self.stop()
        for path in self.gateway.spool.glob("greylist.db*"):
            path.write_bytes(b"no database at all" * 500)
        self.start()
        self.assert_says("450 4.7.1 Greylisted, try again in 300 seconds", self.send())
        self.assertTrue(list(self.gateway.spool.glob("greylist.db.damaged*")))
