"""A user's own stock IMessageDelivery behind our server."""

# Wrong types are handed in on purpose, and boundaries replaced.
# mypy: no-check-untyped-defs

from twisted.internet.defer import Deferred, fail, succeed
from twisted.mail import smtp
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from tests.net.server_rig import Rig

_ONE = b"MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\n"


@implementer(smtp.IMessage)
class Message:
    """Remembers all that it is told."""

    def __init__(self, delivery):
        self.delivery = delivery
        self.lines = []
        self.lost = 0
        self.ended = 0

    def lineReceived(self, line):
        self.lines.append(line)
        if self.delivery.line_error is not None and line == b"bad":
            raise self.delivery.line_error

    def eomReceived(self):
        self.ended += 1
        result = self.delivery.results.pop(0) if self.delivery.results else succeed(None)
        if isinstance(result, BaseException):
            raise result
        return result

    def connectionLost(self):
        self.lost += 1


@implementer(smtp.IMessageDelivery)
class Delivery:
    """Accepts what it is not told to refuse."""

    def __init__(self):
        self.helos = []
        self.origins = []
        self.users = []
        self.messages = []
        self.results = []
        self.line_error = None
        self.sender = lambda origin: origin
        self.recipient = lambda user: self.make
        self.header = b"Received: from x\n\tby y"

    def make(self):
        message = Message(self)
        self.messages.append(message)
        return message

    def receivedHeader(self, helo, origin, recipients):
        self.header_arguments = (helo, origin, recipients)
        return self.header

    def validateFrom(self, helo, origin):
        self.helos.append(helo)
        self.origins.append(origin)
        return self.sender(origin)

    def validateTo(self, user):
        self.users.append(user)
        return self.recipient(user)


class StockCase(SynchronousTestCase):
    """One client of one delivery."""

    def setUp(self):
        self.delivery = Delivery()
        self.rig = Rig(self.delivery)
        self.client = self.rig.connect().greet()

    def codes(self, octets):
        """The first ten octets of each reply."""
        return [line[:9] for line in self.client.send(octets).splitlines()]


