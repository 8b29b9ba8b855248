"""
What commands say: paths, parameters and HELO names (RFC 5321 sections 4.1.2 and 4.1.3, RFC 6531 section 3.3).

Octets go in, values or a refusing reply come out. It knows neither which parameters exist nor what state a session is
in. Every function takes time linear in its input.

Lenient where real clients need it: spaces behind the colon of ``FROM:`` and ``TO:``, spaces at the end of a line,
underscores in names, A-labels that IDNA2008 would not make, as long as there is any text that they stand for. Source
routes are read and dropped. Strict in everything that could be written out again: no control character of any kind
(C1 and the Unicode line separators with them), nothing without angle brackets.
"""

import binascii
import re
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv6Address

import idna
from msgspec import Struct

from smtpgw.model.address import Mailbox, ReversePath
from smtpgw.model.reply import Reply, reply

MAX_LOCAL_OCTETS = 64
MAX_DOMAIN_OCTETS = 255

_ATEXT = r"A-Za-z0-9!#$%&'*+/=?^_`{|}~\-"
_LABEL = r"(?!-)[A-Za-z0-9_\-]{1,63}(?<!-)"
_DOMAIN = rf"{_LABEL}(?:\.{_LABEL})*"
_PARAMETER = rb"[A-Za-z0-9][A-Za-z0-9\-]*(?:=[\x21-\x3c\x3e-\x7e\x80-\xff]+)?"

# The common case in one match: an ASCII dot-string at a domain name, and whatever comes behind the bracket.
_PLAIN_PATH = re.compile(rf" *<([{_ATEXT}]+(?:\.[{_ATEXT}]+)*)@({_DOMAIN})>(.*)".encode(), re.DOTALL)

_NULL_PATH = re.compile(rb" *<>(.*)", re.DOTALL)
# Up to the bracket that is not inside a quoted string.
_ANY_PATH = re.compile(rb' *<((?:[^"<>\\]|"(?:[^"\\]|\\.)*")*)>(.*)', re.DOTALL)
_PARAMETERS = re.compile(rb"(?: +" + _PARAMETER + rb")* *\Z")

_CONTROLS = "\x00-\x1f\x7f-\x9f\u2028\u2029"
_ROUTE = re.compile(rf"@{_DOMAIN}(?:,@{_DOMAIN})*:")
_DOT_STRING = re.compile(rf"[{_ATEXT}\u00a0-\U0010ffff]+(?:\.[{_ATEXT}\u00a0-\U0010ffff]+)*\Z")
_QUOTED = re.compile(rf'"((?:[^"\\{_CONTROLS}]|\\[\x20-\x7e])*)"\Z')
_QUOTED_PAIR = re.compile(r"\\(.)")
_ASCII_DOMAIN = re.compile(rf"{_DOMAIN}\Z")
# IDNA takes these for dots as well; in a path only the full stop is one.
_OTHER_DOTS = re.compile("[\u3002\uff0e\uff61]")
_SEPARATORS = re.compile("[\u2028\u2029]")

_HELO_NAME = re.compile(rb"[A-Za-z0-9._:%+=~!#$&*/^`'{|}?\-]{1,255}\Z|\[[A-Za-z0-9:._%\-]{1,253}\]\Z")

_BAD_SENDER = reply(501, "5.1.7", "Bad syntax of the sender address")
_BAD_RECIPIENT = reply(501, "5.1.3", "Bad syntax of the recipient address")
_MAIL_SYNTAX = reply(501, "5.5.2", "Syntax: MAIL FROM:<address>")
_RCPT_SYNTAX = reply(501, "5.5.2", "Syntax: RCPT TO:<address>")
_PARAMETER_SYNTAX = reply(501, "5.5.4", "Bad syntax of a parameter")

Parameters = tuple[tuple[str, str | None], ...]
"""Keyword in upper case, and value; ``None`` when there was no ``=``."""


class PathArgument(Struct, frozen=True, gc=False):
    """
    The argument of MAIL or RCPT.

    :ivar path: ``None`` is the null path, of MAIL only.
    """

    path: ReversePath
    parameters: Parameters = ()


def read_mail(argument: bytes) -> PathArgument | Reply:
    """:param argument: what stands behind ``MAIL`` and a space: ``FROM:<...> ...``."""
    if argument[:5].upper() != b"FROM:":
        return _MAIL_SYNTAX
    plain = _PLAIN_PATH.match(argument, 5)
    if plain is not None:
        return _plain(plain, _BAD_SENDER)
    null = _NULL_PATH.match(argument, 5)
    if null is not None:
        return _with_parameters(None, null.group(1))
    return _any_path(argument, 5, _MAIL_SYNTAX, _BAD_SENDER)


def read_rcpt(argument: bytes) -> PathArgument | Reply:
    """
    :param argument: what stands behind ``RCPT`` and a space: ``TO:<...> ...``.

    ``<postmaster>`` alone, in any case, has the empty domain (RFC 5321 section 4.1.1.3).
    """
    if argument[:3].upper() != b"TO:":
        return _RCPT_SYNTAX
    plain = _PLAIN_PATH.match(argument, 3)
    if plain is not None:
        return _plain(plain, _BAD_RECIPIENT)
    return _any_path(argument, 3, _RCPT_SYNTAX, _BAD_RECIPIENT)


