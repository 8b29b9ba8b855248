"""Keys and certificates for tests, made once for each run."""

from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@cache
def make_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: ec.EllipticCurvePrivateKey, password: bytes | None = None) -> bytes:
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if password:
        encryption = serialization.BestAvailableEncryption(password)
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)


@cache
def certificate_pem() -> bytes:
    """Self-signed, of :func:`make_key`."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mx.example")])
    now = datetime(2026, 1, 1, tzinfo=UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(make_key().public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=36500))
    )
    return builder.sign(make_key(), hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def write_pair(folder: Path) -> None:
    """``cert.pem`` and ``key.pem`` that fit, ``both.pem``, and what does not fit."""
    other = ec.generate_private_key(ec.SECP256R1())
    (folder / "cert.pem").write_bytes(certificate_pem())
    (folder / "key.pem").write_bytes(key_pem(make_key()))
    (folder / "both.pem").write_bytes(certificate_pem() + key_pem(make_key()))
    (folder / "other.pem").write_bytes(key_pem(other))
    (folder / "locked.pem").write_bytes(key_pem(make_key(), b"secret"))
    (folder / "broken.pem").write_bytes(certificate_pem()[:200] + b"\n-----END CERTIFICATE-----\n")
