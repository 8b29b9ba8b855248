"""Where mail goes, as ``deliver`` of a domain and ``via`` of a route write it."""

import re
from collections.abc import Callable
from pathlib import Path

from smtpgw.config.durations import show
from smtpgw.config.errors import not_one_of
from smtpgw.config.table import NOT_AVAILABLE
from smtpgw.config.values import host_and_port, text
from smtpgw.model.reply import Reply
from smtpgw.model.route import Via, ViaFail, ViaHost, ViaMx, ViaSink

_PLACEHOLDERS = ("local", "domain", "tag")
_PYTHON_NAME = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*:[^\W\d]\w*(?:\.[^\W\d]\w*)*\Z")
_FAIL = re.compile(r"(?:(\d{3})(?: |\Z))?(?:(\d+(?:\.\d+)+)(?: |\Z))?(.*)\Z", re.ASCII)
"""What looks like a code or a status is one, and must be right: as words it would contradict the real ones."""

_FAIL_CODE = re.compile(r"5[0-5]\d\Z", re.ASCII)
_FAIL_STATUS = re.compile(r"5\.\d{1,3}\.\d{1,3}\Z", re.ASCII)
_LONGEST_FAIL_TEXT = 200
_SMTP_PORT = 25

_DELIVER_NOW = ("maildir:", "smtp:", "python:", "discard:")
_DELIVER_LATER = ("lmtp", "smtps", "webhook+https", "webhook+http", "pipe")
_VIA_NOW = ("mx", "smtp:", "discard:", "fail:")
_VIA_LATER = ("smtps", "lmtp")


def deliver_in(folder: Path, check_target: Callable[[str], None]) -> Callable[[object], Via]:
    """
    ``[[domain]] deliver``.

    :param folder: what a relative path is relative to.
    :param check_target: of ``python:``; raises ValueError.
    """

    def read(value: object) -> Via:
        url = text(value)
        kind, colon, rest = url.partition(":")
        if kind in _DELIVER_LATER:
            raise ValueError(f"{show(url)}: '{kind}:' is {NOT_AVAILABLE}; there are {', '.join(_DELIVER_NOW)}")
        match kind if colon else "":
            case "maildir":
                return ViaSink(f"maildir:{_maildir(rest, folder)}")
            case "smtp":
                return _smtp(rest)
            case "python":
                return ViaSink(f"python:{_python(rest, check_target)}")
            case "discard":
                return _discard(rest)
            case _:
                raise ValueError(not_one_of(url, _DELIVER_NOW))

    return read


def via(mx_port: int) -> Callable[[object], Via]:
    """``[[route]] via``. :param mx_port: of MX hosts, ``delivery.port``."""

    def read(value: object) -> Via:
        url = text(value)
        if url in {"mx", "mx:"}:
            return ViaMx(mx_port)
        kind, colon, rest = url.partition(":")
        if kind in _VIA_LATER:
            raise ValueError(f"{show(url)}: '{kind}:' is {NOT_AVAILABLE}; there are {', '.join(_VIA_NOW)}")
        match kind if colon else "":
            case "smtp":
                return _smtp(rest)
            case "fail":
                return ViaFail(_fail(rest))
            case "discard":
                return _discard(rest)
            case _:
                raise ValueError(not_one_of(url, _VIA_NOW))

    return read


def python_target(check_target: Callable[[str], None]) -> Callable[[object], str]:
    """
    A function of the user's, ``python:package.module:name``; the result begins at the package.

    :param check_target: raises ValueError.
    """

    def read(value: object) -> str:
        written = text(value)
        kind, colon, rest = written.partition(":")
        if not colon or kind != "python":
            raise ValueError(f"{show(written)} is not of the form 'python:package.module:name'")
        return _python(rest, check_target)

    return read


def _maildir(pattern: str, folder: Path) -> Path:
    if not pattern:
        raise ValueError("'maildir:' needs a path")
    for match in re.finditer(r"\{([^{}]*)\}|[{}]", pattern):
        if match[1] is None:
            raise ValueError(f"{show(pattern)} has a brace without its partner")
        if match[1] not in _PLACEHOLDERS:
            raise ValueError(not_one_of(match[0], [f"{{{name}}}" for name in _PLACEHOLDERS]))
    return folder / Path(pattern)


def _smtp(rest: str) -> ViaHost:
    if rest.startswith("//"):
        raise ValueError("'smtp:' is followed by a host and port such as 'smtp:mail.example.com:25', without slashes")
    host, number = host_and_port(rest, _SMTP_PORT, "mail.example.com:25") if rest else ("", 0)
    if not host:
        raise ValueError("'smtp:' needs a host and port such as 'smtp:mail.example.com:25'")
    return ViaHost(host, number)


def _python(rest: str, check_target: Callable[[str], None]) -> str:
    if not _PYTHON_NAME.match(rest):
        raise ValueError(f"{show(rest)} is not a name in a module, such as 'python:package.module:name'")
    check_target(rest)
    return rest


def _discard(rest: str) -> ViaSink:
    if rest:
        raise ValueError("nothing comes after 'discard:'")
    return ViaSink("discard:")


def _fail(rest: str) -> Reply:
    """``fail:``, ``fail:We do not write there``, ``fail:550 5.1.2 No such domain``."""
    match = _FAIL.match(rest)
    if match is None or not rest.isascii() or len(rest) > _LONGEST_FAIL_TEXT:
        raise ValueError(f"the text after 'fail:' is at most {_LONGEST_FAIL_TEXT} ASCII characters on one line")
    code, status = match[1] or "550", match[2] or "5.7.1"
    if not _FAIL_CODE.match(code):
        raise ValueError(f"{show(code)} is not the code of a failure for good, 500 to 559")
    if not _FAIL_STATUS.match(status):
        raise ValueError(f"{show(status)} is not a status that fits {code}, such as 5.7.1")
    words = match[3].strip() or "Mail to this domain is not accepted"
    return Reply(int(code), status, (words,))