class QuestionTests(StockCase):
    """It is asked what Twisted's own server asks, in the same words."""

    def test_message(self):
        """HELO name and address as octets, Address and User objects, the trace header first, then each line."""
        self.assertEqual(
            self.codes(_ONE + b"DATA\r\nSubject: x\r\n\r\n..dot\r\n.\r\n"),
            [b"250 2.1.0", b"250 2.1.5", b"354 End d", b"250 2.0.0"],
        )
        self.assertEqual(self.delivery.helos, [(b"c.example", b"192.0.2.1")])
        self.assertIsInstance(self.delivery.origins[0], smtp.Address)
        self.assertEqual(bytes(self.delivery.origins[0]), b"a@x.example")
        user = self.delivery.users[0]
        self.assertIsInstance(user, smtp.User)
        self.assertEqual((bytes(user.dest), user.dest.local, user.dest.domain), (b"b@y.example", b"b", b"y.example"))
        self.assertEqual((user.helo, bytes(user.orig)), ((b"c.example", b"192.0.2.1"), b"a@x.example"))
        self.assertIs(user.protocol, self.client.protocol)
        message = self.delivery.messages[0]
        self.assertEqual(message.lines, [b"Received: from x\n\tby y", b"Subject: x", b"", b".dot"])
        self.assertEqual((message.ended, message.lost), (1, 0))
        self.assertEqual(
            self.delivery.header_arguments, ((b"c.example", b"192.0.2.1"), self.delivery.origins[0], [user])
        )

    def test_paths(self):
        """The null path is empty; quotes, literals and routes come as their meaning."""
        self.codes(b'MAIL FROM:<>\r\nRCPT TO:<"a b"@[192.0.2.1]>\r\nRCPT TO:<@r.example:c@y.example>\r\n')
        self.assertEqual(bytes(self.delivery.origins[0]), b"")
        self.assertEqual([bytes(user.dest) for user in self.delivery.users], [b"a b@[192.0.2.1]", b"c@y.example"])

    def test_header_missing(self):
        """A message that begins with its body gets an empty line behind the trace header."""
        self.codes(_ONE + b"DATA\r\nno header\r\n.\r\n")
        self.assertEqual(self.delivery.messages[0].lines, [b"Received: from x\n\tby y", b"", b"no header"])

    def test_cut_lines(self):
        """Lines are whole however they come, long ones too."""
        self.delivery.header = None
        self.codes(_ONE + b"DATA\r\n")
        raw = b"A: 1\r\n\r\n" + b"x" * 300 + b"\r\n\r\nend\r\n"
        for index in range(len(raw)):
            self.client.send(raw[index : index + 1])
        self.codes(b".\r\n")
        self.assertEqual(self.delivery.messages[0].lines, raw.split(b"\r\n")[:-1])

    def test_every_recipient(self):
        """Each has a message of its own."""
        self.codes(_ONE + b"RCPT TO:<c@y.example>\r\nDATA\r\nA: 1\r\n.\r\n")
        self.assertEqual([message.lines[1:] for message in self.delivery.messages], [[b"A: 1"]] * 2)
        self.assertIsNot(self.delivery.messages[0], self.delivery.messages[1])

    def test_no_smtputf8(self):
        """Its addresses are ASCII, so SMTPUTF8 is not offered."""
        self.assertNotIn(b"SMTPUTF8", self.client.send(b"EHLO c\r\n"))
        self.assertEqual(self.codes(b"MAIL FROM:<a@x> SMTPUTF8\r\n"), [b"555 5.5.4"])

    def test_changed_origin(self):
        """What validateFrom returns is the sender from then on."""
        self.delivery.sender = lambda origin: succeed(smtp.Address(b"other@x.example"))
        self.codes(_ONE)
        self.assertEqual(bytes(self.delivery.users[0].orig), b"other@x.example")

    def test_factory_of_deliveries(self):
        """Each message gets a delivery of its own."""

        @implementer(smtp.IMessageDeliveryFactory)
        class Deliveries:
            made = []

            def getMessageDelivery(self):
                self.made.append(Delivery())
                return self.made[-1]

        rig = Rig(Deliveries())
        client = rig.connect().greet()
        for _ in range(2):
            client.send(_ONE + b"DATA\r\nA: 1\r\n.\r\n")
        self.assertEqual([len(delivery.messages) for delivery in Deliveries.made], [1, 1])


