"""``[tls]`` and ``[[listen]]``: where clients come in, and how."""

from pathlib import Path

from msgspec import Struct

from smtpgw.config import values as values
from smtpgw.config.durations import show
from smtpgw.config.endpoint import Endpoint, parse_endpoint
from smtpgw.config.schema import ListenConfig, ListenTls, RelayConfig, Role, SniConfig, TlsConfig, TlsVersion
from smtpgw.config.table import Table
from smtpgw.config.tls import check_authorities, check_certificate
from smtpgw.model.network import Network


class ListenTerms(Struct, frozen=True):
    """
    What the rest of the configuration means for its listeners.

    :ivar anybody_could_log_in: there are users, right or wrong, or there is a check of tokens. A client's certificate
        alone is nobody: it must name a user.
    """

    tls: TlsConfig
    relay: RelayConfig
    anybody_could_log_in: bool

    @property
    def offered(self) -> ListenTls:
        """``[[listen]] tls`` where a listener says nothing."""
        return ListenTls.OFF if self.tls.certificate is None else ListenTls.STARTTLS


def read_tls(table: Table, folder: Path) -> TlsConfig:
    """``[tls]``. Reads the files. :param folder: what their paths are relative to."""
    path = values.path_in(folder)
    with table:
        certificate, key = _read_pair(table, folder)
        minimum = table.one("minimum", values.member(TlsVersion), TlsConfig().minimum)
        ca = table.one("ca", path, None)
        client_ca = table.one("client_ca", path, None)
        for name, authorities in (("ca", ca), ("client_ca", client_ca)):
            trouble = authorities and check_authorities(authorities)
            if trouble:
                table.error(name, trouble)
        for name in ("client_ca", "sni"):
            if name in table and "certificate" not in table and not table.is_empty(name):
                table.error(name, "without a certificate of [tls] itself no listener offers TLS")
        return TlsConfig(certificate, key, minimum, ca, client_ca, _read_sni(table, folder))


def _read_pair(table: Table, folder: Path) -> tuple[Path | None, Path | None]:
    path = values.path_in(folder)
    certificate = table.one("certificate", path, None)
    key = table.one("key", path, certificate)
    if certificate is None and key is not None:
        if "certificate" not in table:
            table.error("key", "a key without a certificate")
    elif certificate is not None and key is not None:
        for name, text in check_certificate(certificate, key):
            table.error(name if name in table else "certificate", text)
    return certificate, key


def _read_sni(tls: Table, folder: Path) -> tuple[SniConfig, ...]:
    seen: set[str] = set()
    found = []
    for table in tls.tables("sni"):
        with table:
            name = table.needed("name", values.domain_name, "")
            if name in seen:
                table.error("name", f"{show(name)} stands in another [[tls.sni]], too")
            if name:
                seen.add(name)
            certificate, key = _read_pair(table, folder)
            if "certificate" not in table and "key" not in table:
                table.error("certificate", "is missing")
            if certificate is not None and key is not None:
                found.append(SniConfig(name, certificate, key))
    return tuple(found)


def read_listeners(root: Table, terms: ListenTerms) -> tuple[ListenConfig, ...]:
    """``[[listen]]``; the default one where there is none."""
    tables = root.tables("listen")
    if not tables and root.is_empty("listen"):
        root.error("listen", "without a listener there is nothing to do; leave it out for the default one")
    if not tables:
        return (ListenConfig(tls=terms.offered, relay_networks=terms.relay.networks),)
    places: set[tuple[str, ...]] = set()
    return tuple(_read_listener(table, places, terms) for table in tables)


def _read_listener(table: Table, places: set[tuple[str, ...]], terms: ListenTerms) -> ListenConfig:
    with table:
        endpoint = Endpoint("", None)

        def parsed(value: object) -> str:
            nonlocal endpoint
            endpoint = parse_endpoint(value)
            return values.text(value)

        description = table.needed("endpoint", parsed, "")
        if endpoint.place in places:
            table.error("endpoint", f"{show(description)} is the endpoint of another listener, too")
        if endpoint.place is not None:
            places.add(endpoint.place)
        role = table.one("role", values.member(Role), Role.MX)
        tls = table.one("tls", values.member(ListenTls), terms.offered)
        if tls is not ListenTls.OFF and terms.tls.certificate is None:
            table.error("tls", f"'{tls.value}' needs a certificate in [tls]")
        relay_default = () if role is Role.SUBMISSION else terms.relay.networks
        relay_networks = table.many("relay_networks", values.network, relay_default)
        if role is Role.SUBMISSION and relay_networks:
            table.error(
                "relay_networks", "nobody sends through a submission listener without a login; use role 'relay'"
            )
        return ListenConfig(
            endpoint=description,
            role=role,
            tls=tls,
            relay_networks=relay_networks,
            proxy_protocol=_read_trusted(table, "proxy_protocol", endpoint),
            xclient=_read_trusted(table, "xclient", endpoint),
            auth=_read_auth(table, role, tls, terms),
        )


def _read_trusted(table: Table, key: str, endpoint: Endpoint) -> tuple[Network, ...]:
    """Networks whose word for the client's address is taken."""
    networks = table.many(key, _trusted_network, ())
    if networks and endpoint.kind == "unix":
        table.error(key, "clients of a Unix socket have no address that could be in a network")
    if networks and endpoint.kind == "haproxy" and key == "proxy_protocol":
        table.error(key, "the endpoint 'haproxy:' reads the same header itself; write it without 'haproxy:'")
    return networks


def _trusted_network(value: object) -> Network:
    network = values.network(value)
    if not network.prefixlen:
        text = "is everybody, and whoever comes could claim to be 127.0.0.1 and relay; name the proxies alone"
        raise ValueError(f"{show(value)} {text}")
    return network


def _read_auth(table: Table, role: Role, tls: ListenTls, terms: ListenTerms) -> bool:
    auth = table.one("auth", values.flag, role is Role.SUBMISSION)
    if not auth:
        if role is Role.SUBMISSION:
            table.error("auth", "nobody could send: a submission listener takes mail after a login alone")
        return False
    cause = "auth" if "auth" in table else "role"
    if tls is ListenTls.OFF:
        needs = "a certificate in [tls]" if terms.tls.certificate is None else "a 'tls' that is not 'off'"
        table.error("tls" if "tls" in table else cause, f"AUTH is offered under TLS only, and needs {needs}")
    if not terms.anybody_could_log_in:
        table.error(cause, "nobody could log in: there is neither a [[user]] nor auth.tokens")
    return auth
