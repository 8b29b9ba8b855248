"""
Recipients in a directory: ``ldap://host/base?attribute?scope?filter`` (RFC 4516), by ldap3 in threads.

An entry that the search finds says yes. Its attributes are not asked for. ``ldaps://``, and ``ldap://`` with the
extension ``StartTLS``, check the server's certificate.
"""

import re
import ssl
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from msgspec import Struct

from smtpgw.lookups.connections import Connections
from smtpgw.lookups.extras import check_extra, load_extra
from smtpgw.lookups.lane import Lane
from smtpgw.lookups.masking import masked_url
from smtpgw.lookups.placeholders import Template, read_template
from smtpgw.lookups.question import Question
from smtpgw.model.domains import LookupTrouble

_CONNECT_SECONDS = 5
_ANSWER_SECONDS = 5
_PORTS = {"ldap": 389, "ldaps": 636}
_SCOPES = {"base": "BASE", "one": "LEVEL", "sub": "SUBTREE"}
_START_TLS = {"starttls", "1.3.6.1.4.1.1466.20037"}
_ATTRIBUTE = re.compile(r"[A-Za-z][A-Za-z0-9-]*\Z")

_SUCCESS = 0
_SIZE_LIMIT_EXCEEDED = 4
"""More than the one entry that was asked for: a yes."""


class LdapPlace(Struct, frozen=True, tag="ldap"):
    """
    :ivar base: distinguished name.
    :ivar scope: in ldap3's words.
    :ivar user: distinguished name to bind with; empty: anonymous.
    """

    host: str
    port: int
    base: str
    scope: str
    filter: Template
    tls: str = "off"
    user: str = ""
    password: str = ""

    def __repr__(self) -> str:
        """Without the password."""
        return f"LdapPlace({self.host!r}, {self.port}, {self.base!r}, {self.scope}, {''.join(self.filter.pieces)!r})"

    @property
    def secrets(self) -> tuple[str, ...]:
        """The password."""
        return (self.password,) if self.password else ()


def read_ldap_url(url: str) -> LdapPlace:
    """:raises ValueError: with what is wrong; passwords are not in it."""
    check_extra("ldap3", "ldap")
    shown = masked_url(url)
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise ValueError(f"{shown} has no host, or no number as its port") from None
    if parts.scheme not in _PORTS or not host or port == 0:
        raise ValueError(f"{shown} has no host, as in 'ldap://host/base?attribute?scope?filter'")
    if parts.fragment:
        raise ValueError(f"{shown} has a '#'")
    fields = parts.query.split("?")
    if len(fields) > 4:
        raise ValueError(f"{shown} has more than attribute, scope, filter and extensions")
    attribute, scope, written, extensions = (*fields, *[""] * (4 - len(fields)))
    if scope.lower() not in {*_SCOPES, ""}:
        raise ValueError(f"{shown}: the scope is one of {', '.join(_SCOPES)}")
    try:
        search = read_template(unquote(written) or f"({_attribute(attribute)}={{address}})")
        _check_filter(search)
        tls = _tls(parts.scheme, extensions)
    except ValueError as error:
        raise ValueError(f"{shown}: {error}") from None
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if bool(user) != bool(password):
        # A name without a password would be bound as nobody, silently (RFC 4513 section 5.1.2).
        raise ValueError(f"{shown}: a name to bind with needs a password, and a password a name")
    return LdapPlace(
        host=host,
        port=port or _PORTS[parts.scheme],
        base=unquote(parts.path.removeprefix("/")),
        scope=_SCOPES[scope.lower() or "sub"],
        filter=search,
        tls=tls,
        user=user,
        password=password,
    )


def _attribute(written: str) -> str:
    if written and not _ATTRIBUTE.match(written):
        raise ValueError("the attribute is one name, such as mail")
    return written or "mail"


