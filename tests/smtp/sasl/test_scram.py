"""Tests for SCRAM."""

# Steps of one kind are taken for granted, as the dialogue has them.
# mypy: no-check-untyped-defs

from base64 import b64decode
from functools import partial

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.boundaries.auth import Challenge
from smtpgw.smtp.sasl.mechanism import Malformed, Proven, Rejected
from smtpgw.smtp.sasl.scram import Scram, ScramKeys, derive_keys, unescaped_name
from tests.clauses import holds
from tests.smtp.sasl.garbage import GarbageContract
from tests.smtp.sasl.scram_client import ScramClient

SALT = b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
NONCE = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
KEYS = derive_keys("sha256", b"pencil", SALT, 4096)
DECOY = ScramKeys(b"s" * 16, 4096, b"k" * 32, b"k" * 32)
EXPORTED = b"e" * 32


def find_keys(name):
    """Only one user is known."""
    return KEYS if name == "user" else DECOY


def binding(kind):
    """Of a connection with TLS 1.3."""
    return EXPORTED if kind == "tls-exporter" else None


make_unbound = partial(Scram, "sha256", find_keys, NONCE, None)
make_bound = partial(Scram, "sha256", find_keys, NONCE, binding)


class VectorTests(SynchronousTestCase):
    """The examples of the standards, octet by octet."""

    def walk(self, scram, *exchanged):
        """Client and server by turns."""
        for message, answer in zip(exchanged[::2], exchanged[1::2], strict=True):
            self.assertEqual(scram.respond(message), Challenge(answer))
        self.assertEqual(scram.respond(b""), Proven("user"))

    @holds("7677", "3", "The example of SCRAM-SHA-256 is understood and answered to the octet.")
    def test_sha_256(self):
        """SCRAM-SHA-256."""
        self.walk(
            make_unbound(),
            b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
            b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
            b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
        )

    @holds("5802", "5", "The example is understood and answered to the octet.")
    def test_sha_1(self):
        """The same with the older hash, which is never offered."""
        keys = derive_keys("sha1", b"pencil", b64decode("QSXCR+Q6sek8bf92"), 4096)
        self.walk(
            Scram("sha1", lambda name: keys, "3rfcNHYJY1ZVvWVs7j", None),
            b"n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
            b"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
            b"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
            b"v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
        )


