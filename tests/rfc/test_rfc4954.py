"""RFC 4954: AUTH."""

# mypy: no-check-untyped-defs

from base64 import b64encode

from twisted.internet.interfaces import ISSLTransport
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import alsoProvides

from smtpgw.boundaries.auth import Challenge, LoggedIn, LoginRefused
from smtpgw.model.reply import reply
from smtpgw.model.route import TlsNeed
from smtpgw.smtp.extension import Facts
from tests.accounts.rig import HASHED, PASSWORD, UsersCase
from tests.clauses import does_not_hold, holds, holds_in_part
from tests.net.test_factory import TlsTransport
from tests.net.test_server_auth_driver import AuthCase
from tests.net.test_server_half_closed import StartTlsTransport
from tests.rfc.talk import ENVELOPE, Inside, codes
from tests.smtp.test_conversation import Stage, make_job

_WRONG = LoginRefused(reply(535, "5.7.8", "Authentication failed"), "wrong")
_PLAIN = "AUTH PLAIN " + b64encode(b"\0user\0secret").decode()


class ListenerCase(AuthCase):
    """A client inside TLS whose login goes as the test says."""

    def codes(self, *lines):
        """Of the replies."""
        return codes(self.client.send("".join(f"{line}\r\n" for line in lines).encode()).decode())

    def login(self, *steps):
        """The steps of the next exchange."""
        self.authenticator.steps = list(steps)


class OfferTests(ListenerCase):
    """Section 3."""

    @holds("4954", "3", "AUTH is offered with the names of its mechanisms, where there are any.")
    def test_offer(self):
        """In one line."""
        self.assertIn(b"AUTH SCRAM-SHA-256 PLAIN\r\n", self.client.send(b"EHLO c\r\n"))
        self.start(auth=False)
        self.assertNotIn(b"AUTH", self.client.send(b"EHLO c\r\n"))

    @holds("4954", "3", "A MAIL command that AUTH makes 500 octets longer is read.")
    def test_long_mail(self):
        """With the longest path."""
        self.client.greet()
        path = f"{'l' * 64}@{'.'.join(['d' * 60] * 3)}.exampl"
        mailbox = f"{'m' * 64}@{'.'.join(['d' * 60] * 3)}.exampl"
        self.assertEqual(self.codes(f"MAIL FROM:<{path}> AUTH={mailbox}"), [250])


