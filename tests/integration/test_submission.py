"""Mail programs that people submit mail with: swaks, msmtp, s-nail, curl, smtplib, Postfix, OpenSMTPD; TLS and AUTH."""

import os
import shutil
import smtplib
import ssl
import subprocess
from pathlib import Path

from argon2 import PasswordHasher
from twisted.trial.unittest import SkipTest

from tests.clauses import holds
from tests.integration.certificates import make_certificate
from tests.integration.gateway import Gateway
from tests.integration.loopback import RealThingTestCase, find_program, free_port, wait_until
from tests.integration.postfix import ADDRESS, Postfix
from tests.integration.programs import swaks

USER = "app@here.test"
PASSWORD = "correct horse"
MESSAGE = b"From: app@here.test\r\nTo: alice@here.test\r\nSubject: hello\r\n\r\nHello\r\n"


class SubmissionTestCase(RealThingTestCase):
    """A gateway with a submission listener for STARTTLS and another for TLS from the first octet on."""

    def setUp(self) -> None:
        """Start it."""
        super().setUp()
        self.home = self.folder / "gateway"
        self.home.mkdir()
        self.certificate, key = make_certificate(self.home, "gw.test")
        self.implicit_port = free_port()
        # Cheap, for tests: the strength is the operator's choice.
        secret = PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1).hash(PASSWORD)
        self.gateway = Gateway(
            self.home,
            f'[tls]\ncertificate = "{self.certificate.name}"\nkey = "{key.name}"\n'
            f"[[user]]\nname = '{USER}'\npassword = '{secret}'\n"
            '[[domain]]\nname = "here.test"\nrecipients = ["alice"]\ndeliver = "maildir:mail/{local}"\n'
            f'[[listen]]\nendpoint = "tcp:{self.implicit_port}:interface=127.0.0.1"\nrole = "submission"\n'
            'tls = "implicit"\n',
            'role = "submission"\ntls = "required"',
        )
        self.gateway.start()
        self.addCleanup(self.gateway.stop)

    def arrived(self, count: int = 1) -> list[bytes]:
        """So many messages for alice."""
        new = self.home / "mail" / "alice" / "new"

        def there() -> list[Path]:
            return list(new.iterdir()) if new.exists() else []

        try:
            wait_until(lambda: len(there()) >= count, 20, f"{count} messages for alice")
        except AssertionError as late:
            raise AssertionError(f"{late}\n{self.gateway.log_text()[-3000:]}") from None
        return [path.read_bytes() for path in there()]

    def run_program(self, *command: str, stdin: bytes = MESSAGE, env: dict[str, str] | None = None) -> str:
        """Run it to a good end."""
        result = subprocess.run(
            command, input=stdin, capture_output=True, check=False, timeout=60, cwd=self.folder, env=env
        )
        output = (result.stdout + result.stderr).decode("utf-8", "replace")
        self.assertEqual(0, result.returncode, output + self.gateway.log_text()[-2000:])
        return output

    def assert_submitted(self) -> None:
        """One message is there, handed in by an authenticated client over TLS (RFC 3848)."""
        (message,) = self.arrived()
        self.assertIn(b"with ESMTPSA id", message)
        self.assertIn(b"Hello", message)


class SwaksTests(SubmissionTestCase):
    """swaks logs in."""

    def submit(self, mechanism: str, port: int, *options: str) -> str:
        """Hand in a message."""
        login = ("--auth", mechanism, "--auth-user", USER, "--auth-password", PASSWORD)
        return swaks(port, "--from", USER, "--to", "alice@here.test", "--body", "Hello", *login, *options)

    @holds("4954", "4", "PLAIN works over STARTTLS, and the message says that its client was authenticated.")
    def test_plain(self) -> None:
        """PLAIN over STARTTLS."""
        self.submit("PLAIN", self.gateway.port, "--tls")
        self.assert_submitted()

    def test_login(self) -> None:
        """LOGIN over STARTTLS."""
        self.submit("LOGIN", self.gateway.port, "--tls")
        self.assert_submitted()

    @holds("8314", "3.3", "Submission over implicit TLS works, with the login inside of it.")
    def test_implicit(self) -> None:
        """PLAIN with TLS from the first octet on."""
        self.submit("PLAIN", self.implicit_port, "--tls-on-connect")
        self.assert_submitted()

    @holds("6409", "4.3", "Nobody submits without having logged in.")
    def test_nobody(self) -> None:
        """Without a login there is 530."""
        with self.assertRaises(AssertionError) as refused:
            swaks(self.gateway.port, "--from", USER, "--to", "alice@here.test", tls=True)
        self.assertIn("530 5.7.0", str(refused.exception))

    def test_wrong_password(self) -> None:
        """535, and nothing is sent."""
        with self.assertRaises(AssertionError) as refused:
            login = ("--auth", "PLAIN", "--auth-user", USER, "--auth-password", "wrong")
            swaks(self.gateway.port, "--from", USER, "--to", "alice@here.test", *login, tls=True)
        self.assertIn("535 5.7.8", str(refused.exception))

    @holds("6409", "6.1", "A reverse path that is not the authenticated user's is refused.")
    def test_foreign_sender(self) -> None:
        """Somebody else's address is refused at MAIL."""
        with self.assertRaises(AssertionError) as refused:
            login = ("--auth", "PLAIN", "--auth-user", USER, "--auth-password", PASSWORD)
            swaks(self.gateway.port, "--from", "boss@here.test", "--to", "alice@here.test", *login, tls=True)
        self.assertIn("553 5.7.1", str(refused.exception))