class ScramTests(GarbageContract, SynchronousTestCase):
    """Without channel binding."""

    samples = (
        b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
        b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
        b"",
    )

    def make_mechanism(self):
        """Unbound."""
        return make_unbound()

    def log_in(self, client, scram=None):
        """How it ends."""
        scram = scram or make_unbound()
        step = scram.begin(client.first())
        if isinstance(step, Challenge):
            step = scram.respond(client.last(step.octets))
        if isinstance(step, Challenge):
            self.assertEqual(step.octets, client.verifier)
            step = scram.respond(b"")
        return step

    def test_right(self):
        """Whoever knows the password gets in."""
        self.assertEqual(self.log_in(ScramClient("user", "pencil")), Proven("user"))

    @holds("5802", "5.1", "An authorization identity that is the user's own is accepted.")
    def test_authorization(self):
        """One's own name, in any case; no other."""
        self.assertEqual(self.log_in(ScramClient("user", "pencil", "n,a=USER,")), Proven("user"))
        self.assertEqual(
            self.log_in(ScramClient("user", "pencil", "n,a=root,")), Rejected("user", "foreign authorization identity")
        )

    def test_wrong(self):
        """A wrong password fails at the proof."""
        self.assertEqual(self.log_in(ScramClient("user", "pen")), Rejected("user", "wrong password"))

    def test_unknown(self):
        """An unknown name gets a challenge as all the others, and fails at the proof."""
        self.assertEqual(self.log_in(ScramClient("nobody", "pencil")), Rejected("nobody", "wrong password"))

    def test_initial(self):
        """The client speaks first."""
        self.assertEqual(make_unbound().begin(None), Challenge(b""))

    def test_other_nonce(self):
        """A proof that was made for another challenge is worth nothing, in the same words of 535."""
        client = ScramClient("user", "pencil")
        scram = make_unbound()
        challenge = scram.begin(client.first())
        other = challenge.octets.replace(b"r=rOp", b"r=rOq")
        self.assertEqual(scram.respond(client.last(other)), Rejected("user", "another nonce"))

    def test_replayed(self):
        """What was heard on another connection proves nothing: the nonce is ours, too."""
        client = ScramClient("user", "pencil")
        last = client.last(make_unbound().begin(client.first()).octets)
        scram = Scram("sha256", find_keys, "other", None)
        scram.begin(client.first())
        self.assertIsInstance(scram.respond(last), Rejected)

    def test_something_behind(self):
        """The last response is empty, or nobody gets in."""
        client = ScramClient("user", "pencil")
        scram = make_unbound()
        scram.respond(client.last(scram.begin(client.first()).octets))
        self.assertIsInstance(scram.respond(b"x"), Malformed)
        self.assertIsInstance(scram.respond(b""), Malformed)

    @holds("5802", "5.1", "A mandatory extension, which nobody knows, fails.")
    def test_mandatory(self):
        """m= in front is refused; optional extensions behind are not."""
        self.assertIsInstance(make_unbound().begin(b"n,,m=x,n=user,r=abc"), Malformed)
        self.assertIsInstance(make_unbound().begin(b"n,,n=user,r=abc,x=y"), Challenge)

    def test_malformed(self):
        """Nonsense."""
        for message in (
            b"",
            b"n,,",
            b"n,n=user,r=abc",
            b"x,,n=user,r=abc",
            b"n,,n=,r=abc",
            b"n,,n=user,r=",
            b"n,,r=abc,n=user",
            b"n,,n=user,r=a\0c",
            b"n,,n=user,r=a c",
            b"n,,n=\xff,r=abc",
            b"n,,n=user,r=" + b"a" * 513,
            b"p=tls-exporter,,n=user,r=abc",
        ):
            self.assertIsInstance(make_unbound().begin(message), Malformed, message)

    def test_malformed_proof(self):
        """Nonsense in the second message."""
        for message in (
            b"",
            b"c=biws",
            b"c=biws,r=x,p=",
            b"c=b,r=x,p=AAAA",
            b"c=biws,r=x,p=AAAA",
            b"c=biws,p=AAAA,r=x",
        ):
            scram = make_unbound()
            scram.begin(b"n,,n=user,r=abc")
            self.assertIsInstance(scram.respond(message), Malformed, message)

    @holds("5802", "5.1", "=2C and =3D stand for comma and equals sign in a name; another = makes it invalid.")
    def test_names(self):
        """Escapes."""
        self.assertEqual(unescaped_name("a=2Cb=3Dc"), "a,b=c")
        self.assertEqual(unescaped_name("a=3D2C"), "a=2C")
        for text in ("a=b", "a=", "=2c", "=3D=", "\x07", "u" * 256):
            self.assertIsNone(unescaped_name(text), text)


class BoundTests(ScramTests):
    """With channel binding."""

    samples = (b"p=tls-exporter,,n=user,r=rOprNGfwEbeRWgbNEkqO", b"c=biws,r=x,p=AAAA", b"")

    def make_mechanism(self):
        """Bound."""
        return make_bound()

    def bound(self, header="p=tls-exporter,,", octets=EXPORTED):
        """How a login with that binding ends."""
        return self.log_in(ScramClient("user", "pencil", header, octets), make_bound())

    @holds("9266", "2", "tls-exporter binds a login to its connection.")
    def test_bound(self):
        """Whoever has the same connection gets in."""
        self.assertEqual(self.bound(), Proven("user"))
        self.assertEqual(self.bound("p=tls-exporter,a=user,"), Proven("user"))

    @holds("5802", "6", "A login over another connection than the client's fails.")
    def test_other_connection(self):
        """Somebody between the two has two connections, and can't log in."""
        self.assertEqual(self.bound(octets=b"x" * 32), Rejected("user", "bound to another connection"))
        self.assertEqual(self.bound(octets=b""), Rejected("user", "bound to another connection"))

    @holds("5802", "6", "A binding of an unknown type fails.")
    def test_types(self):
        """What the connection has not, or we don't know."""
        for header in ("p=tls-unique,,", "p=tls-server-end-point,,", "p=x,,"):
            self.assertEqual(self.bound(header), Rejected("user", "no channel binding of that type"))

    def test_not_bound(self):
        """The -PLUS mechanism without a binding is nonsense."""
        for header in ("n,,", "y,,"):
            self.assertIsInstance(self.bound(header), Malformed)

    @holds("5802", "6", "A client that believes that we can't bind has been deceived: its login fails.")
    def test_downgraded(self):
        """Only where the -PLUS mechanism is offered."""
        client = ScramClient("user", "pencil", "y,,")
        self.assertEqual(self.log_in(client, make_unbound()), Proven("user"))
        self.assertIsInstance(self.log_in(client, make_unbound(offers_binding=True)), Rejected)
        plain = ScramClient("user", "pencil", "n,,")
        self.assertEqual(self.log_in(plain, make_unbound(offers_binding=True)), Proven("user"))
