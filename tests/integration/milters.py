"""Real milters, each with its configuration in a folder of the test, on loopback; and a reception that asks them."""

import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Awaitable
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from smtpgw.boundaries.reception import Intake
from smtpgw.checks.milter import Milter
from smtpgw.model.address import Mailbox
from smtpgw.model.envelope import Client, Envelope, MailFrom, Recipient
from smtpgw.model.message import Entry
from smtpgw.model.queue_id import QueueIds
from smtpgw.model.reply import Reply
from smtpgw.model.verdict import Refuse
from smtpgw.net.milter_client import MilterDialer
from smtpgw.service.reception import Counter, ListenerReception
from smtpgw.service.trace import TraceHeader
from smtpgw.spool.memory import MemorySpool
from tests.integration.loopback import end, find_program, free_port, short_folder, wait_until

CLIENT = Client("127.0.0.1", "client.test", "ESMTP", name="localhost", session_id="s1", port=4711)
SENDER = Mailbox("alice", "example.test")

_RSPAMD = """\
options {{
    pidfile = "{folder}/rspamd.pid";
    filters = "";
    enable_test_patterns = true;
    dns {{ nameserver = ["127.0.0.1:{dead_port}"]; timeout = 0.1s; retransmits = 1; }}
    lua_path = "/usr/share/rspamd/lualib/?.lua";
}}
logging {{ type = "file"; filename = "{folder}/rspamd.log"; level = "info"; }}
actions {{ reject = 15; rewrite_subject = 8; add_header = 6; greylist = 4; subject = "*** SPAM *** %s"; }}
worker "rspamd_proxy" {{
    bind_socket = "127.0.0.1:{port}";
    milter = yes;
    timeout = 20s;
    count = 1;
    upstream "local" {{ default = yes; self_scan = yes; }}
}}
"""


class Rspamd:
    """
    rspamd's proxy, which speaks the milter protocol and scans by itself. No module, no map, no name is asked for.

    :ivar address: as in ``policy.milters``.
    """

    def __init__(self, folder: Path) -> None:
        program = find_program("rspamd")
        folder.chmod(0o777)
        port = free_port()
        self.address = f"inet:127.0.0.1:{port}"
        self._log = folder / "rspamd.log"
        configuration = folder / "rspamd.conf"
        configuration.write_text(_RSPAMD.format(folder=folder, port=port, dead_port=free_port()), encoding="utf-8")
        self._output = (folder / "output").open("wb")
        self._process = subprocess.Popen(
            [program, "-f", "-i", "-c", str(configuration), f"--var=DBDIR={folder}", f"--var=RUNDIR={folder}"],
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            cwd=folder,
            start_new_session=True,
        )
        _wait_for(self._process, self.address, folder)

    def close(self) -> None:
        """End it, with its workers, which would wait for connections that are open."""
        end(self._process, 2.0)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._output.close()


class OpenDkim:
    """
    OpenDKIM, signing for ``example.test``.

    :ivar public_key: base64, as in the DNS record.
    """

    def __init__(self, folder: Path) -> None:
        program = find_program("opendkim")
        openssl = find_program("openssl")
        key = folder / "key.pem"
        subprocess.run([openssl, "genrsa", "-out", str(key), "2048"], check=True, capture_output=True)
        public = subprocess.run(
            [openssl, "rsa", "-in", str(key), "-pubout"], check=True, capture_output=True, text=True
        ).stdout
        self.public_key = "".join(public.splitlines()[1:-1])
        path = folder / "dkim.sock"
        self.address = f"unix:{path}"
        configuration = folder / "opendkim.conf"
        configuration.write_text(
            f"Domain example.test\nSelector s1\nKeyFile {key}\nSocket local:{path}\nMode s\nSyslog no\n"
            f"Canonicalization relaxed/simple\nOversignHeaders From\nTemporaryDirectory {folder}\nUMask 000\n"
            "RequireSafeKeys no\n",
            encoding="utf-8",
        )
        self._output = (folder / "output").open("wb")
        self._process = subprocess.Popen(
            [program, "-f", "-x", str(configuration)],
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            cwd=folder,
        )
        _wait_for(self._process, self.address, folder)

    def close(self) -> None:
        """End it."""
        # It would look up every five seconds only.
        end(self._process, 1.0)
        self._output.close()