class OtherProgramTests(SubmissionTestCase):
    """Each hands in a message as its manual says."""

    def test_msmtp(self) -> None:
        """msmtp, over STARTTLS."""
        self.run_program(
            find_program("msmtp"),
            *f"--host=127.0.0.1 --port={self.gateway.port} --tls=on --tls-starttls=on --auth=plain".split(),
            *f"--user={USER} --from={USER} --tls-trust-file={self.certificate} --tls-host-override=gw.test".split(),
            f"--passwordeval=echo '{PASSWORD}'",
            "--file=/dev/null",
            "alice@here.test",
        )
        self.assert_submitted()

    def test_s_nail(self) -> None:
        """s-nail, over TLS from the first octet on."""
        user, password = USER.replace("@", "%40"), PASSWORD.replace(" ", "%20")
        self.run_program(
            find_program("s-nail"),
            *("-n", "-s", "hello", "-r", USER, "-S", "v15-compat=yes", "-S", "tls-verify=ignore"),
            *("-S", f"mta=smtps://{user}:{password}@127.0.0.1:{self.implicit_port}", "-S", "smtp-auth=plain"),
            *("-S", "sendwait", "alice@here.test"),
            stdin=b"Hello\n",
            env={**os.environ, "HOME": str(self.folder), "MAILRC": "/dev/null"},
        )
        self.assert_submitted()

    def test_curl(self) -> None:
        """curl, both ways."""
        for url, options in (
            (f"smtp://127.0.0.1:{self.gateway.port}/curl.test", ("--ssl-reqd",)),
            (f"smtps://127.0.0.1:{self.implicit_port}/curl.test", ()),
        ):
            self.run_program(
                find_program("curl"),
                *("--silent", "--show-error", "--insecure", "--user", f"{USER}:{PASSWORD}", *options, "--url", url),
                *("--mail-from", USER, "--mail-rcpt", "alice@here.test", "--upload-file", "-"),
            )
        for message in self.arrived(2):
            self.assertIn(b"with ESMTPSA id", message)

    @holds("6409", "8.2", "A message without Date gets one.")
    @holds("6409", "8.3", "A message without Message-ID gets one.")
    def test_smtplib(self) -> None:
        """Python's smtplib; a message without Date and Message-ID gets them."""
        context = ssl.create_default_context(cafile=str(self.certificate))
        with smtplib.SMTP("127.0.0.1", self.gateway.port, local_hostname="lib.test") as client:
            vars(client)["_host"] = "gw.test"
            client.starttls(context=context)
            client.login(USER, PASSWORD)
            self.assertEqual({}, client.sendmail(USER, ["alice@here.test"], MESSAGE))
        self.assert_submitted()
        (message,) = self.arrived()
        header = message.partition(b"\n\n")[0].replace(b"\r\n", b"\n")
        self.assertRegex(header, rb"(?m)^Date: \w{3}, ")
        self.assertRegex(header, rb"(?m)^Message-ID: <[^<>@\s]+@gw\.test>$")

    def test_opensmtpd(self) -> None:
        """OpenSMTPD's own client. Its package can't stand beside another server's, so it may be anywhere."""
        program = os.environ.get("OPENSMTPD_SMTP") or shutil.which("smtp")
        if program is None:
            raise SkipTest("OpenSMTPD's smtp is not installed; OPENSMTPD_SMTP may name it")
        for scheme, port in (("smtp+tls", self.gateway.port), ("smtps", self.implicit_port)):
            server = f"{scheme}://{USER}:{PASSWORD}@127.0.0.1:{port}"
            self.run_program(program, "-C", "-v", "-F", USER, "-s", server, "alice@here.test")
        for message in self.arrived(2):
            self.assertIn(b"with ESMTPSA id", message)

    def test_postfix(self) -> None:
        """Postfix has the gateway as its smarthost, and logs in there."""
        passwords = self.folder / "passwords"
        passwords.write_text(f"[127.0.0.1]:{self.gateway.port} {USER}:{PASSWORD}\n", encoding="utf-8")
        passwords.chmod(0o644)
        postfix = Postfix(
            self.folder / "postfix",
            relay_to=self.gateway.port,
            relay_tls="encrypt",
            more={
                "smtp_sasl_auth_enable": "yes",
                "smtp_sasl_password_maps": f"texthash:{passwords}",
                "smtp_sasl_security_options": "noanonymous",
                "smtp_sasl_mechanism_filter": "plain, login",
            },
        )
        self.addCleanup(postfix.close)
        swaks(postfix.port, "--from", USER, "--to", "alice@here.test", "--body", "Hello", address=ADDRESS)
        try:
            self.assert_submitted()
        except AssertionError as trouble:
            raise AssertionError(f"{trouble}\n{postfix.log_text()[-2000:]}") from None
