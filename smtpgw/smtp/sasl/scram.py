"""
SCRAM (RFC 5802, RFC 7677), with and without channel binding: the client proves that it knows the password without
showing it, and we prove that we know it too.

Of what the password was hashed to only salt, iterations and two keys are needed. Whoever asks for an unknown name is
given the same as everybody else, and fails at the end.
"""

import binascii
import hmac
import re
from base64 import b64decode, b64encode
from collections.abc import Callable
from hashlib import new as new_hash
from hashlib import pbkdf2_hmac

from msgspec import Struct

from smtpgw.boundaries.auth import Challenge, ChannelBinding
from smtpgw.smtp.sasl.mechanism import (
    EMPTY_CHALLENGE,
    FINISHED,
    MAX_NAME_OCTETS,
    TOO_LONG,
    Malformed,
    Mechanism,
    Proven,
    Rejected,
    SaslStep,
    prepared_name,
)

BINDINGS = frozenset({"tls-exporter", "tls-server-end-point"})
"""RFC 9266, RFC 5929. Not tls-unique: TLS 1.3 has none, and before that it is safe only with an extension."""

_MAX_OCTETS = 4096
_MAX_NONCE = 512

_GS2 = re.compile(r"(?:(?P<flag>[ny])|p=(?P<binding>[A-Za-z0-9.-]{1,64})),(?:a=(?P<authzid>[^,\0]{1,1024}))?,")
_CLIENT_FIRST = re.compile(r"n=(?P<name>[^,\0]{1,1024}),r=(?P<nonce>[!-+\x2d-~]{1,512})(?:,[A-Za-z]=[^,\0]+)*\Z")
_CLIENT_FINAL = re.compile(
    r"(?P<unproven>c=(?P<binding>[A-Za-z0-9+/=]+),r=(?P<nonce>[!-+\x2d-~]+)(?:,[A-Za-z]=[^,\0]+)*),p=(?P<proof>[A-Za-z0-9+/=]+)\Z"
)
_ESCAPES = re.compile(r"=(?:2C|3D)")


class ScramKeys(Struct, frozen=True, gc=False):
    """What is kept of a password (RFC 5802 section 3)."""

    salt: bytes
    iterations: int
    stored_key: bytes
    server_key: bytes


KeySource = Callable[[str], ScramKeys]
"""The keys of a prepared name; of one that does not exist some that look the same each time and fit no password."""


def derive_keys(hash_name: str, password: bytes, salt: bytes, iterations: int) -> ScramKeys:
    """The keys of a password. Blocks for as long as the iterations take."""
    salted = pbkdf2_hmac(hash_name, password, salt, iterations)
    client_key = hmac.digest(salted, b"Client Key", hash_name)
    return ScramKeys(
        salt, iterations, new_hash(hash_name, client_key).digest(), hmac.digest(salted, b"Server Key", hash_name)
    )


def unescaped_name(text: str) -> str | None:
    """A saslname (RFC 5802 section 5.1) as its text, prepared; ``None`` when it is none."""
    if "=" in text:
        if text.count("=") != len(_ESCAPES.findall(text)):
            return None
        text = text.replace("=2C", ",").replace("=3D", "=")
    octets = text.encode()
    return prepared_name(octets) if len(octets) <= MAX_NAME_OCTETS else None


