"""
The configuration of a gateway, from a file, the environment and the command line.

Everything that is wrong is reported at once, as :class:`~smtpgw.config.errors.ConfigErrors`. Nothing is bound,
created or changed here; files that the configuration names are read, and the folder of the spool is not.
For users: docs/manual/configuration.rst.
"""

import os
import socket
from collections.abc import Callable, Mapping
from pathlib import Path

from msgspec import Struct

from smtpgw.config.endpoint import check_interface, tcp_endpoint
from smtpgw.config.errors import ConfigError, ConfigErrors
from smtpgw.config.position import Path as KeyPath
from smtpgw.config.read import TOP_KEYS, Surroundings, read_config, read_spool, unchecked
from smtpgw.config.schema import DEFAULT_DELIVER, DEFAULT_INTERFACE, DEFAULT_PORT, Config
from smtpgw.config.source import COMMAND_LINE, Document
from smtpgw.config.table import Table
from smtpgw.config.values import machine_host_name

_LARGEST_FILE_OCTETS = 16 * 2**20
_ONE_OF_EACH = """
[[listen]]
[[tls.sni]]
[[user]]
[[domain]]
[[route]]
[policy]
greylist = {}
dnsbl = [{}]
dnswl = [{}]
milters = [{}]
"""
"""Every table that is read only where it is there."""


class StartOptions(Struct, frozen=True):
    """
    What the command line of ``twistd smtpgw`` says. ``None`` and ``()`` mean that it says nothing.

    :ivar deliver: of ``domains``.
    :ivar smarthost: ``HOST:PORT``; without a port it is 25.
    """

    config: str | None = None
    port: int | None = None
    interface: str | None = None
    hostname: str | None = None
    spool: str | None = None
    domains: tuple[str, ...] = ()
    deliver: str | None = None
    relay_from: tuple[str, ...] = ()
    smarthost: str | None = None


def machine_name() -> str:
    """Name of this machine. May ask the name server, and then blocks."""
    return machine_host_name(socket.gethostname(), socket.getfqdn)


def config_from_text(
    text: str,
    name: str,
    environ: Mapping[str, str] | None = None,
    folder: Path | None = None,
    machine_name: Callable[[], str] = machine_name,
) -> Config:
    """
    The configuration that a TOML text describes. Code that it names is not loaded.

    :param name: of its file, for errors.
    :param environ: may hold ``SMTPGW_SECTION__KEY``.
    :param folder: what relative paths start from; the current folder if not given.
    :raises ConfigErrors: with everything that is wrong.
    """
    return _read(text, name, environ or {}, Surroundings(_base(folder), machine_name, environ=environ or {}), _nothing)


def load_config(
    path: str | Path,
    environ: Mapping[str, str],
    machine_name: Callable[[], str] = machine_name,
    check_target: Callable[[str], None] = unchecked,
) -> Config:
    """
    The configuration in a file.

    :param check_target: see :class:`~smtpgw.config.read.Surroundings`.
    :raises ConfigErrors: with everything that is wrong; also when the file can't be read.
    """
    around = Surroundings(_folder_of(path), machine_name, check_target, environ)
    return _read(_read_text(path), str(path), environ, around, _nothing)


def config_from_options(
    options: StartOptions,
    environ: Mapping[str, str],
    folder: Path | None = None,
    machine_name: Callable[[], str] = machine_name,
    check_target: Callable[[str], None] = unchecked,
) -> Config:
    """
    The configuration that a command line asks for: its file, if it names one, and its options over it.

    Without any option, the defaults: a listener on loopback that relays for loopback.

    :param folder: what relative paths of options start from, and those of the environment when there is no file; the
        current folder if not given.
    :param check_target: see :class:`~smtpgw.config.read.Surroundings`.
    :raises ConfigErrors: with everything that is wrong.
    """
    here = _base(folder)
    text, name, base = "", COMMAND_LINE, here
    if options.config is not None:
        path = here / options.config
        text, name, base = _read_text(path, options.config), options.config, _folder_of(path)
    around = Surroundings(base, machine_name, check_target, environ)
    return _read(text, name, environ, around, lambda document: _put_options(document, options, here))


def find_spool(path: str | Path | None, environ: Mapping[str, str]) -> Path:
    """
    The spool folder of the gateway with a configuration, or of the default one in the current folder.

    Reads nothing else of it: who asks for the queue may not be allowed to read the certificate's key.

    :raises ConfigErrors: when the file can't be read, or ``[spool]`` is wrong.
    """
    text, name, folder = "", COMMAND_LINE, Path().absolute()
    if path is not None:
        text, name, folder = _read_text(path), str(path), _folder_of(path)
    document = Document(text, name)
    document.put_environment(environ, TOP_KEYS)
    errors: list[ConfigError] = []
    spool = read_spool(Table(document, errors, set()).table("spool"), folder)
    if errors:
        raise ConfigErrors(errors)
    return spool.store