def _check_filter(search: Template) -> None:
    if not search.names & {"local", "address"}:
        raise ValueError("the filter has neither {local} nor {address}, so its answer would be the same for everybody")
    errors = load_extra("ldap3.core.exceptions")
    text = search.fill(Question("alice", "example.com"), _escaped)
    try:
        parse = load_extra("ldap3.operation.search").parse_filter
        parse(text, schema=None, auto_escape=None, auto_encode=False, validator=None, check_names=False)
    except errors.LDAPExceptionError as error:
        raise ValueError(f"the filter is none: {error}") from None


def _tls(scheme: str, extensions: str) -> str:
    tls = "implicit" if scheme == "ldaps" else "off"
    for extension in filter(None, extensions.split(",")):
        if unquote(extension.removeprefix("!")).lower() not in _START_TLS or tls != "off":
            raise ValueError("the only extension is StartTLS, of ldap://")
        tls = "starttls"
    return tls


def _escaped(value: str) -> str:
    escaped = load_extra("ldap3.utils.conv").escape_filter_chars(value)
    return str(escaped)


class LdapDirectory:
    """A source."""

    def __init__(self, place: LdapPlace, lane: Lane, authorities: Path | None = None) -> None:
        """
        Connects to nothing yet.

        :param authorities: of TLS, a PEM file; ``None``: the system's.
        """
        self._place = place
        self._lane = lane
        self._ldap: Any = load_extra("ldap3")
        self._errors: Any = load_extra("ldap3.core.exceptions")
        self._tls = None
        if place.tls != "off":
            ca = str(authorities) if authorities else None
            self._tls = self._ldap.Tls(validate=ssl.CERT_REQUIRED, ca_certs_file=ca)
        self._connections: Connections[Any] = Connections(self._connect, self._close, self._is_lost)

    async def __call__(self, question: Question) -> bool:
        """See :data:`~smtpgw.lookups.question.Source`."""
        return await self._lane.run(self._ask, question)

    def close(self) -> None:
        """Close what is kept."""
        self._connections.close()

    def _ask(self, question: Question) -> bool:
        search = self._place.filter.fill(question, _escaped)
        try:
            return self._connections.use(lambda connection: self._search(connection, search))
        except self._errors.LDAPExceptionError as trouble:
            raise LookupTrouble(f"{type(trouble).__name__}: {trouble}") from trouble

    def _search(self, connection: Any, search: str) -> bool:
        connection.search(
            self._place.base,
            search,
            self._place.scope,
            attributes=["1.1"],
            size_limit=1,
            time_limit=_ANSWER_SECONDS,
        )
        result = connection.result
        found = any(answer.get("type") == "searchResEntry" for answer in connection.response or ())
        # A base that is not there, a right that is missing: no words about the recipient.
        if result["result"] not in {_SUCCESS, _SIZE_LIMIT_EXCEEDED}:
            raise LookupTrouble(f"the directory answers {result['description']}")
        return found

    def _connect(self) -> Any:
        # A new one each time: it keeps addresses for minutes, those that did not answer once included.
        server = self._ldap.Server(
            self._place.host,
            self._place.port,
            use_ssl=self._place.tls == "implicit",
            tls=self._tls,
            get_info=self._ldap.NONE,
            connect_timeout=_CONNECT_SECONDS,
        )
        connection = self._ldap.Connection(
            server,
            user=self._place.user or None,
            password=self._place.password or None,
            auto_referrals=False,
            receive_timeout=_ANSWER_SECONDS,
            read_only=True,
        )
        try:
            if self._place.tls == "starttls" and not connection.start_tls():
                raise LookupTrouble("the directory does not start TLS")
            if not connection.bind():
                raise LookupTrouble(f"the directory refuses the bind: {connection.result['description']}")
        except BaseException:
            self._close(connection)
            raise
        return connection

    def _close(self, connection: Any) -> None:
        """Never raises."""
        with suppress(self._errors.LDAPExceptionError, OSError):
            connection.unbind()

    def _is_lost(self, _: Any, error: Exception) -> bool:
        return isinstance(error, (self._errors.LDAPCommunicationError, OSError))