def _wait_for(process: "subprocess.Popen[bytes]", address: str, folder: Path) -> None:
    def answers() -> bool:
        if process.poll() is not None:
            raise AssertionError(
                f"it ended with {process.returncode}: {(folder / 'output').read_text('utf-8')[-2000:]}"
            )
        kind, _, where = address.partition(":")
        try:
            if kind == "unix":
                with socket.socket(socket.AF_UNIX) as probe:
                    probe.connect(where)
            else:
                host, _, port = where.rpartition(":")
                socket.create_connection((host, int(port)), timeout=1).close()
        except OSError:
            return False
        return True

    try:
        wait_until(answers, 30, "the milter listens")
    except BaseException:
        end(process)
        raise


class MilterHouse:
    """
    A reception with milters and a spool in memory.

    :ivar notices: all that was published.
    """

    def __init__(self, *addresses: str, accepts_when_down: bool = False) -> None:
        self.spool = MemorySpool()
        self.notices: list[object] = []
        self.milters = [
            Milter(
                MilterDialer(reactor, address, 20.0),
                hostname="gw.test",
                timeout_seconds=20.0,
                accepts_when_down=accepts_when_down,
                most_body_octets=1 << 20,
            )
            for address in addresses
        ]
        counter = Counter(
            spool=self.spool,
            ids=QueueIds(),
            clock=_Clock(),
            trace=TraceHeader("gw.test"),
            publish=self.notices.append,
            enqueue=lambda entry, body, seconds: None,
            expire_seconds=86400.0,
            header_limit=65536,
        )
        self.reception = ListenerReception(counter, self.milters, self.milters, (), filters=self.milters)

    async def submit(self, content: bytes, *recipients: str, client: Client = CLIENT) -> Reply:
        """Hand in a message; the reply to the first command that is refused, or to the end of data."""
        mail = MailFrom(SENDER)
        verdict = self.reception.mail(client, mail)
        if isinstance(verdict, Awaitable):
            verdict = await verdict
        if isinstance(verdict, Refuse):
            return verdict.reply
        accepted = []
        for name in recipients or ("bob@example.net",):
            local, _, domain = name.partition("@")
            recipient = Recipient(Mailbox(local, domain))
            verdict = self.reception.rcpt(client, mail, recipient)
            if isinstance(verdict, Awaitable):
                verdict = await verdict
            if isinstance(verdict, Refuse):
                return verdict.reply
            accepted.append(recipient)
        intake = self.reception.begin(client, Envelope(SENDER, tuple(accepted)), lambda: None)
        assert not isinstance(intake, Refuse)
        return await self._finish(intake, content)

    async def _finish(self, intake: Intake, content: bytes) -> Reply:
        for start in range(0, len(content), 1000):
            intake.write(content[start : start + 1000])
        waiting: Deferred[Reply] = Deferred()
        intake.finish(waiting.callback)
        return await waiting

    def leave(self, client: Client = CLIENT) -> None:
        """The client's connection is gone."""
        for milter in self.milters:
            milter.leave(client)

    def kept(self) -> tuple[Entry, bytes]:
        """The one message in the spool: its entry, and all that would go out."""
        [(queue_id, entry)] = self.spool.entries.items()
        return entry, entry.message.trace + self.spool.contents[queue_id]


class MilterTestCase(TestCase):
    """One milter, and one connection of a client."""

    timeout = 60
    house: MilterHouse

    def setUp(self) -> None:
        """A folder for the milter."""
        self.folder = short_folder(self)

    def serve(self, milter: Rspamd | OpenDkim) -> None:
        """With this milter, which is ended with the test."""
        self.addCleanup(milter.close)
        self.house = MilterHouse(milter.address)
        self.addCleanup(self._leave)

    def submit(self, content: bytes) -> Deferred[Reply]:
        """Hand in a message; the reply."""
        return Deferred.fromCoroutine(self.house.submit(content))

    def _leave(self) -> Deferred[None]:
        self.house.leave()
        # For the connections to close.
        return deferLater(reactor, 0.2, lambda: None)


class _Clock:
    def time(self) -> float:
        return 1_800_000_000.0
