"""RFC 6152: 8BITMIME."""

# mypy: no-check-untyped-defs

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.model.envelope import BodyType
from smtpgw.model.outcome import Relayed
from smtpgw.model.route import TlsNeed
from tests.clauses import does_not_hold, holds
from tests.rfc.talk import ENVELOPE, Talk, codes
from tests.smtp.test_conversation import Receiver, Stage, converse, make_job

_EIGHT_BITS = b"Subject: x\r\n\r\n" + bytes(range(128, 256)) + b"\r\n"


class ServerTests(SynchronousTestCase):
    """Sections 2 and 3."""

    @holds("6152", "2", "8BITMIME is offered, without parameters.")
    def test_offer(self):
        """To everybody."""
        self.assertEqual(Talk().offers()["8BITMIME"], "")

    @holds("6152", "2", "BODY is 7BIT or 8BITMIME, in any case.")
    def test_values(self):
        """Anything else is refused."""
        for value, code in (("7BIT", 250), ("8BITMIME", 250), ("8bitMime", 250), ("9BIT", 501), ("", 501)):
            self.assertEqual(Talk().greet().codes(f"MAIL FROM:<> BODY={value}"), [code], value)
        self.assertEqual(Talk().greet().codes("MAIL FROM:<> BODY"), [501])

    @holds("6152", "3", "Without BODY the content is taken for 7 bit.")
    def test_default(self):
        """Octets above 127 are kept all the same."""
        for parameter, body in (
            ("", BodyType.SEVEN_BIT),
            (" BODY=7BIT", BodyType.SEVEN_BIT),
            (" BODY=8BITMIME", BodyType.EIGHT_BIT),
        ):
            talk = Talk().greet()
            talk.say(ENVELOPE[0] + parameter, ENVELOPE[1], "DATA")
            self.assertEqual(codes(talk.raw(_EIGHT_BITS + b".\r\n")), [250])
            [message] = talk.messages
            self.assertEqual((message.envelope.body, message.content), (body, _EIGHT_BITS))


class ClientTests(SynchronousTestCase):
    """Section 3."""

    def sent(self, body, *keywords):
        """The MAIL command and the content that a host got."""
        stage = Stage(TlsNeed.OFF, make_job(content=_EIGHT_BITS, body_type=body))
        receiver = Receiver(*keywords)
        converse(stage, receiver)
        self.assertIsInstance(stage.outcomes[0][0], Relayed)
        [(mail, _, content)] = receiver.messages
        return mail, content

    @does_not_hold(
        "6152",
        "3",
        "As a client, 8-bit content is converted or returned where the host does not offer 8BITMIME.",
        "It is sent as it is: a conversion breaks signatures, and hosts that can't take it are all but extinct.",
    )
    def test_old_host(self):
        """No BODY, and every octet."""
        mail, content = self.sent(BodyType.EIGHT_BIT)
        self.assertNotIn(b"BODY", mail)
        self.assertTrue(content.endswith(_EIGHT_BITS))

    @holds("6152", "3", "As a client, nothing is said of BODY where the content was not declared as 8BITMIME.")
    def test_undeclared(self):
        """It goes on as it came."""
        mail, content = self.sent(BodyType.SEVEN_BIT, "8BITMIME")
        self.assertNotIn(b"BODY", mail)
        self.assertTrue(content.endswith(_EIGHT_BITS))

    @holds("6152", "3", "As a client, no octet of declared content is changed on its way.")
    def test_declared(self):
        """BODY=8BITMIME, and every octet."""
        mail, content = self.sent(BodyType.EIGHT_BIT, "8BITMIME")
        self.assertTrue(mail.endswith(b" BODY=8BITMIME"))
        self.assertTrue(content.endswith(_EIGHT_BITS))