def read_helo(argument: bytes) -> str | None:
    """
    The name a client gives itself, without spaces around it; ``None`` when it is none.

    Odd names are taken as they are; nothing that could end a word, a comment or a line in a header is.
    """
    name = argument.strip(b" ")
    return name.decode("ascii") if _HELO_NAME.match(name) else None


def read_base64(text: bytes) -> bytes | None:
    """Strict base64 (RFC 4954 section 4); ``None`` when it is none."""
    try:
        return binascii.a2b_base64(text, strict_mode=True) if text else b""
    except binascii.Error:
        return None


def parse_mailbox(text: str, smtputf8: bool = True) -> Mailbox:
    """
    An address as a person writes it, with or without angle brackets.

    :param smtputf8: whether it may have non-ASCII characters.
    :raises ValueError: when it is none, with the reason.
    """
    stripped = text.strip()
    if stripped.startswith("<") and stripped.endswith(">"):
        stripped = stripped[1:-1]
    mailbox = _mailbox(stripped)
    if mailbox is None:
        raise ValueError(f"not an address: {text!r}")
    if not smtputf8 and not mailbox.is_ascii:
        raise ValueError(f"has non-ASCII characters: {text!r}")
    return mailbox


def _plain(match: re.Match[bytes], refusal: Reply) -> PathArgument | Reply:
    local, domain, rest = match.groups()
    if len(local) > MAX_LOCAL_OCTETS or len(domain) > MAX_DOMAIN_OCTETS:
        return refusal
    name = domain.decode("ascii").lower()
    if "xn--" in name and not _has_texts(name):
        return refusal
    mailbox = Mailbox(local.decode("ascii"), name)
    return PathArgument(mailbox) if not rest else _with_parameters(mailbox, rest)


def _any_path(argument: bytes, start: int, syntax: Reply, refusal: Reply) -> PathArgument | Reply:
    """Everything that the fast patterns leave: quotes, literals, routes, non-ASCII, postmaster, and what is wrong."""
    match = _ANY_PATH.match(argument, start)
    if match is None:
        return syntax
    try:
        text = match.group(1).decode("utf-8")
    except UnicodeDecodeError:
        return refusal
    if start == 3 and text.lower() == "postmaster":
        return _with_parameters(Mailbox(text, ""), match.group(2))
    mailbox = _mailbox(text)
    return refusal if mailbox is None else _with_parameters(mailbox, match.group(2))


def _with_parameters(path: ReversePath, rest: bytes) -> PathArgument | Reply:
    if not rest:
        return PathArgument(path)
    if not _PARAMETERS.match(rest):
        return _PARAMETER_SYNTAX
    found: list[tuple[str, str | None]] = []
    for word in rest.split():
        keyword, equals, value = word.partition(b"=")
        try:
            found.append((keyword.decode("ascii").upper(), value.decode("utf-8") if equals else None))
        except UnicodeDecodeError:
            return _PARAMETER_SYNTAX
    return PathArgument(path, tuple(found))


def _mailbox(text: str) -> Mailbox | None:
    route = _ROUTE.match(text)
    if route is not None:
        text = text[route.end() :]
    local, at, domain_text = text.rpartition("@")
    if not at:
        return None
    quoted = _QUOTED.match(local)
    if quoted is not None:
        local = _QUOTED_PAIR.sub(r"\1", quoted.group(1))
    elif not _DOT_STRING.match(local) or _SEPARATORS.search(local):
        return None
    domain = _domain(domain_text)
    if domain is None or len(local.encode("utf-8", "replace")) > MAX_LOCAL_OCTETS or not _encodes(local):
        return None
    return Mailbox(local, domain)


def _encodes(text: str) -> bool:
    """Whether it is proper Unicode; lone surrogates come from file names and command lines only."""
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def _domain(text: str) -> str | None:
    """In lower case; ``None`` when it is no domain and no address literal."""
    if text.startswith("["):
        return _literal(text)
    if text.isascii():
        if len(text) > MAX_DOMAIN_OCTETS or not _ASCII_DOMAIN.match(text):
            return None
        name = text.lower()
        return name if "xn--" not in name or _has_texts(name) else None
    if len(text) > MAX_DOMAIN_OCTETS:
        return None
    return _unicode_domain(text.lower())


@lru_cache(maxsize=1024)
def _has_texts(domain: str) -> bool:
    """Whether every A-label stands for some text. Whether IDNA2008 allows that text is the registries' business."""
    for label in domain.split("."):
        if label.startswith("xn--"):
            try:
                label[4:].encode("ascii").decode("punycode").encode("utf-8")
            except (UnicodeError, ValueError, OverflowError):
                return False
    return True


@lru_cache(maxsize=1024)
def _unicode_domain(text: str) -> str | None:
    """U-labels that IDNA2008 allows; checking one costs much more than anything else here."""
    if text.endswith(".") or _OTHER_DOTS.search(text):
        return None
    try:
        encoded = idna.encode(text)
    except (idna.IDNAError, UnicodeError):
        return None
    return text if len(encoded) <= MAX_DOMAIN_OCTETS else None


def _literal(text: str) -> str | None:
    """An address literal in its canonical form. Those with other tags than IPv6 name networks that we can't reach."""
    if not text.endswith("]"):
        return None
    inside = text[1:-1]
    try:
        if inside[:5].lower() != "ipv6:":
            return f"[{IPv4Address(inside)}]"
        return None if "%" in inside else f"[IPv6:{IPv6Address(inside[5:])}]"
    except AddressValueError:
        return None
