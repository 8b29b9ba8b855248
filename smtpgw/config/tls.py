"""Whether the files of ``[tls]`` can be used, asked of the same library that will use them."""

import ssl
from pathlib import Path

_LARGEST_FILE_OCTETS = 16 * 2**20


def check_certificate(certificate: Path, key: Path) -> list[tuple[str, str]]:
    """
    All that is wrong with a certificate chain and its key: which key of ``[tls]``, and why.

    Reads both files: blocks for a moment.
    """
    troubles: list[tuple[str, str]] = []
    for name, path, mark in (("certificate", certificate, "CERTIFICATE-----"), ("key", key, "PRIVATE KEY-----")):
        trouble = _check_pem(path, mark)
        if trouble and trouble not in (told for _, told in troubles):
            troubles.append((name, trouble))
    if troubles:
        return troubles
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # Without the callback OpenSSL would ask for the key's password on the terminal.
        context.load_cert_chain(certificate, key, password=_no_password)
    except ValueError:
        return [("key", f"{key} is encrypted; a gateway that starts by itself can't ask for the password")]
    except OSError as error:
        reason = error.reason if isinstance(error, ssl.SSLError) else error.strerror
        if reason == "KEY_VALUES_MISMATCH":
            return [("key", f"{key} is not the key of {certificate}")]
        return [("certificate", f"{certificate} and {key} can't be used: {reason}")]
    return []


def check_authorities(path: Path) -> str | None:
    """What is wrong with a file of certificates to trust."""
    trouble = _check_pem(path, "CERTIFICATE-----")
    if trouble:
        return trouble
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except OSError as error:
        reason = error.reason if isinstance(error, ssl.SSLError) else error.strerror
        return f"{path} can't be used: {reason}"
    return None


def _check_pem(path: Path, mark: str) -> str | None:
    try:
        with path.open("rb") as stream:
            content = stream.read(_LARGEST_FILE_OCTETS)
    except OSError as error:
        return f"{path} can't be read: {error.strerror}"
    if mark.encode() not in content:
        return f"{path} has no '-----BEGIN ... {mark}' in it: not a PEM file of that kind"
    return None


def _no_password() -> str:
    raise ValueError
