"""
Certificates for tests and the demo: self-signed, or of an authority made on the spot. Never for anything else: the keys
are made in memory, and the certificates are valid for thirty years.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from msgspec import Struct
from twisted.internet.ssl import CertificateOptions, KeyPair, PrivateCertificate

_VALID_FROM = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
_VALID_UNTIL = dt.datetime(2049, 12, 31, tzinfo=dt.UTC)


class PemPair(Struct, frozen=True):
    """A certificate (with its chain behind it) and its key, as in files."""

    certificate: bytes
    key: bytes

    def server_options(self) -> CertificateOptions:
        """For ``startTLS`` and ``listenSSL``."""
        certificate = PrivateCertificate.fromCertificateAndKeyPair(
            PrivateCertificate.loadPEM(self.certificate + self.key), KeyPair.load(self.key, 1)
        )
        options: CertificateOptions = certificate.options()
        return options


def self_signed(*names: str) -> PemPair:
    """A certificate for these host names that nobody vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    return _pair(_build(names[0], names, key.public_key(), names[0], key, is_authority=False), key)


class Authority:
    """
    Vouches for host names.

    :ivar certificate: PEM, for those who are to trust it.
    """

    def __init__(self, name: str = "smtpgw test authority") -> None:
        self._name = name
        self._key = ec.generate_private_key(ec.SECP256R1())
        root = _build(name, (), self._key.public_key(), name, self._key, is_authority=True)
        self.certificate = root.public_bytes(serialization.Encoding.PEM)

    def issue(self, *names: str) -> PemPair:
        """A certificate for these host names."""
        key = ec.generate_private_key(ec.SECP256R1())
        return _pair(_build(names[0], names, key.public_key(), self._name, self._key, is_authority=False), key)


def _build(
    subject: str, names: tuple[str, ...], public_key: Any, issuer: str, issuer_key: Any, *, is_authority: bool
) -> x509.Certificate:
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject[:64])]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer[:64])]))
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(_VALID_FROM)
        .not_valid_after(_VALID_UNTIL)
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        # Without these Python 3.13 and newer, which check strictly, refuse the chain.
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        .add_extension(_usage(is_authority=is_authority), critical=True)
    )
    if names:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False
        )
    return builder.sign(issuer_key, hashes.SHA256())


def _usage(*, is_authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        encipher_only=False,
        decipher_only=False,
    )


def _pair(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> PemPair:
    return PemPair(
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )
