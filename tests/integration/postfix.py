"""A Postfix of our own: its configuration, queue and mailboxes in a folder of the test, on a high port of loopback."""

import os
import pwd
import subprocess
from collections.abc import Mapping
from pathlib import Path

from twisted.trial.unittest import SkipTest

from tests.integration.certificates import make_certificate
from tests.integration.loopback import find_program, free_port, greets, wait_until

ADDRESS = "127.0.0.3"
"""Not that of the gateway, which would take a host with its own address for itself."""

_SERVICES = """\
{address}:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


class Postfix:
    """
    Runs until it is closed.

    :ivar port: where it takes mail from loopback, at ``ADDRESS``, with STARTTLS offered.
    """

    def __init__(
        self,
        folder: Path,
        domain: str = "",
        relay_to: int | None = None,
        *,
        relay_tls: str = "may",
        more: Mapping[str, str] | None = None,
    ) -> None:
        """
        :param folder: made here; its path must be short and open to other users.
        :param domain: every recipient there is put into one Maildir. Mail elsewhere is refused, but see ``relay_to``.
        :param relay_to: port on loopback that gets all other mail.
        :param relay_tls: Postfix's security level for that: none, may, encrypt.
        :param more: other settings.
        """
        if os.geteuid() != 0:
            raise SkipTest("only root can start a Postfix")
        self._postfix = find_program("postfix")
        postconf = find_program("postconf")
        self._folder = folder
        self.port = free_port(ADDRESS)
        self._etc = folder / "etc"
        for name in ("etc", "spool", "data", "mail", "log"):
            (folder / name).mkdir(parents=True)
        folder.chmod(0o755)
        nobody = pwd.getpwnam("nobody")
        os.chown(folder / "data", pwd.getpwnam("postfix").pw_uid, -1)
        os.chown(folder / "mail", nobody.pw_uid, nobody.pw_gid)
        certificate, key = make_certificate(folder, "postfix.test")
        daemons = subprocess.run(
            [postconf, "-dh", "daemon_directory"], capture_output=True, text=True, check=True
        ).stdout
        settings = {
            "compatibility_level": "3.6",
            "queue_directory": folder / "spool",
            "data_directory": folder / "data",
            "command_directory": Path(self._postfix).parent,
            "daemon_directory": daemons.strip(),
            "mail_owner": "postfix",
            "setgid_group": "postdrop",
            "inet_interfaces": "127.0.0.1",
            "inet_protocols": "ipv4",
            "myhostname": "postfix.test",
            "mydestination": "",
            "local_recipient_maps": "",
            "alias_maps": "",
            "alias_database": "",
            "mynetworks": "127.0.0.0/8",
            "smtpd_relay_restrictions": "permit_mynetworks,reject",
            "smtpd_peername_lookup": "no",
            "disable_dns_lookups": "yes",
            "virtual_mailbox_domains": domain,
            "virtual_mailbox_base": folder / "mail",
            "virtual_mailbox_maps": "static:box/",
            "virtual_uid_maps": f"static:{nobody.pw_uid}",
            "virtual_gid_maps": f"static:{nobody.pw_gid}",
            "smtpd_tls_security_level": "may",
            "smtpd_tls_cert_file": certificate,
            "smtpd_tls_key_file": key,
            "smtpd_tls_received_header": "yes",
            "smtp_tls_security_level": relay_tls,
            "default_transport": "error:no mail elsewhere" if relay_to is None else "smtp",
            "relayhost": "" if relay_to is None else f"[127.0.0.1]:{relay_to}",
            "maillog_file": folder / "log" / "mail.log",
            "maillog_file_prefixes": folder,
            **(more or {}),
        }
        lines = "".join(f"{key} = {value}\n" for key, value in settings.items())
        (self._etc / "main.cf").write_text(lines, encoding="utf-8")
        (self._etc / "master.cf").write_text(_SERVICES.format(address=ADDRESS, port=self.port), encoding="utf-8")
        self._output = (folder / "log" / "output").open("wb")
        self._process = subprocess.Popen(
            [self._postfix, "-c", str(self._etc), "start-fg"],
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            wait_until(self._answers, 30, "Postfix greets")
        except BaseException:
            self.close()
            raise

    def _answers(self) -> bool:
        if self._process.poll() is not None:
            raise AssertionError(f"Postfix ended with {self._process.returncode}:\n{self.log_text()[-3000:]}")
        return greets(self.port, ADDRESS)

    def close(self) -> None:
        """Stop it by its own command, which knows its own master alone."""
        command = [self._postfix, "-c", str(self._etc), "stop"]
        subprocess.run(command, capture_output=True, check=False, stdin=subprocess.DEVNULL, timeout=60)
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._output.close()

    def delivered(self) -> list[bytes]:
        """What is in the Maildir, in no order."""
        new = self._folder / "mail" / "box" / "new"
        return [path.read_bytes() for path in new.iterdir()] if new.exists() else []

    def log_text(self) -> str:
        """All that it has said."""
        files = (self._folder / "log" / "output", self._folder / "log" / "mail.log")
        return "".join(path.read_text(encoding="utf-8", errors="replace") for path in files if path.exists())
