"""What every mechanism promises, whatever it is fed with."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.boundaries.auth import Challenge
from smtpgw.smtp.sasl.mechanism import Malformed, PasswordClaim, Proven, Rejected, TokenClaim

if TYPE_CHECKING:
    _Case = SynchronousTestCase
else:
    _Case = object  # so that trial does not run the mixin by itself

_PIECES = st.sampled_from(
    (
        *(
            b"\0",
            b"\1",
            b",",
            b"=",
            b"n,,",
            b"y,,",
            b"p=tls-exporter,,",
            b"n=user",
            b"r=abc",
            b"c=biws",
            b"p=",
            b"a=user,",
        ),
        *(b"user=", b"auth=Bearer ", b"user", b"secret", b"=2C", b"=3D", b"\xff", b"\xc3\xa9", b"\r\n", b"A" * 300),
    )
)
MESSAGES = st.one_of(st.binary(max_size=64), st.lists(_PIECES, max_size=10).map(b"".join))


class GarbageContract(_Case):
    """Mixin for ``SynchronousTestCase``: implement :meth:`make_mechanism`; ``samples`` are messages that make sense."""

    samples: Sequence[bytes] = ()

    def make_mechanism(self):
        """A new exchange."""
        raise NotImplementedError

    def test_contract_garbage(self):
        """Nothing that a client sends raises, gets in, or is answered with something without bounds."""

        @settings(max_examples=150, deadline=None)
        @given(st.lists(MESSAGES, min_size=1, max_size=5), st.booleans())
        def feed(messages, has_initial):
            mechanism = self.make_mechanism()
            if not has_initial:
                self.assertIsInstance(mechanism.begin(None), Challenge)
            for index, message in enumerate(messages):
                step = mechanism.begin(message) if has_initial and index == 0 else mechanism.respond(message)
                self.assertIsInstance(step, Challenge | PasswordClaim | TokenClaim | Rejected | Malformed)
                if isinstance(step, Challenge):
                    self.assertLess(len(step.octets), 2000)

        feed()

    def test_contract_bent(self):
        """A message that made sense and lost or got an octet raises nothing either."""

        @settings(max_examples=100, deadline=None)
        @given(st.data())
        def feed(data):
            mechanism = self.make_mechanism()
            for sample in self.samples:
                at = data.draw(st.integers(0, len(sample)))
                bent = sample[:at] + data.draw(st.binary(max_size=2)) + sample[at + data.draw(st.integers(0, 1)) :]
                step = mechanism.respond(bent)
                self.assertIsInstance(step, Challenge | PasswordClaim | TokenClaim | Rejected | Malformed | Proven)

        feed()

    def test_contract_huge(self):
        """A response of megabytes is refused, whatever it is made of."""
        for octet in (b"\0", b"a", b"\1", b",", b"=", b"\xff"):
            step = self.make_mechanism().begin(octet * 2_000_000)
            if isinstance(step, Challenge):
                step = self.make_mechanism().respond(octet * 2_000_000)
            self.assertNotIsInstance(step, PasswordClaim | TokenClaim | Proven)

    def test_contract_over(self):
        """An exchange that is over stays over."""
        mechanism = self.make_mechanism()
        for _ in range(5):
            mechanism.respond(b"\xff")
        for message in self.samples or (b"",):
            self.assertIsInstance(mechanism.respond(message), Malformed)
