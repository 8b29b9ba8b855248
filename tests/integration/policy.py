"""A gateway that strangers talk to: a name server whose names are made up, and clients that have any address."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import dns.message
import dns.rcode

from tests.integration.dialogue import Dialogue
from tests.integration.gateway import Gateway
from tests.integration.loopback import RealThingTestCase, wait_until
from tests.integration.names import NameServer, Zone

STRANGER = "192.0.2.1"
DOMAIN = '[[domain]]\nname = "here.test"\nrecipients = ["bob"]\ndeliver = "maildir:mail/{local}"\n'


class TroubledNames(NameServer):
    """
    A name server that may be in trouble with some names.

    :ivar failing: names that it answers SERVFAIL, with all below them; likewise of those it says nothing about.
    """

    def __init__(self, zone: Zone, failing: Iterable[str] = (), silent: Iterable[str] = ()) -> None:
        self.failing = tuple(failing)
        self.silent = tuple(silent)
        super().__init__(zone)

    def reply(self, zone: Zone, octets: bytes) -> bytes | None:
        """Answer, if it can."""
        answer = super().reply(zone, octets)
        name = self.asked[-1][0]
        if name.endswith(self.silent):
            return None
        if name.endswith(self.failing):
            response = dns.message.make_response(dns.message.from_wire(octets))
            response.set_rcode(dns.rcode.SERVFAIL)
            return response.to_wire()
        return answer


class PolicyTestCase(RealThingTestCase):
    """One gateway, asked from anywhere."""

    gateway: Gateway
    names: TroubledNames

    def setUp(self) -> None:
        """Nobody is there yet."""
        super().setUp()
        self.clients: list[Dialogue] = []

    def serve(
        self,
        configuration: str,
        zone: Zone | None = None,
        *,
        failing: Iterable[str] = (),
        silent: Iterable[str] = (),
        listen: str = "relay_networks = []",
        domain: str = DOMAIN,
    ) -> None:
        """Start a name server, and a gateway that relays for nobody and takes our word for who a client is."""
        self.names = TroubledNames(zone or {}, failing, silent)
        self.addCleanup(self.names.close)
        self.gateway = Gateway(
            self.folder,
            f'[dns]\nservers = ["127.0.0.1:{self.names.port}"]\n[log]\nformat = "json"\n{domain}{configuration}',
            f'proxy_protocol = ["127.0.0.1"]\n{listen}',
        )
        self.gateway.log.unlink(missing_ok=True)
        self.addCleanup(self.gateway.stop)
        self.start()

    def start(self) -> None:
        """Start the gateway, also again."""
        self.gateway.launch()

        def answers() -> bool:
            self.gateway.assert_running()
            try:
                Dialogue(self.gateway.port, "UNKNOWN").close()
            except OSError:
                return False
            return True

        wait_until(answers, 20, "the gateway listens")

    def connect(self, address: str = STRANGER, helo: str = "client.test") -> Dialogue:
        """A client with this address."""
        dialogue = Dialogue(self.gateway.port, address, helo)
        self.clients.append(dialogue)
        self.addCleanup(dialogue.close)
        return dialogue

    def stop(self) -> None:
        """Stop the gateway. The clients hang up first: it would give them some seconds."""
        while self.clients:
            self.clients.pop().close()
        self.gateway.stop()

    def lines(self, event: str) -> list[dict[str, Any]]:
        """What the log says about something, so far."""
        found = (json.loads(line) for line in self.gateway.log_text().splitlines() if line.startswith("{"))
        return [line for line in found if line["event"] == event]

    def line(self, event: str, **fields: object) -> dict[str, Any]:
        """One line of the log that has these fields, as soon as it is there."""
        fitting: list[dict[str, Any]] = []

        def is_there() -> bool:
            fitting[:] = [line for line in self.lines(event) if fields.items() <= line.items()]
            return bool(fitting)

        wait_until(is_there, 10, f"{event} with {fields} in the log")
        return fitting[0]

    def arrived(self, count: int, local: str = "bob") -> list[bytes]:
        """So many messages."""
        new = self.folder / "mail" / local / "new"

        def there() -> list[Path]:
            return list(new.iterdir()) if new.exists() else []

        wait_until(lambda: len(there()) >= count, 10, f"{count} messages for {local}")
        return [path.read_bytes() for path in there()]

    def assert_says(self, begins: str, answer: str) -> None:
        """A reply begins so."""
        self.assertEqual(answer[: len(begins)], begins, answer)