class ExchangeTests(ListenerCase):
    """Section 4."""

    def setUp(self):
        super().setUp()
        self.client.greet()

    @holds("4954", "4", "A login that succeeds is 235; its mail is that of the one who has logged in.")
    def test_success(self):
        """The reception hears of whom."""
        self.assertEqual(self.codes(_PLAIN, ENVELOPE[0]), [235, 250])
        self.assertEqual(self.rig.reception.mails[0][0].identity, "user@example.com")

    @holds("4954", "4", "A second AUTH after success is 503.")
    def test_twice(self):
        """Also with another name."""
        self.login(LoggedIn("a"), LoggedIn("b"))
        self.assertEqual(self.codes(_PLAIN, _PLAIN), [235, 503])

    @holds("4954", "4", "AUTH in a transaction is 503.")
    def test_in_transaction(self):
        """And the transaction goes on."""
        self.assertEqual(self.codes(*ENVELOPE, _PLAIN, "DATA"), [250, 250, 503, 354])

    @holds("4954", "4", "A mechanism that is not offered is 504.")
    def test_unknown(self):
        """A known one, too."""
        self.assertEqual(self.codes("AUTH CRAM-MD5", "AUTH X", "AUTH EXTERNAL ="), [504] * 3)

    @holds("4954", "4", "Names of mechanisms are read in any case.")
    def test_case(self):
        """As all keywords."""
        self.assertEqual(self.codes(_PLAIN.replace("PLAIN", "pLaIn")), [235])

    @holds("4954", "4", "Challenges are 334 and base64; responses are base64, of any length up to 12,288 octets.")
    def test_challenge(self):
        """What is behind that is no command either."""
        self.login(Challenge(b"more?"), LoggedIn("u"))
        self.assertEqual(self.client.send(b"AUTH SCRAM-SHA-256\r\n"), b"334 bW9yZT8=\r\n")
        self.assertEqual(self.codes("YWFh" * 3000), [235])
        self.assertEqual(self.authenticator.exchanges[0].heard[1], b"aaa" * 3000)

    @holds("4954", "4", "A response that is too long ends the exchange with 500.")
    def test_too_long(self):
        """One reply, and commands are commands again."""
        self.login(Challenge(b""))
        self.assertEqual(self.codes("AUTH PLAIN", "YWFh" * 4000, "NOOP"), [334, 500, 250])

    @holds("4954", "4", "An asterisk ends the exchange with 501.")
    def test_cancelled(self):
        """And nobody is logged in."""
        self.login(Challenge(b""))
        self.assertEqual(self.codes("AUTH PLAIN", "*", ENVELOPE[0]), [334, 501, 250])
        self.assertIsNone(self.rig.reception.mails[0][0].identity)

    @holds("4954", "4", "What is not base64 is 501, as an initial response and as a later one.")
    def test_base64(self):
        """Strictly: no spaces, no missing or surplus padding, no foreign characters."""
        for text in ("YQ", "YQ===", "Y Q=", "YQ=!", "=YQ=", "ü"):
            self.login(Challenge(b""))
            self.assertEqual(self.codes("AUTH PLAIN", text), [334, 501], text)
            if " " not in text:
                self.assertEqual(self.codes(f"AUTH PLAIN {text}"), [501], text)

    @holds(
        "4954", "4", "An initial response of no octets is one equals sign; without any the first challenge is empty."
    )
    def test_initial(self):
        """Both are told from each other."""
        self.login(Challenge(b""))
        self.assertEqual(self.client.send(b"AUTH PLAIN\r\n"), b"334 \r\n")
        self.codes("*")
        self.login(Challenge(b""))
        self.codes("AUTH PLAIN =")
        self.assertEqual([exchange.heard for exchange in self.authenticator.exchanges], [[None], [b""]])

    @holds("4954", "4", "A login that fails is 535, and tells not why; the client may try again.")
    def test_failed(self):
        """The session is as it was."""
        self.login(_WRONG)
        self.assertEqual(self.codes(_PLAIN), [535])
        self.login(LoggedIn("u"))
        self.assertEqual(self.codes(_PLAIN), [235])

    @holds("4954", "6", "Trouble of ours is 454.")
    def test_trouble(self):
        """Not the password's fault."""
        self.login(LoginRefused(reply(454, "4.7.0", "Temporary authentication failure"), "no source"))
        self.assertEqual(self.codes(_PLAIN), [454])

    @holds("4954", "4", "Commands behind AUTH in the same segment wait for its end.")
    def test_pipelined(self):
        """They are no responses of it."""
        self.assertEqual(self.codes(_PLAIN, "NOOP", ENVELOPE[0]), [235, 250, 250])

    @holds("4954", "4", "A session without a security layer stays as it was after AUTH: no EHLO is needed.")
    def test_no_layer(self):
        """None of our mechanisms brings one."""
        self.assertEqual(self.codes(_PLAIN, *ENVELOPE), [235, 250, 250])

    @holds("4954", "4", "STARTTLS behind AUTH would forget the login, and AUTH behind STARTTLS is another one.")
    def test_starttls(self):
        """A login in clear text can't be: 538."""
        self.start(tls="starttls")
        self.client = self.rig.connect(transport=(transport := StartTlsTransport())).greet()
        self.assertEqual(self.codes(_PLAIN, "STARTTLS"), [538, 220])
        transport.getHandle = TlsTransport().getHandle
        alsoProvides(transport, ISSLTransport)
        self.client.protocol.handshakeCompleted()
        self.client.greet()
        self.assertEqual(self.codes(_PLAIN), [235])


