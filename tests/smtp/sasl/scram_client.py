"""The other side of SCRAM."""

import hmac
from base64 import b64decode, b64encode
from hashlib import new as new_hash
from hashlib import pbkdf2_hmac


class ScramClient:
    """Makes the messages of one exchange."""

    def __init__(self, name, password, header="n,,", bound=b"", nonce="rOprNGfwEbeRWgbNEkqO", hash_name="sha256"):
        self._bare = f"n={name},r={nonce}"
        self._password = password.encode()
        self._header = header
        self._bound = bound
        self._hash = hash_name
        self.verifier = b""

    def first(self):
        """The first message."""
        return (self._header + self._bare).encode()

    def last(self, challenge):
        """The last message."""
        fields = dict(part.split("=", 1) for part in challenge.decode().split(","))
        salted = pbkdf2_hmac(self._hash, self._password, b64decode(fields["s"]), int(fields["i"]))
        client_key = hmac.digest(salted, b"Client Key", self._hash)
        bound = b64encode(self._header.encode() + self._bound).decode()
        unproven = f"c={bound},r={fields['r']}"
        exchanged = f"{self._bare},{challenge.decode()},{unproven}".encode()
        signature = hmac.digest(new_hash(self._hash, client_key).digest(), exchanged, self._hash)
        proof = b64encode(bytes(a ^ b for a, b in zip(client_key, signature, strict=True))).decode()
        server_key = hmac.digest(salted, b"Server Key", self._hash)
        self.verifier = b"v=" + b64encode(hmac.digest(server_key, exchanged, self._hash))
        return f"{unproven},p={proof}".encode()
