"""What a session remembers, and what it forgets."""

# Wrong types are handed in on purpose, and boundaries replaced.
# mypy: no-check-untyped-defs

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.smtp import replies
from smtpgw.smtp.framing import MAX_COMMAND_OCTETS
from smtpgw.smtp.session_rules import Phase
from tests.smtp.fakes import CoreDriver


class ForgettingTests(SynchronousTestCase):
    """What is over is gone."""

    def setUp(self):
        self.state = CoreDriver(errors=2).session

    def test_reset(self):
        """A transaction leaves nothing; where the session then stands depends on whether the client has a name."""
        self.state.mail = self.state.recipient = object()
        self.state.recipients = [object()]
        self.state.has_tried = self.state.is_full = self.state.facts.in_transaction = True
        self.state.reset()
        self.assertEqual((self.state.mail, self.state.recipient, self.state.recipients), (None, None, []))
        self.assertFalse(self.state.has_tried or self.state.is_full or self.state.facts.in_transaction)
        self.assertIs(self.state.phase, Phase.START)
        self.state.helo = "c"
        self.state.reset()
        self.assertIs(self.state.phase, Phase.READY)

    def test_close(self):
        """A closed session keeps no input and owes nothing."""
        self.state.is_owing = True
        self.state.receive(b"NOOP\r\n")
        self.assertEqual(self.state.buffered_octets, 6)
        self.state.close()
        self.state.receive(b"NOOP\r\n")
        self.assertEqual((self.state.buffered_octets, self.state.is_owing), (0, False))

    def test_exchange(self):
        """Behind an AUTH exchange lines are as short as ever."""
        self.state.phase = Phase.EXCHANGE
        self.state.commands.limit_octets = 12288
        self.state.end_exchange()
        self.assertEqual((self.state.phase, self.state.commands.limit_octets), (Phase.START, MAX_COMMAND_OCTETS))


class CountingTests(SynchronousTestCase):
    """Bad commands are counted."""

    def test_bad(self):
        """The last one is told why it is the last, and so is whoever listens."""
        driver = CoreDriver(errors=2)
        for _ in range(3):
            driver.session.bad(replies.SYNTAX_ERROR)
        encoded = [replies.encode(replies.SYNTAX_ERROR)] * 2 + [replies.encode(replies.TOO_MANY_ERRORS)]
        self.assertEqual(driver.session.output, encoded)
        self.assertEqual(driver.rejected, [("connect", replies.TOO_MANY_ERRORS, "")])
        self.assertIs(driver.session.phase, Phase.CLOSED)
