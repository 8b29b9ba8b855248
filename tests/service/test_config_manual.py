"""The manual tells the truth about every key and its default."""

import re
from pathlib import Path

from msgspec.structs import asdict
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.service.config import config_from_text, known_keys
from smtpgw.service.config_errors import ConfigErrors
from smtpgw.service.config_read import TOP_KEYS
from smtpgw.tap import Options

_MANUAL = Path(__file__).parents[2] / "docs" / "manual" / "configuration.rst"
_ENTRY = re.compile(r"^``([a-z_.]+)``\n((?:    .*\n|\n)+)", re.MULTILINE)
_ARRAYS = {"listen": 'endpoint = "tcp:25"', "domain": 'name = "a.example"', "route": ""}

_IN_WORDS = {
    "hostname",
    "listen.tls",
    "listen.relay_networks",
    "tls.certificate",
    "tls.key",
    "tls.ca",
    "route.connections",
    "route.source",
    "dns.servers",
}
"""Keys whose default is not a value of their own kind."""


def _entries() -> dict[str, str]:
    return dict(_ENTRY.findall(_MANUAL.read_text(encoding="utf-8")))


def _document(key: str, line: str) -> str:
    """A configuration with one line in the table of a key."""
    section = key.partition(".")[0]
    if section in _ARRAYS:
        needed = "" if line.startswith(_ARRAYS[section].partition(" ")[0]) else _ARRAYS[section]
        return f"[[{section}]]\n{needed}\n{line}\n"
    return f"[{section}]\n{line}\n" if "." in key else f"{line}\n"


def _read(text: str) -> dict[str, object]:
    return asdict(config_from_text(text, "f", {}, Path("/srv"), lambda: "mx.example"))


class ManualTests(SynchronousTestCase):
    """docs/manual/configuration.rst"""

    def test_every_key(self) -> None:
        """Each key that is read has its entry, and none that is not."""
        self.assertEqual(set(_entries()), set(known_keys()))

    def test_sections(self) -> None:
        """The keys that may come from the environment without a section are the ones that there are."""
        self.assertEqual({key.partition(".")[0] for key in known_keys()}, set(TOP_KEYS))

    def test_defaults(self) -> None:
        """Writing the default of the manual into a file changes nothing."""
        checked = set()
        for key, text in _entries().items():
            default = re.search(r"^    Default: ``(.+)``$", text, re.MULTILINE)
            if default is None or key in _IN_WORDS:
                continue
            line = f"{key.rpartition('.')[2]} = {default[1]}"
            self.assertEqual(_read(_document(key, line)), _read(_document(key, "")), key)
            checked.add(key)
        others = {key for key, text in _entries().items() if "    Required.\n" in text}
        self.assertEqual(set(_entries()) - checked - others, _IN_WORDS)

    def test_another_value_changes_something(self) -> None:
        """So that the comparison of defaults can fail."""
        self.assertNotEqual(_read("[delivery]\nport = 26"), _read("[delivery]"))

    def test_required(self) -> None:
        """What the manual calls required is missed."""
        for key, text in _entries().items():
            if "    Required.\n" in text:
                section, _, name = key.partition(".")
                error = self.assertRaises(ConfigErrors, _read, f"[[{section}]]\n")
                self.assertIn(f"f:1: {section}[0].{name}: is missing", str(error))

    def test_options(self) -> None:
        """Every option of twistd is in its table."""
        options = {f"--{name.rstrip('=')}" for name in Options().longOpt} - {"--help", "--version"}
        table = _MANUAL.read_text(encoding="utf-8").partition("Options of twistd")[2].partition("The keys")[0]
        self.assertEqual(set(re.findall(r"^``(--[a-z-]+)", table, re.MULTILINE)), options)
