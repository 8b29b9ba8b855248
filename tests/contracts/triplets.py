"""What every store of triplets promises."""

# mypy: no-check-untyped-defs

from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.boundaries.triplets import Triplet
from tests.policy.rig import START, Rig

if TYPE_CHECKING:
    _Case = SynchronousTestCase
else:
    _Case = object  # so that trial does not run the mixin by itself


def key(number: int) -> bytes:
    """Of sixteen octets."""
    return number.to_bytes(16, "big")


def triplet(number: int = 0, expires: float = 3600.0) -> Triplet:
    """:param expires: seconds from the start on."""
    return Triplet(START + number, START + number, number % 2, START + expires)


class TripletsContract(_Case):
    """Mixin for ``SynchronousTestCase``: implement :meth:`make_triplets`."""

    rig: Rig

    def make_triplets(self, most):
        """
        An empty store at ``START``.

        :param most: triplets, with a hundredth or a thousand more for a while.
        """
        raise NotImplementedError

    def got(self, triplets, *keys):
        """What is found, at once or later."""
        known = triplets.get(keys)
        if isinstance(known, tuple):
            return known

        async def wait():
            return await known

        return self.successResultOf(Deferred.fromCoroutine(wait()))

    def setUp(self) -> None:
        self.rig = Rig()

    def test_contract_found(self):
        """What was put is found under its key and no other, in the order of the question."""
        triplets = self.make_triplets(100)
        self.assertEqual(self.got(triplets, key(1), key(2)), (None, None))
        triplets.put(key(1), triplet(1))
        triplets.put(key(3), triplet(3))
        self.assertEqual(self.got(triplets, key(3), key(2), key(1), key(3)), (triplet(3), None, triplet(1), triplet(3)))
        self.assertEqual(self.got(triplets), ())

    def test_contract_replaced(self):
        """The last one that was put under a key is the one that is there."""
        triplets = self.make_triplets(100)
        for number in range(5):
            triplets.put(key(1), triplet(number))
            self.assertEqual(self.got(triplets, key(1)), (triplet(number),))

    def test_contract_expired(self):
        """What has expired is not there, and may be put again."""
        triplets = self.make_triplets(100)
        triplets.put(key(1), triplet(1, expires=60))
        self.rig.clock.advance(59)
        self.assertEqual(self.got(triplets, key(1)), (triplet(1, expires=60),))
        self.rig.clock.advance(1)
        self.assertEqual(self.got(triplets, key(1)), (None,))
        triplets.put(key(1), triplet(2, expires=600))
        self.assertEqual(self.got(triplets, key(1)), (triplet(2, expires=600),))

    def test_contract_bounded(self):
        """Of a flood of strangers the first are dropped; those that are remembered for longer stay."""
        triplets = self.make_triplets(100)
        for number in range(10):
            triplets.put(key(1_000_000 + number), triplet(1, expires=36 * 86400))
        for number in range(5000):
            triplets.put(key(number), triplet(number, expires=600 + number / 10))
        self.assertEqual(self.got(triplets, key(0)), (None,))
        self.assertEqual(self.got(triplets, key(4999)), (triplet(4999, expires=600 + 499.9),))
        for number in range(10):
            self.assertIsNotNone(self.got(triplets, key(1_000_000 + number))[0])

    def test_contract_close(self):
        """Closing ends."""
        triplets = self.make_triplets(100)
        triplets.put(key(1), triplet(1))
        self.successResultOf(Deferred.fromCoroutine(triplets.close()))
