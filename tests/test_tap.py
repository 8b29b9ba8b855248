"""``twistd smtpgw``: options, errors, and the service that comes of them."""

import io
import os
import subprocess
import sys
from pathlib import Path

from twisted.application.service import IService
from twisted.python import usage
from twisted.python.usage import UsageError
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.config.load import StartOptions
from smtpgw.tap import Options, makeService
from smtpgw.version import VERSION


def parsed(*arguments: str) -> Options:
    options = Options()
    options.parseOptions(list(arguments))
    return options


class OptionTests(SynchronousTestCase):
    """The options of the contract."""

    def test_none(self) -> None:
        """Nothing said is nothing set: defaults are the configuration's."""
        self.assertEqual(parsed().start, StartOptions())

    def test_all(self) -> None:
        """Long forms, and repetition."""
        options = parsed(
            *("--port", "25", "--interface", "::1", "--config", "c.toml", "--hostname", "mx.example", "--spool", "q"),
            *("--domain", "a.example", "--domain=b.example", "--deliver", "discard:"),
            *("--relay-from", "10.0.0.0/8", "--relay-from", "::1", "--smarthost", "s.example:25"),
            *("--delivery", "package.module.Name"),
        )
        self.assertEqual(
            options.start,
            StartOptions(
                config="c.toml",
                port=25,
                interface="::1",
                hostname="mx.example",
                spool="q",
                domains=("a.example", "b.example"),
                deliver="discard:",
                relay_from=("10.0.0.0/8", "::1"),
                smarthost="s.example:25",
            ),
        )
        self.assertEqual(options["delivery"], "package.module.Name")
        self.assertEqual(parsed("-p", "26", "-c", "d.toml").start, StartOptions(config="d.toml", port=26))

    def test_port_in_our_words(self) -> None:
        """A port that is none is told without the words of Twisted's option parser."""
        error = self.assertRaises(UsageError, parsed, "--port", "abc")
        self.assertEqual(str(error), "--port: 'abc' is not a number")

    def test_lists_are_not_shared(self) -> None:
        """Two gateways in one process do not get each other's domains."""
        parsed("--domain", "a.example")
        self.assertEqual(parsed().start.domains, ())

    def test_refused(self) -> None:
        """One clear line for what can't be meant."""
        for arguments, words in (
            (("--port", "smtp"), "--port: 'smtp' is not a number"),
            (("--port", "65536"), "--port: 65536 is not between 0 and 65535"),
            (("2525",), "'2525' is not an option"),
            (("--prot", "25"), "option --prot not recognized"),
            (("--workers", "2"), "option --workers not recognized"),
        ):
            self.assertIn(words, str(self.assertRaises(UsageError, parsed, *arguments)))


class ServiceTests(SynchronousTestCase):
    """makeService, before anything is started."""

    def test_service(self) -> None:
        """A service, and no socket, thread, folder or file yet."""
        folder = Path(self.mktemp())
        service = makeService(parsed("--spool", str(folder), "--port", "0"))
        self.assertTrue(IService.providedBy(service))
        self.assertFalse(service.running)
        self.assertFalse(folder.exists())

    def test_mistakes(self) -> None:
        """All of them on standard error, and status 1."""
        path = Path(self.mktemp())
        path.write_text('[log]\nlevel = "x"\n[limits]\nhops = 0\n')
        written: list[str] = []
        self.patch(sys, "stderr", type("Errors", (), {"write": staticmethod(written.append), "flush": lambda: None}))
        end = self.assertRaises(SystemExit, makeService, parsed("--config", str(path), "--hostname", "a b"))
        self.assertEqual(end.code, 1)
        lines = "".join(written).splitlines()
        self.assertEqual([line.partition(": ")[0] for line in lines], [f"{path}:2", f"{path}:4", "command line"], lines)

    def told(self, *arguments: str) -> list[str]:
        """What is wrong with a command line, by line."""
        said = io.StringIO()
        self.patch(sys, "stderr", said)
        self.assertEqual(self.assertRaises(SystemExit, makeService, parsed(*arguments)).code, 1)
        return said.getvalue().splitlines()

    def test_mistakes_of_the_command_line(self) -> None:
        """Those of --delivery and --deliver come with the others."""
        self.assertEqual(
            [
                line.removesuffix(" of twisted.mail.smtp")
                for line in self.told("--hostname", "a b", "--delivery", "os.path", "--deliver", "discard:")
            ],
            [
                "command line: --deliver: says where the mail of --domain goes; name one",
                "command line: --hostname: 'a b' is not a host name",
                "command line: --delivery: os.path provides neither IMessageDelivery nor IMessageDeliveryFactory",
            ],
        )
        self.assertEqual(
            self.told("--delivery", "Name"),
            ["command line: --delivery: 'Name' is not a dotted name such as package.module.name"],
        )

    def test_handlers_are_loaded(self) -> None:
        """A handler that isn't there is told before anything is started; not when another user is to serve."""
        path = Path(self.mktemp())
        path.write_text('[[domain]]\nname = "a.example"\ndeliver = "python:no_such_module_here:f"\n')
        self.patch(sys, "path", list(sys.path))
        self.assertEqual(
            self.told("--config", str(path)),
            [f"{path}:3: domain[0].deliver: there is no module 'no_such_module_here'"],
        )
        options = parsed("--config", str(path))
        options.parent = usage.Options()
        options.parent["uid"] = 12345
        self.assertTrue(IService.providedBy(makeService(options)))


class ProcessTests(SynchronousTestCase):
    """What can only be seen from outside the process."""

    def run_python(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
        return subprocess.run(
            [sys.executable, *arguments], capture_output=True, text=True, env=environ, timeout=60, check=False
        )

    def test_version(self) -> None:
        """--version is ours, not Twisted's."""
        done = self.run_python("-m", "twisted", "smtpgw", "--version")
        self.assertEqual((done.stdout, done.returncode), (f"smtpgw {VERSION}\n", 0))

    def test_no_reactor(self) -> None:
        """The plugin leaves the choice of the reactor to --reactor."""
        done = self.run_python("-c", "import sys, smtpgw.tap; print('twisted.internet.reactor' in sys.modules)")
        self.assertEqual((done.stdout, done.stderr), ("False\n", ""))


class MistakeTests(SynchronousTestCase):
    """Under twistd a mistake is one line, with a suggestion, and status 1."""

    def test_nearest_option(self) -> None:
        """An option that isn't there is told with the one that was meant."""
        options = Options()
        options.parent = usage.Options()
        said = io.StringIO()
        self.patch(sys, "stderr", said)
        self.assertEqual(self.assertRaises(SystemExit, options.parseOptions, ["--prot", "1"]).code, 1)
        self.assertEqual(
            said.getvalue(), "smtpgw: option --prot not recognized, did you mean --port?; see twistd smtpgw --help\n"
        )