class Scram(Mechanism):
    """One exchange: first message, proof, and an empty response to our own proof."""

    def __init__(
        self,
        hash_name: str,
        find_keys: KeySource,
        nonce: str,
        binding: ChannelBinding | None,
        offers_binding: bool = False,
    ) -> None:
        """
        :param hash_name: as hashlib knows it.
        :param nonce: our half: printable ASCII without commas, new each time.
        :param binding: of the -PLUS mechanism; ``None`` for the other.
        :param offers_binding: a client that can bind and believes that we can't has been deceived.
        """
        self._hash = hash_name
        self._find_keys = find_keys
        self._nonce = nonce
        self._binding = binding
        self._offers_binding = offers_binding
        self._take: Callable[[bytes], SaslStep] = self._take_first
        self._name = ""
        self._bound = b""
        self._exchanged = ""
        self._keys: ScramKeys | None = None

    def begin(self, initial: bytes | None) -> SaslStep:
        """The client speaks first."""
        return EMPTY_CHALLENGE if initial is None else self.respond(initial)

    def respond(self, response: bytes) -> SaslStep:
        """The next message."""
        take, self._take = self._take, _take_nothing
        return take(response) if len(response) <= _MAX_OCTETS else TOO_LONG

    def _take_first(self, message: bytes) -> SaslStep:
        text = _text(message)
        header = _GS2.match(text)
        bare = text[header.end() :] if header is not None else ""
        found = _CLIENT_FIRST.match(bare)
        if header is None or found is None:
            return Malformed("not a first message of SCRAM")
        name = unescaped_name(found["name"])
        if name is None:
            return Rejected("", "the name is no name")
        authzid = header["authzid"]
        if authzid is not None:
            other = unescaped_name(authzid)
            if other is None or other.lower() != name.lower():
                return Rejected(name, "foreign authorization identity")
        trouble = self._bind(header[0], header["flag"], header["binding"], name)
        if trouble is not None:
            return trouble
        self._name = name
        self._nonce = found["nonce"] + self._nonce
        self._keys = keys = self._find_keys(name)
        answer = f"r={self._nonce},s={b64encode(keys.salt).decode('ascii')},i={keys.iterations}"
        self._exchanged = f"{bare},{answer},"
        self._take = self._take_proof
        return Challenge(answer.encode("ascii"))

    def _bind(self, header: str, flag: str | None, wanted: str | None, name: str) -> SaslStep | None:
        """Keep what the client must repeat in its last message; or say why not (RFC 5802 section 6)."""
        self._bound = header.encode()
        if self._binding is None:
            if wanted is not None:
                return Malformed("channel binding in a mechanism without it")
            if flag == "y" and self._offers_binding:
                return Rejected(name, "somebody has hidden the -PLUS mechanisms from the client")
            return None
        if wanted is None:
            return Malformed("no channel binding in a -PLUS mechanism")
        octets = self._binding(wanted) if wanted in BINDINGS else None
        if octets is None:
            return Rejected(name, "no channel binding of that type")
        self._bound += octets
        return None

    def _take_proof(self, message: bytes) -> SaslStep:
        found = _CLIENT_FINAL.match(_text(message))
        keys = self._keys
        if found is None or keys is None:
            return Malformed("not a last message of SCRAM")
        bound, proof = _base64(found["binding"]), _base64(found["proof"])
        if bound is None or proof is None or len(proof) != len(keys.stored_key):
            return Malformed("not a last message of SCRAM")
        exchanged = (self._exchanged + found["unproven"]).encode()
        signature = hmac.digest(keys.stored_key, exchanged, self._hash)
        client_key = bytes(a ^ b for a, b in zip(signature, proof, strict=True))
        is_proven = hmac.compare_digest(new_hash(self._hash, client_key).digest(), keys.stored_key)
        is_bound = hmac.compare_digest(bound, self._bound)
        is_ours = hmac.compare_digest(found["nonce"], self._nonce)
        if not is_ours:
            return Rejected(self._name, "another nonce")
        if not is_bound:
            return Rejected(self._name, "bound to another connection")
        if not is_proven:
            return Rejected(self._name, "wrong password")
        self._take = self._take_last
        ours = hmac.digest(keys.server_key, exchanged, self._hash)
        return Challenge(b"v=" + b64encode(ours))

    def _take_last(self, message: bytes) -> SaslStep:
        return Malformed("something behind the last message of SCRAM") if message else Proven(self._name)


def _take_nothing(_message: bytes) -> SaslStep:
    return FINISHED


def _text(message: bytes) -> str:
    """Empty, which no message is, when it is no text."""
    try:
        return message.decode("utf-8")
    except UnicodeDecodeError:
        return ""


def _base64(text: str) -> bytes | None:
    try:
        return b64decode(text, validate=True)
    except binascii.Error:
        return None
