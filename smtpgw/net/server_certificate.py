"""Certificate files: our own, read with clear words when they can't be used, and whom a client's certificate names."""

import contextlib
import datetime as dt
import ipaddress
import os
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from OpenSSL import SSL

from smtpgw.net.tls import TlsTrouble, openssl_reason

_MAX_SUBJECTS = 32
_MAX_SUBJECT = 320
"""As many names of a certificate are looked at, and as long: a mail address has 64 and 255 octets, and ``@``."""


def use_pair(context: SSL.Context, certificate_path: str, key_path: str) -> None:
    """
    Read our certificate and key into a context.

    :param certificate_path: PEM: our certificate, then those that lead to its authority.
    :param key_path: PEM, not encrypted.
    :raises TlsTrouble: a file can't be read, isn't what it should be, or they don't belong together.
    """
    _check_pair(certificate_path, key_path)
    try:
        context.use_certificate_chain_file(certificate_path)
    except SSL.Error as trouble:
        raise TlsTrouble(f"{certificate_path}: not usable: {openssl_reason(trouble)}") from trouble
    try:
        context.use_privatekey_file(key_path)
        context.check_privatekey()
    except SSL.Error as trouble:
        raise TlsTrouble(f"{key_path}: not usable: {openssl_reason(trouble)}") from trouble


def use_client_ca(context: SSL.Context, ca_path: str) -> None:
    """
    Read those who may certify clients.

    :raises TlsTrouble: the file can't be read or holds no certificate.
    """
    try:
        x509.load_pem_x509_certificates(_read(ca_path))
    except ValueError as trouble:
        raise TlsTrouble(f"{ca_path}: no certificate in PEM form") from trouble
    try:
        context.load_verify_locations(ca_path)
        # Clients with several certificates choose by these names.
        context.load_client_ca(os.fsencode(ca_path))
    except SSL.Error as trouble:
        raise TlsTrouble(f"{ca_path}: not usable: {openssl_reason(trouble)}") from trouble


def subjects_of(certificate: x509.Certificate) -> tuple[str, ...]:
    """
    Whom a verified certificate names: mail addresses, DNS names, then the common name.

    Names that are not printable or too long are left out, as is all of an extension that can't be read.
    """
    found: list[str] = []
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        found += names.get_values_for_type(x509.RFC822Name)
        found += names.get_values_for_type(x509.DNSName)
    except (x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType, ValueError):
        pass
    with contextlib.suppress(ValueError):
        found += [str(attribute.value) for attribute in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    usable = (name for name in found if name and len(name) <= _MAX_SUBJECT and name.isprintable())
    return tuple(dict.fromkeys(usable))[:_MAX_SUBJECTS]


def _check_pair(certificate_path: str, key_path: str) -> None:
    """Before OpenSSL sees the files: its words are hard to understand, and it would ask for a passphrase."""
    try:
        certificates = x509.load_pem_x509_certificates(_read(certificate_path))
        certified = certificates[0].public_key()
    except (ValueError, UnsupportedAlgorithm) as trouble:
        raise TlsTrouble(f"{certificate_path}: no certificate in PEM form") from trouble
    try:
        key = serialization.load_pem_private_key(_read(key_path), None)
    except TypeError as trouble:
        raise TlsTrouble(f"{key_path}: the key is encrypted, and nobody is there to be asked") from trouble
    except (ValueError, UnsupportedAlgorithm) as trouble:
        raise TlsTrouble(f"{key_path}: no private key in PEM form") from trouble
    if _public_octets(certified) != _public_octets(key.public_key()):
        raise TlsTrouble(f"{key_path}: not the key of the certificate in {certificate_path}")


def _public_octets(key: object) -> bytes:
    encode = getattr(key, "public_bytes", None)
    if encode is None:
        return b""
    octets: bytes = encode(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return octets


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as trouble:
        raise TlsTrouble(f"{path}: {trouble.strerror or trouble}") from trouble


def self_signed(hostname: str, directory: str) -> tuple[str, str]:
    """
    A certificate with a P-256 key for tests and the demo, written to ``certificate.pem`` and ``key.pem``.

    It is valid from 2020 to the end of 2049, so that it needs no clock.

    :param hostname: name or IP address to stand in it.
    :returns: the paths of certificate and key.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hostname[:64])])
    try:
        alternative: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(hostname))
    except ValueError:
        alternative = x509.DNSName(hostname)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(dt.datetime(2020, 1, 1, tzinfo=dt.UTC))
        .not_valid_after(dt.datetime(2049, 12, 31, tzinfo=dt.UTC))
        .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate_path = Path(directory) / "certificate.pem"
    key_path = Path(directory) / "key.pem"
    certificate_path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_path.touch(mode=0o600)
    key_path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return str(certificate_path), str(key_path)