def known_keys() -> frozenset[str]:
    """Every key there is, without indexes: ``listen.tls``; sections are none."""
    asked: set[str] = set()
    read_config(Table(Document(_ONE_OF_EACH, ""), [], asked), Surroundings(Path("/"), lambda: "localhost"))
    return frozenset(asked)


def _nothing(_: Document) -> list[ConfigError]:
    return []


def _read(
    text: str,
    name: str,
    environ: Mapping[str, str],
    around: Surroundings,
    put_more: Callable[[Document], list[ConfigError]],
) -> Config:
    document = Document(text, name)
    errors = document.put_environment(environ, TOP_KEYS)
    errors += put_more(document)
    config = read_config(Table(document, errors, set()), around)
    if errors:
        raise ConfigErrors(sorted(dict.fromkeys(errors), key=document.order))
    return config


def _read_text(path: str | Path, name: str | None = None) -> str:
    shown = name or str(path)
    try:
        with Path(path).open("rb") as stream:
            content = stream.read(_LARGEST_FILE_OCTETS + 1)
    except OSError as error:
        raise ConfigErrors([ConfigError(shown, None, "", f"can't be read: {error.strerror}")]) from None
    if len(content) > _LARGEST_FILE_OCTETS:
        raise ConfigErrors([ConfigError(shown, None, "", "is too large for a configuration")])
    try:
        # Windows editors put a byte order mark in front, which TOML does not know.
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigErrors([ConfigError(shown, line, "", "is not UTF-8 text")]) from None


def _base(folder: Path | None) -> Path:
    return (folder or Path()).absolute()


def _folder_of(path: str | Path) -> Path:
    return Path(os.path.abspath(path)).parent  # noqa: PTH100 - absolute() would keep the ".."


def _put_options(document: Document, options: StartOptions, here: Path) -> list[ConfigError]:
    errors: list[ConfigError] = []

    def put(path: KeyPath, value: object, option: str) -> None:
        try:
            document.put(path, value, COMMAND_LINE, option)
        except LookupError as error:
            errors.append(ConfigError(COMMAND_LINE, None, option, str(error.args[0])))

    if options.hostname is not None:
        put(("hostname",), options.hostname, "--hostname")
    if options.spool is not None:
        put(("spool", "store"), _absolute(options.spool, here), "--spool")
    if options.relay_from:
        put(("relay", "networks"), list(options.relay_from), "--relay-from")
    if options.smarthost is not None:
        put(("route",), [{"via": f"smtp:{options.smarthost}"}], "--smarthost")
    if options.port is not None or options.interface is not None:
        _put_listener(document, options, put, errors)
    if options.deliver is not None and not options.domains:
        text = "says where the mail of --domain goes; name one"
        errors.append(ConfigError(COMMAND_LINE, None, "--deliver", text))
    for domain in options.domains:
        _put_domain(document, domain, options.deliver, here, put)
    return errors


def _put_listener(
    document: Document, options: StartOptions, put: Callable[[KeyPath, object, str], None], errors: list[ConfigError]
) -> None:
    listeners = document.values.get("listen")
    option = "--interface" if options.port is None else "--port"
    if isinstance(listeners, list) and len(listeners) > 1:
        text = f"the configuration has {len(listeners)} listeners, and which one is meant can't be said"
        errors.append(ConfigError(COMMAND_LINE, None, option, text))
        return
    if options.interface is not None:
        try:
            check_interface(options.interface)
        except ValueError as error:
            errors.append(ConfigError(COMMAND_LINE, None, "--interface", str(error)))
            return
    port = DEFAULT_PORT if options.port is None else options.port
    endpoint = tcp_endpoint(port, options.interface or DEFAULT_INTERFACE)
    if isinstance(listeners, list) and listeners:
        put(("listen", 0, "endpoint"), endpoint, option)
    else:
        put(("listen",), [{"endpoint": endpoint}], option)


def _put_domain(
    document: Document, domain: str, deliver: str | None, here: Path, put: Callable[[KeyPath, object, str], None]
) -> None:
    url = deliver or DEFAULT_DELIVER
    if url.startswith("maildir:") and url != "maildir:":
        url = "maildir:" + _absolute(url.removeprefix("maildir:"), here)
    domains = document.values.get("domain")
    known = domains if isinstance(domains, list) else []
    index = next((i for i, old in enumerate(known) if isinstance(old, dict) and old.get("name") == domain), len(known))
    put(("domain", index), {}, "--domain")
    put(("domain", index, "name"), domain, "--domain")
    put(("domain", index, "deliver"), url, "--domain" if deliver is None else "--deliver")


def _absolute(path: str, folder: Path) -> str:
    return str(folder / path) if path else path
