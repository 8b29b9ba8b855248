"""The manual tells the truth about every key and its default."""

import re
from pathlib import Path

from msgspec.structs import asdict
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.config.errors import ConfigErrors
from smtpgw.config.load import config_from_text, known_keys
from smtpgw.config.read import TOP_KEYS
from smtpgw.tap import Options
from tests.service.certificates import write_pair

_MANUAL = Path(__file__).parents[2] / "docs" / "manual" / "configuration.rst"
_ENTRY = re.compile(r"^((?:``[a-z_.]+``(?:, )?)+)\n((?:    .*\n|\n)+)", re.MULTILINE)
_HASH = "$argon2id$v=19$m=65536,t=3,p=4$c2FsdHNhbHRzYWx0c2FsdA$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g"
_ARRAYS = {
    "listen": {"endpoint": '"tcp:25"'},
    "domain": {"name": '"a.example"'},
    "route": {},
    "user": {"name": '"a@example.com"', "password": f'"{_HASH}"'},
    "tls.sni": {"name": '"a.example"', "certificate": '"both.pem"'},
    "policy.dnsbl": {"zone": '"bl.example"'},
    "policy.dnswl": {"zone": '"wl.example"'},
    "policy.milters": {"address": '"inet:127.0.0.1:11332"'},
}
"""What each table of an array needs."""

_IN_WORDS = {
    "hostname",
    "listen.tls",
    "listen.auth",
    "listen.relay_networks",
    "tls.certificate",
    "tls.key",
    "tls.ca",
    "tls.client_ca",
    "tls.sni.key",
    "user.senders",
    "auth.tokens",
    "policy.dnsbl.codes",
    "policy.dnswl.codes",
    "policy.dnsbl.when_down",
    "policy.dnswl.when_down",
    "policy.milters.when_down",
    "route.connections",
    "route.source",
    "dns.servers",
}
"""Keys whose default is not a value of their own kind."""


def _entries() -> dict[str, str]:
    """Each key with its text; several keys may share one."""
    found = _ENTRY.findall(_MANUAL.read_text(encoding="utf-8"))
    return {key.strip("`"): text for keys, text in found for key in keys.split(", ")}


def _document(key: str, value: str | None, *, without: str = "") -> str:
    """
    A configuration with the table of a key, and all that it needs.

    :param value: of the key; ``None``: it is not there.
    :param without: what the table needs, and does not have.
    """
    section, _, name = key.rpartition(".")
    lines = {needed: text for needed, text in _ARRAYS.get(section, {}).items() if needed != without}
    if value is not None:
        lines[name] = value
    header = f"[[{section}]]\n" if section in _ARRAYS else f"[{section}]\n" if section else ""
    return header + "".join(f"{name} = {text}\n" for name, text in lines.items())


class ManualTests(SynchronousTestCase):
    """docs/manual/configuration.rst"""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        write_pair(self.folder)

    def read(self, text: str) -> dict[str, object]:
        # Other certificates than the main one are of no use without it.
        text = text.replace("[[tls.sni]]", '[tls]\ncertificate = "both.pem"\n[[tls.sni]]')
        return asdict(config_from_text(text, "f", {}, self.folder, lambda: "mx.example"))

    def test_every_key(self) -> None:
        """Each key that is read has its entry, and none that is not."""
        self.assertEqual(set(_entries()), set(known_keys()))

    def test_sections(self) -> None:
        """The keys that may come from the environment without a section are the ones that there are."""
        self.assertEqual({key.partition(".")[0] for key in known_keys()}, set(TOP_KEYS))

    def test_defaults(self) -> None:
        """Writing the default of the manual into a file changes nothing, in tables within tables, too."""
        checked = set()
        for key, text in _entries().items():
            default = re.search(r"^    Default: ``(.+)``$", text, re.MULTILINE)
            if default is None or key in _IN_WORDS:
                continue
            self.assertEqual(self.read(_document(key, default[1])), self.read(_document(key, None)), key)
            checked.add(key)
        others = {key for key, text in _entries().items() if "    Required.\n" in text}
        self.assertEqual(set(_entries()) - checked - others, _IN_WORDS)

    def test_another_value_changes_something(self) -> None:
        """So that the comparison of defaults can fail."""
        for key, value in (
            ("delivery.port", "26"),
            ("policy.greylist.delay", '"1m"'),
            ("policy.milters.timeout", '"1m"'),
            ("limits.refused_recipients", "1"),
        ):
            self.assertNotEqual(self.read(_document(key, value)), self.read(_document(key, None)))

    def test_required(self) -> None:
        """What the manual calls required is missed."""
        for key, text in _entries().items():
            if "    Required.\n" in text:
                section, _, name = key.rpartition(".")
                error = self.assertRaises(ConfigErrors, self.read, _document(key, None, without=name))
                self.assertIn(f": {section}[0].{name}: is missing", str(error))

    def test_options(self) -> None:
        """Every option of twistd is in its table."""
        options = {f"--{name.rstrip('=')}" for name in Options().longOpt} - {"--help", "--version"}
        table = _MANUAL.read_text(encoding="utf-8").partition("Options of twistd")[2].partition("The keys")[0]
        self.assertEqual(set(re.findall(r"^``(--[a-z-]+)", table, re.MULTILINE)), options)