class MailParameterTests(SynchronousTestCase):
    """Section 5."""

    @holds_in_part(
        "4954",
        "5",
        "Whoever is trusted may name with AUTH whose message it is, and that goes on to hosts that offer AUTH.",
        "Nobody is trusted with it: everything is taken for <>, as the RFC wants it of untrusted clients.",
    )
    def test_dropped(self):
        """Nothing of it is in the envelope; the same as without."""
        envelopes = []
        for parameter in ("", " AUTH=<>", " AUTH=boss@a.example"):
            talk = Inside(facts=Facts(tls_active=True, mechanisms=("PLAIN",))).greet()
            talk.say(ENVELOPE[0] + parameter, ENVELOPE[1], "DATA", ".")
            envelopes.append(talk.messages[0].envelope)
        self.assertEqual(envelopes[0], envelopes[1])
        self.assertEqual(envelopes[0], envelopes[2])

    @holds("4954", "5", "The AUTH parameter of MAIL is checked, and then taken for <>.")
    def test_bad(self):
        """The MAIL command may come again."""
        talk = Inside(facts=Facts(tls_active=True, mechanisms=("PLAIN",))).greet()
        lines = [f"MAIL FROM:<> AUTH={value}" for value in ("x", "a+2@x", "<a@x>", "+0D+0A@x")]
        self.assertEqual(talk.codes(*lines, "MAIL FROM:<>"), [501, 501, 501, 501, 250])


class AccountTests(UsersCase):
    """Sections 4, 6 and 9, with the accounts of the configuration."""

    def say(self, mechanism, *messages, client=None):
        """What comes of an exchange at last."""
        exchange = self.exchange(mechanism, client)
        step = self.settle(exchange.begin(messages[0]))
        for message in messages[1:]:
            step = self.settle(exchange.respond(message))
        return step

    @holds("4954", "4", "PLAIN is there, inside of TLS, where there are accounts.")
    def test_plain(self):
        """Name and password are right, or 535."""
        self.assertIn("PLAIN", self.users_now.mechanisms(self.client()))
        self.assertEqual(self.users_now.mechanisms(self.client(tls=None)), ())
        right = self.say("PLAIN", b"\0app@example.com\0" + PASSWORD.encode())
        self.assertEqual(right, LoggedIn(HASHED.name))
        self.assertEqual(self.say("PLAIN", b"\0app@example.com\0wrong").reply.code, 535)

    @holds("4954", "9", "A name that is nobody's is refused in the same words as a wrong password.")
    def test_same_words(self):
        """Nobody learns which accounts there are."""
        wrong = self.say("PLAIN", b"\0app@example.com\0wrong")
        nobody = self.say("PLAIN", b"\0nobody@example.com\0wrong")
        self.assertEqual(wrong.reply, nobody.reply)

    @holds("4954", "9", "Somebody who guesses is slowed down, and then shut out.")
    def test_guessing(self):
        """From one address, with whatever names."""
        codes_heard = [self.say("PLAIN", b"\0u%d\0x" % number).reply.code for number in range(8)]
        self.assertEqual(codes_heard[0], 535)
        self.assertIn(codes_heard[-1], (421, 454))

    @holds("4954", "9", "Mechanisms that show no password are offered first.")
    def test_order(self):
        """SCRAM before PLAIN."""
        offer = self.users_now.mechanisms(self.client())
        self.assertLess(offer.index("SCRAM-SHA-256"), offer.index("PLAIN"))


class ClientTests(SynchronousTestCase):
    """From the other side."""

    @does_not_hold(
        "4954", "4", "As a client, we log in where a next hop asks for it.", "There are no credentials to give yet."
    )
    def test_no_login(self):
        """MAIL comes right behind EHLO, and the refusal is an outcome."""
        stage = Stage(TlsNeed.OFF, make_job())
        stage.hear(b"220 x\r\n")
        self.assertTrue(stage.hear(b"250-mx\r\n250 AUTH PLAIN\r\n").startswith(b"MAIL FROM:"))
        stage.hear(b"530 5.7.0 Authentication required\r\n")
        self.assertEqual(stage.outcomes[0][0].status, "5.7.0")
