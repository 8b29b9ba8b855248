"""OpenDKIM, from its package: what it signs arrives with a signature that holds."""

# mypy: no-check-untyped-defs

import base64
import hashlib
import re

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding

from tests.integration.milters import MilterTestCase, OpenDkim

_CONTENT = (
    b"From: Alice\r\n <alice@example.test>\r\nTo: <bob@example.net>\r\nSubject:  two  blanks and a\r\n\tfolded line\r\n"
    b"Date: Fri, 15 Jan 2027 08:00:00 +0000\r\n\r\nThe body.\r\n.\r\n  Indented.\r\n\r\n\r\n"
)


class OpenDkimTests(MilterTestCase):
    """One OpenDKIM that signs for one domain."""

    def setUp(self):
        super().setUp()
        self.dkim = OpenDkim(self.folder)
        self.serve(self.dkim)

    async def test_signature_holds(self):
        """The signature field is there, and the message that leaves is the one that was signed."""
        for content in (_CONTENT, _CONTENT + b"0123456789" * 90 + b"\r\n" + b"line\r\n" * 60000):
            self.assertEqual((await self.submit(content)).code, 250)
            _, sent = self.house.kept()
            self.house.spool.entries.clear()
            self.assertTrue(sent.endswith(content))
            self.assertTrue(holds(sent, self.dkim.public_key))
            # The test is able to object.
            self.assertFalse(holds(sent.replace(b"two  blanks", b"three blanks"), self.dkim.public_key))
            self.assertFalse(holds(sent.replace(b"The body", b"A body"), self.dkim.public_key))

    async def test_other_domains(self):
        """What it does not sign passes as it came."""
        content = _CONTENT.replace(b"alice@example.test", b"alice@other.test")
        self.assertEqual((await self.submit(content)).code, 250)
        _, sent = self.house.kept()
        self.assertNotIn(b"DKIM-Signature", sent)
        self.assertTrue(sent.endswith(content))


def holds(message, public_key):
    """Verify a relaxed/simple rsa-sha256 signature (RFC 6376 section 6.1), as much of it as OpenDKIM's options need."""
    header, _, body = message.partition(b"\r\n\r\n")
    fields = [field.partition(b":")[::2] for field in re.split(rb"\r\n(?![ \t])", header)]
    [signature] = [value for name, value in fields if name.lower() == b"dkim-signature"]
    tags = {}
    for tag in signature.replace(b"\r\n", b"").split(b";"):
        name, _, value = tag.partition(b"=")
        tags[name.strip()] = re.sub(rb"[ \t]", b"", value)
    assert tags[b"c"] == b"relaxed/simple" and tags[b"a"] == b"rsa-sha256"
    body = re.sub(rb"(\r\n)*\Z", b"", body) + b"\r\n"
    if base64.b64encode(hashlib.sha256(body).digest()) != tags[b"bh"]:
        return False
    left = list(fields)
    signed = b""
    for name in tags[b"h"].lower().split(b":"):
        # From the last one up; a name that is not there is signed as nothing.
        for at in range(len(left) - 1, -1, -1):
            if left[at][0].lower() == name:
                signed += _relaxed(*left.pop(at)) + b"\r\n"
                break
    signed += _relaxed(b"dkim-signature", re.sub(rb"(;\s*b=)[^;]*", rb"\1", signature))
    key = serialization.load_der_public_key(base64.b64decode(public_key))
    try:
        key.verify(base64.b64decode(tags[b"b"]), signed, padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        return False
    return True


def _relaxed(name, value):
    return name.lower() + b":" + re.sub(rb"[ \t]+", b" ", value.replace(b"\r\n", b"")).strip()
