"""
Two thousand messages, and SIGKILL ten times in between.

Postfix's smtp-source sends them, over four connections at a time, each a process of its own: with one session and
``-v`` it shows every reply in order, so what it was promised is known to the message (see ``programs.smtp_source``).
A process whose connection breaks ends; another one then sends what is still missing, under new numbers. The gateway
relays to smtp-sink, which writes each message to a file. In the end every number that got its 250 must be there.
What arrived more than once is counted and printed: a crash between the next hop's 250 and our note of it repeats a
message, and nothing else may.
"""

import random
import re
import threading
import time
from collections import Counter

from tests.clauses import holds
from tests.integration.gateway import Gateway
from tests.integration.loopback import RealThingTestCase, greets, wait_until
from tests.integration.programs import SmtpSink, smtp_source

MESSAGES = 2000
LANES = 4
KILLS = 10
SEED = 20_261
LENGTH_OCTETS = 300

_RCPT = re.compile(rb"^X-Rcpt-Args: <([^>]*)>", re.MULTILINE)


class Lanes:
    """
    Sends until all messages are acknowledged.

    :ivar accepted: recipients whose message got its 250, each with its own number.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._lock = threading.Lock()
        self.accepted: list[str] = []
        self.runs = 0
        self.trouble: list[str] = []
        self._deadline = time.monotonic() + 150
        self._threads = [threading.Thread(target=self._send, args=(number,), daemon=True) for number in range(LANES)]
        for thread in self._threads:
            thread.start()

    def _send(self, lane: int) -> None:
        missing, run = MESSAGES // LANES, 0

        def accept(recipient: str) -> None:
            nonlocal missing
            missing -= 1
            with self._lock:
                self.accepted.append(recipient)

        while missing and time.monotonic() < self._deadline:
            if not greets(self._port):
                time.sleep(0.05)
                continue
            run += 1
            recipient = f"lane{lane}run{run}@some.test"
            status, last = smtp_source(self._port, missing, recipient, accept, length=LENGTH_OCTETS)
            with self._lock:
                self.runs += 1
                if status:
                    self.trouble.extend(last[-1:])

    def acknowledged(self) -> int:
        """How many so far."""
        return len(self.accepted)

    def are_done(self) -> bool:
        """Whether all of them have ended."""
        return not any(thread.is_alive() for thread in self._threads)


class KillNineTests(RealThingTestCase):
    """What was acknowledged survives ``kill -9`` at any moment."""

    timeout = 300

    @holds("5321", "6.1", "After 250 to the end of data the message is never lost, whatever happens to the process.")
    def test_nothing_is_lost(self) -> None:
        """Every acknowledged message arrives, though the gateway is killed ten times at random moments."""
        sink = SmtpSink(self.folder / "sink")
        self.addCleanup(sink.close)
        gateway = Gateway(
            self.folder,
            '[log]\nlevel = "warn"\n[delivery]\nretry = ["1s"]\nforbidden_networks = []\n'
            f'[[route]]\nto = "*"\nvia = "smtp:127.0.0.1:{sink.port}"\n',
        )
        gateway.start()
        self.addCleanup(gateway.stop)
        chance = random.Random(SEED)
        moments = sorted(chance.sample(range(20, MESSAGES - 100), KILLS))
        lanes = Lanes(gateway.port)
        for moment in moments:
            wait_until(lambda: lanes.acknowledged() >= moment or lanes.are_done(), 60, "messages are taken")  # noqa: B023
            self.assertFalse(lanes.are_done(), lanes.trouble)
            # Up to a few messages later: anywhere between two replies.
            time.sleep(chance.random() * 0.02)
            gateway.kill()
            gateway.start()
        wait_until(lanes.are_done, 120, "everything is acknowledged")
        promised = set(lanes.accepted)
        self.assertEqual(MESSAGES, len(promised), lanes.trouble)

        arrived: Counter[str] = Counter()

        def all_there() -> bool:
            arrived.clear()
            arrived.update(whole_messages(sink))
            return promised <= arrived.keys()

        try:
            wait_until(all_there, 60, "all that was acknowledged has arrived")
        except AssertionError:
            lost = sorted(promised - arrived.keys())
            self.fail(f"{len(lost)} lost: {lost[:20]}\n{gateway.log_text()[-3000:]}")
        repeats = sum(arrived.values()) - len(arrived)
        others = len(arrived.keys() - promised)
        print(
            f"\n{len(promised)} acknowledged, {gateway.starts - 1} kills, {lanes.runs} runs of smtp-source: none lost, "
            f"{repeats} repeated, {others} arrived without an acknowledgement"
        )
        # A kill can only repeat what was on its way at that moment.
        self.assertLess(repeats, KILLS * 200)


def whole_messages(sink: SmtpSink) -> list[str]:
    """The recipients of the messages in the sink whose content is all there."""
    found = []
    for message in sink.messages():
        if (match := _RCPT.search(message)) and message.count(b"X", message.index(b"\n\n")) >= LENGTH_OCTETS - 20:
            found.append(match[1].decode("ascii"))
    return found