class RefusalTests(StockCase):
    """Its own code and text reach the client at every stage; anything unexpected is 451."""

    def test_sender(self):
        """At once or late."""
        for refuse in (fail, self.raise_):
            self.delivery.sender = lambda origin, refuse=refuse: refuse(smtp.SMTPServerError(450, b"Not today"))
            self.assertEqual(self.client.send(b"MAIL FROM:<a@x>\r\n"), b"450 4.0.0 Not today\r\n")
        self.delivery.sender = lambda origin: self.raise_(smtp.SMTPBadSender(origin))
        self.assertEqual(
            self.client.send(b"MAIL FROM:<a@x>\r\n"),
            b"550 5.0.0 Cannot receive from specified address <a@x>: Sender not acceptable\r\n",
        )

    def raise_(self, error):
        raise error

    def test_recipient(self):
        """The others are still served."""
        self.delivery.recipient = lambda user: (
            fail(smtp.SMTPBadRcpt(user)) if user.dest.local == b"no" else self.delivery.make
        )
        self.assertEqual(
            self.codes(b"MAIL FROM:<>\r\nRCPT TO:<no@y>\r\nRCPT TO:<b@y>\r\n"),
            [b"250 2.1.0", b"550 5.0.0", b"250 2.1.5"],
        )
        self.codes(b"DATA\r\nA: 1\r\n.\r\n")
        self.assertEqual(len(self.delivery.messages), 1)

    def test_hostile_text(self):
        """What stands in its text can't become a reply of its own."""
        self.delivery.sender = lambda origin: self.raise_(smtp.SMTPServerError(550, "a\r\n250 ok\x1b[0m"))
        said = self.client.send(b"MAIL FROM:<a@x>\r\n")
        self.assertEqual(said, b"550-5.0.0 a\r\n550 5.0.0 250 ok\\x1b[0m\r\n")

    def test_absurd_code(self):
        """A refusal with a code that is none is trouble."""
        for code in (250, 99, 999, "550"):
            self.delivery.sender = lambda origin, code=code: self.raise_(smtp.SMTPServerError(code, "x"))
            self.assertEqual(self.codes(b"MAIL FROM:<a@x>\r\n"), [b"451 4.3.0"])

    def test_making_a_message(self):
        """In place of the 354; messages made before hear that they are lost."""
        made = []

        def make():
            if made:
                raise smtp.SMTPServerError(452, "Full")
            made.append(Message(self.delivery))
            return made[0]

        self.delivery.recipient = lambda user: make
        self.assertEqual(self.codes(_ONE + b"RCPT TO:<c@y>\r\nDATA\r\n")[-1], b"452 4.0.0")
        self.assertEqual(made[0].lost, 1)

    def test_making_fails(self):
        """Anything else is 451."""
        self.delivery.recipient = lambda user: lambda: self.raise_(RuntimeError("secret"))
        self.assertEqual(self.codes(_ONE + b"DATA\r\n")[-1], b"451 4.3.0")
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_line(self):
        """The content is read to its end, then refused with its code; the messages are lost once."""
        self.delivery.line_error = smtp.SMTPServerError(554, "Bad line")
        self.codes(_ONE + b"DATA\r\nA: 1\r\n")
        self.assertEqual(self.codes(b"bad\r\nQUIT\r\n"), [])
        self.assertEqual(self.codes(b".\r\n"), [b"554 5.0.0"])
        self.client.lose()
        message = self.delivery.messages[0]
        self.assertEqual((message.lost, message.ended), (1, 0))

    def test_line_fails(self):
        """Anything else is 451."""
        self.delivery.line_error = RuntimeError("secret")
        self.assertEqual(self.codes(_ONE + b"DATA\r\nbad\r\n.\r\n")[-1], b"451 4.3.0")
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertEqual(self.delivery.messages[0].lost, 1)

    def test_bare_newlines(self):
        """It never sees a message with them as a whole."""
        self.assertEqual(self.codes(_ONE + b"DATA\r\na\nb\r\n.\r\n")[-1][:7], b"550 5.6")
        self.assertEqual((self.delivery.messages[0].lost, self.delivery.messages[0].ended), (1, 0))


class ExitTests(StockCase):
    """A delivery that tries to end the program gets 451 for its client and a line in the log; the connection stays."""

    def leave(self, *arguments):
        """What a user's code may do."""
        raise self.exit

    def each(self):
        """Each exception that does so; behind it, it was logged once, and the connection answers."""
        for self.exit in (SystemExit(1), KeyboardInterrupt()):
            self.setUp()
            yield
            self.assertEqual(len(self.flushLoggedErrors(type(self.exit))), 1)
            self.assertEqual(self.codes(b"NOOP\r\n")[0][:3], b"250")

    def test_sender(self):
        """At once."""
        for _ in self.each():
            self.delivery.sender = self.leave
            self.assertEqual(self.codes(b"MAIL FROM:<a@x>\r\n"), [b"451 4.3.0"])

    def test_overridden(self):
        """Also where a subclass of the server answers in the place of its delivery."""
        for _ in self.each():
            self.client.protocol.validateFrom = self.leave
            self.assertEqual(self.codes(b"MAIL FROM:<a@x>\r\n"), [b"451 4.3.0"])

    def test_late_sender(self):
        """Late."""
        for _ in self.each():
            self.delivery.sender = lambda origin: fail(self.exit)
            self.assertEqual(self.codes(b"MAIL FROM:<a@x>\r\n"), [b"451 4.3.0"])

    def test_recipient(self):
        """At a recipient, at once or late; another one can be named."""
        for answer in (self.leave, lambda user: fail(self.exit)):
            for _ in self.each():
                self.delivery.recipient = answer
                self.assertEqual(self.codes(_ONE)[-1], b"451 4.3.0")
                self.delivery.recipient = lambda user: self.delivery.make
                self.assertEqual(self.codes(b"RCPT TO:<c@y>\r\n"), [b"250 2.1.5"])

    def test_making_a_message(self):
        """While messages are made, or their trace header; those made before are lost once."""
        for _ in self.each():
            self.delivery.receivedHeader = self.leave
            self.assertEqual(self.codes(_ONE + b"DATA\r\n")[-1], b"451 4.3.0")
            self.assertEqual([message.lost for message in self.delivery.messages], [1])

    def test_line(self):
        """In the content, which is read to its end."""
        for _ in self.each():
            self.delivery.line_error = self.exit
            self.assertEqual(self.codes(_ONE + b"DATA\r\nbad\r\nQUIT\r\n.\r\n")[-1], b"451 4.3.0")
            self.assertEqual((self.delivery.messages[0].lost, self.delivery.messages[0].ended), (1, 0))

    def test_end(self):
        """At its end, at once or late."""
        for late in (False, True):
            for _ in self.each():
                self.delivery.results = [fail(self.exit) if late else self.exit]
                self.assertEqual(self.codes(_ONE + b"DATA\r\nA: 1\r\n.\r\n")[-1], b"451 4.3.0")

    def test_lost(self):
        """When its messages are lost: the others hear of it, too."""
        for self.exit in (SystemExit(1), KeyboardInterrupt()):
            self.setUp()
            self.codes(_ONE + b"RCPT TO:<c@y>\r\nDATA\r\nA: 1\r\n")
            self.delivery.messages[0].connectionLost = self.leave
            self.client.lose()
            self.assertEqual(self.delivery.messages[1].lost, 1)
            self.assertEqual(len(self.flushLoggedErrors(type(self.exit))), 1)


