"""What a milter is told beside each command: macros, under the names that sendmail has given them."""

from smtpgw.model.address import Mailbox, path_text
from smtpgw.model.envelope import Client, MailFrom
from smtpgw.version import VERSION

Macros = tuple[tuple[bytes, str], ...]

LOOPBACK = Client("127.0.0.1", "localhost", "LOCAL", name="localhost")
"""Who milters are told has handed in what came by our own command: sendmail's way to say that it is no stranger."""


def of_connect(client: Client, hostname: str) -> Macros:
    """Who we are, and who has connected."""
    named = client.name or _literal(client)
    return (
        (b"j", hostname),
        (b"_", f"{named} {_literal(client)}" if client.name else named),
        (b"v", f"smtpgw {VERSION}"),
        (b"{daemon_name}", client.listener or "smtpgw"),
        (b"{client_name}", client.name or "unknown"),
        (b"{client_ptr}", client.name or "unknown"),
        (b"{client_addr}", client.address),
        (b"{client_port}", str(client.port)),
    )


def of_helo(client: Client) -> Macros:
    """The connection's TLS."""
    tls = client.tls
    if tls is None:
        return ()
    found = [(b"{tls_version}", tls.version), (b"{cipher}", tls.cipher), (b"{verify}", "OK" if tls.verified else "NO")]
    if tls.verified and tls.subjects:
        found.append((b"{cert_subject}", tls.subjects[-1]))
    return tuple(found)


def of_mail(client: Client, mail: MailFrom) -> Macros:
    """The sender, and who has logged in."""
    path = mail.reverse_path
    found = [(b"{mail_addr}", path_text(path)), (b"{mail_host}", "" if path is None else path.domain)]
    if client.identity is not None:
        found += [(b"{auth_authen}", client.identity), (b"{auth_type}", client.mechanism)]
    return tuple(found)


def of_rcpt(mailbox: Mailbox) -> Macros:
    """The recipient."""
    return ((b"{rcpt_addr}", str(mailbox)), (b"{rcpt_host}", mailbox.domain))


def of_content(queue_id: str) -> Macros:
    """The message's id."""
    return ((b"i", queue_id),)


def _literal(client: Client) -> str:
    return f"[{client.address}]"
