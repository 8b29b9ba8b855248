"""From swaks through the gateway to a real Postfix, by names, past a dead host, over TLS."""

import json
import re

from tests.clauses import holds
from tests.integration.gateway import Gateway
from tests.integration.loopback import RealThingTestCase, wait_until
from tests.integration.names import NameServer
from tests.integration.postfix import ADDRESS, Postfix
from tests.integration.programs import swaks


class RelayTests(RealThingTestCase):
    """Mail to a domain whose first MX host is dead and whose second is a Postfix with STARTTLS."""

    def setUp(self) -> None:
        """Postfix, the names, the gateway."""
        super().setUp()
        self.postfix = Postfix(self.folder / "postfix", "some.test")
        self.addCleanup(self.postfix.close)
        # Nothing listens on 127.0.0.2 at that port.
        self.names = NameServer(
            {
                ("some.test", "MX"): ["10 mx1.some.test.", "20 mx2.some.test."],
                ("mx1.some.test", "A"): ["127.0.0.2"],
                ("mx2.some.test", "A"): [ADDRESS],
                ("nullmx.test", "MX"): ["0 ."],
            }
        )
        self.addCleanup(self.names.close)
        home = self.folder / "gateway"
        home.mkdir()
        self.gateway = Gateway(
            home,
            f'[dns]\nservers = ["127.0.0.1:{self.names.port}"]\n'
            f"[delivery]\nport = {self.postfix.port}\nforbidden_networks = []\n",
        )
        self.gateway.start()
        self.addCleanup(self.gateway.stop)

    def deliver(self, *options: str) -> bytes:
        """Send one message with swaks; what Postfix has put into the Maildir."""
        swaks(self.gateway.port, "--from", "alice@client.test", *options)
        try:
            wait_until(self.postfix.delivered, 30, "the message is in the Maildir")
        except AssertionError as late:
            raise AssertionError(
                f"{late}\n{self.gateway.log_text()[-3000:]}\n{self.postfix.log_text()[-3000:]}"
            ) from None
        (message,) = self.postfix.delivered()
        return message

    @holds(
        "5321", "5.1", "MX hosts are tried in the order of their preference, the next one when one can't be reached."
    )
    @holds("3207", "4", "As a client, STARTTLS is used where the next hop offers it.")
    @holds("5321", "4.4", "One Received line is put in front, with from, by, with, id and the date.")
    def test_second_host_over_tls(self) -> None:
        """It arrives at the second host, over TLS, with one correct Received line of ours and nothing else changed."""
        message = self.deliver("--to", "user@some.test", "--header", "Subject: Übers Meer", "--body", "..\n.\nEnd")
        header, _, body = message.partition(b"\n\n")
        received = re.findall(rb"(?m)^Received: (?:.*\n[ \t])*.*", header)
        self.assertEqual(2, len(received), header)
        theirs, ours = (b" ".join(line.split()) for line in received)
        self.assertRegex(theirs, rb"^Received: from gw\.test \(")
        self.assertRegex(theirs, rb"\(using TLSv1\.[23] with cipher .*with ESMTPS id ")
        self.assertRegex(
            ours,
            rb"^Received: from swaks\.test \(.*\[127\.0\.0\.1\].*\) by gw\.test .*with ESMTP id [0-9A-Z]{13}.*; "
            rb"[A-Z][a-z]{2}, \d{1,2} [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d [+-]\d{4}",
        )
        self.assertIn("Subject: Übers Meer".encode(), header)
        self.assertEqual(b"..\n.\nEnd", body.strip())
        self.assertIn(b"Return-Path: <alice@client.test>", header)
        self.assertIn(("some.test", "MX"), self.names.asked)

    def test_gone_from_the_queue(self) -> None:
        """What was relayed is not in the queue any more."""
        self.deliver("--to", "user@some.test")
        wait_until(lambda: self.queued() == 0, 10, "the queue is empty")

    @holds("7505", "4", "Mail to a domain with a null MX fails at once and is reported to its sender.")
    def test_null_mx(self) -> None:
        """Mail to a domain that takes none comes back at once, as a notification to its sender."""
        swaks(self.gateway.port, "--from", "alice@some.test", "--to", "user@nullmx.test")
        wait_until(self.postfix.delivered, 30, "the notification is in the Maildir")
        (message,) = self.postfix.delivered()
        self.assertIn(b"Return-Path: <>", message)
        self.assertIn(b"multipart/report", message)
        self.assertIn(b"rfc822; user@nullmx.test", message)
        self.assertIn(b"5.1.10", message)

    def queued(self) -> object:
        """Messages in the queue, as the command says."""
        result = self.gateway.command("queue", "summary", "--json")
        self.assertEqual(0, result.returncode, result.stderr)
        return json.loads(result.stdout)["messages"]