class EndTests(StockCase):
    """The reply to the end of data tells the client what it needs to know: whether to try again."""

    def ending(self, *results):
        """The reply when each recipient's message ends so."""
        self.delivery.results = list(results)
        recipients = b"RCPT TO:<b@y>\r\n" * len(results)
        return self.codes(b"MAIL FROM:<>\r\n" + recipients + b"DATA\r\nA: 1\r\n.\r\n")[-1]

    def test_all(self):
        """250 only if all have it; a value without a Deferred will do."""
        self.assertEqual(self.ending(succeed(None), None), b"250 2.0.0")

    def test_refused(self):
        """4xx stays 4xx, 5xx stays 5xx; what may pass wins; the unexpected is 451."""
        full, bad = smtp.SMTPServerError(452, "Full"), smtp.SMTPServerError(554, "Bad")
        self.assertEqual(self.ending(fail(full)), b"452 4.0.0")
        self.assertEqual(self.ending(full), b"452 4.0.0")
        self.assertEqual(self.ending(fail(bad)), b"554 5.0.0")
        self.assertEqual(self.ending(succeed(None), fail(bad)), b"554 5.0.0")
        self.assertEqual(self.ending(fail(bad), fail(full)), b"452 4.0.0")
        self.assertEqual(self.ending(fail(bad), fail(RuntimeError("secret"))), b"451 4.3.0")
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_late(self):
        """The reply waits for all of them, and what is pipelined waits for the reply."""
        first, second = Deferred(), Deferred()
        self.delivery.results = [first, second]
        self.codes(_ONE + b"RCPT TO:<c@y>\r\nDATA\r\nA: 1\r\n.\r\nQUIT\r\n")
        first.callback(None)
        self.assertEqual(self.client.said(), b"")
        second.callback(None)
        self.assertEqual([line[:3] for line in self.client.said().splitlines()], [b"250", b"221"])

    def test_lost(self):
        """A connection that is lost in the content loses the messages, once; behind the end it does not."""
        self.codes(_ONE + b"DATA\r\nA: 1\r\n")
        self.client.lose()
        self.assertEqual(self.delivery.messages[0].lost, 1)
        client = self.rig.connect().greet()
        self.delivery.results = [Deferred()]
        client.send(_ONE + b"DATA\r\nA: 1\r\n.\r\n")
        client.lose()
        self.assertEqual(self.delivery.messages[1].lost, 0)

    def test_trouble_with_being_lost(self):
        """One message's trouble with that does not keep the others."""
        self.codes(_ONE + b"RCPT TO:<c@y>\r\nDATA\r\nA: 1\r\n")
        self.delivery.messages[0].connectionLost = self.raise_
        self.client.lose()
        self.assertEqual(self.delivery.messages[1].lost, 1)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def raise_(self):
        raise RuntimeError("secret")
