"""How long refusals wait."""

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.net.server_tarpit import Tarpit


class TarpitTests(SynchronousTestCase):
    """The more goes wrong, the longer the wait, up to a bound."""

    def test_growing(self) -> None:
        """Each refusal makes it longer, five times at most."""
        tarpit = Tarpit(2)
        self.assertEqual([tarpit.wait(0, 1) for _ in range(7)], [2, 4, 6, 8, 10, 10, 10])

    def test_errors(self) -> None:
        """Bad commands count once each, also when the session begins to count anew."""
        tarpit = Tarpit(1)
        self.assertEqual([tarpit.wait(errors, 0) for errors in (0, 1, 1, 3, 0, 1)], [0, 1, 0, 3, 0, 4])
