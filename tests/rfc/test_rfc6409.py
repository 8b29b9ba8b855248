"""RFC 6409: submission."""

# mypy: no-check-untyped-defs

import re
from email import message_from_bytes

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.boundaries.auth import LoginRefused
from smtpgw.checks.recipients import Recipients
from smtpgw.checks.relay_access import RelayAccess
from smtpgw.checks.sender_login import SenderLogin
from smtpgw.config.schema import Config, ListenConfig, Role
from smtpgw.model.address import Mailbox
from smtpgw.model.domains import LocalDomain, LocalDomains
from smtpgw.model.envelope import MailFrom, Recipient
from smtpgw.model.notice import Rejected
from smtpgw.model.reply import reply
from smtpgw.model.route import Route, ViaSink
from smtpgw.model.verdict import ACCEPT, Accept, Refuse
from smtpgw.policy.submission_header import missing_fields
from smtpgw.service.receiving import Receiving
from smtpgw.service.reception import ListenerReception
from tests.clauses import does_not_hold, holds, holds_in_part
from tests.net.server_rig import AbortingTransport
from tests.net.test_server_auth_driver import AuthCase
from tests.rfc.talk import CONTENT, ENVELOPE, Talk, codes
from tests.service.house import CLIENT, House, mailbox

_NOW = 1_700_000_000.0


def _complete(header, now):
    return missing_fields(header, now, "gw.test", bytes)


class TimedClock(Clock):
    """Also as the gateway's own."""

    def time(self):
        """Unix time."""
        return _NOW + self.seconds()


class ListenerTests(SynchronousTestCase):
    """Sections 3 and 4."""

    def factory(self, role):
        """Of a listener as the configuration makes it."""
        config = Config("mx.example", listen=(ListenConfig(role=role, auth=role is Role.SUBMISSION),))
        return Receiving(config, TimedClock(), TimedClock(), [].append).factories[0]

    def say(self, role, *lines):
        """What a client in clear text hears there."""
        protocol = self.factory(role).buildProtocol(None)
        transport = AbortingTransport()
        protocol.makeConnection(transport)
        transport.clear()
        protocol.dataReceived("".join(f"{line}\r\n" for line in lines).encode())
        return transport.value().decode()

    @holds_in_part(
        "6409",
        "3.1",
        "Submission has the port 587.",
        "Submission is the role of a listener, whose port is the operator's; the two roles are never one listener.",
    )
    def test_port(self):
        """The role makes the difference."""
        self.assertEqual([role.value for role in Role], ["mx", "submission", "relay"])

    @holds("6409", "4.3", "Nobody submits without having logged in.")
    def test_login_first(self):
        """A listener for mail from elsewhere asks for none."""
        self.assertEqual(codes(self.say(Role.SUBMISSION, "EHLO c", ENVELOPE[0])), [250, 530])
        self.assertNotEqual(codes(self.say(Role.MX, "EHLO c", ENVELOPE[0])), [250, 530])

    @does_not_hold(
        "6409",
        "4.2",
        "Domains that are not fully qualified are refused, or made so.",
        "A name of one label may be a domain where the gateway stands (localhost, a host of the company); only the"
        " resolver can tell, and then the mail fails with 5.1.2.",
    )
    def test_unqualified(self):
        """It is taken."""
        self.assertEqual(Talk().greet().codes("MAIL FROM:<a@host>", "RCPT TO:<b@other>"), [250, 250])

    @holds("6409", "3.3", "Who has logged in may send to everybody; who has not may send through this to nobody.")
    def test_relaying(self):
        """Whatever network it comes from."""
        access = RelayAccess(LocalDomains([]), ())
        recipient = Recipient(mailbox("x@elsewhere.test"))
        stranger = CLIENT
        known = type(CLIENT)("192.0.2.77", "client.test", "ESMTPSA", identity="user@from.test")
        mail = MailFrom(mailbox("user@from.test"))
        self.assertIsInstance(access.check_rcpt(stranger, mail, recipient), Refuse)
        self.assertIsInstance(access.check_rcpt(known, mail, recipient), Accept)


class SessionTests(AuthCase):
    """Sections 5 and 7, behind the login."""

    def setUp(self):
        self.start(requires_auth=True, future_release_seconds=60, now=lambda: _NOW, deliver_by=True)

    def codes(self, *lines):
        """Of the replies."""
        return codes(self.client.send("".join(f"{line}\r\n" for line in lines).encode()).decode())

    @holds("6409", "7", "The extensions that a submission server has to have, or should have, are offered.")
    def test_extensions(self):
        """PIPELINING, ENHANCEDSTATUSCODES, AUTH, 8BITMIME, DSN, SIZE, CHUNKING, SMTPUTF8, and more."""
        text = self.client.send(b"EHLO c\r\n").decode()
        keywords = {line[4:].split()[0] for line in text.splitlines()[1:]}
        wanted = {"PIPELINING", "ENHANCEDSTATUSCODES", "AUTH", "8BITMIME", "DSN", "SIZE", "CHUNKING", "SMTPUTF8"}
        self.assertEqual(wanted - keywords, set())
        self.assertEqual({"FUTURERELEASE", "DELIVERBY", "REQUIRETLS"} - keywords, set())

    @holds("6409", "7", "STARTTLS and a login come before everything else, each with a reply that says so.")
    def test_before(self):
        """530, then 235, then 250."""
        self.client.greet()
        self.assertEqual(self.codes(ENVELOPE[0]), [530])
        self.assertEqual(self.plain()[:4], b"235 ")
        self.assertEqual(self.codes(*ENVELOPE, "DATA", *CONTENT), [250, 250, 354, 250])

    @holds("6409", "5.1", "Addresses that break the grammar are refused.")
    def test_syntax(self):
        """As everywhere, with a status that says which address."""
        self.plain()
        self.assertEqual(self.client.send(b"MAIL FROM:<a b@c>\r\n")[:10], b"501 5.1.7 ")
        self.client.send(b"MAIL FROM:<a@a.example>\r\n")
        self.assertEqual(self.client.send(b"RCPT TO:<b@b..example>\r\n")[:10], b"501 5.1.3 ")

    @holds("6409", "5.2", "What is refused is told of: to the log, with the reason.")
    def test_log(self):
        """A login that fails, for one."""
        self.authenticator.steps = [LoginRefused(reply(535, "5.7.8", "Authentication failed"), "wrong password")]
        self.assertEqual(self.plain()[:4], b"535 ")
        told = [(one.stage, one.refuse.cause) for one in self.rig.notices if isinstance(one, Rejected)]
        self.assertEqual(told, [("auth", "wrong password")])


class RightsTests(SynchronousTestCase):
    """Section 6."""

    def verdict(self, identity, path):
        """About a reverse-path of somebody who has logged in."""
        client = type(CLIENT)("192.0.2.77", "client.test", "ESMTPSA", identity=identity)
        check = SenderLogin({"app@from.test": ("*@from.test",)})
        return check.check_mail(client, MailFrom(None if path is None else mailbox(path)))

    @holds("6409", "6.1", "A reverse path that is not the authenticated user's is refused.")
    def test_rights(self):
        """Without a pattern of its own a login owns its name."""
        self.assertIs(self.verdict("app@from.test", "any@from.test"), ACCEPT)
        self.assertEqual(self.verdict("app@from.test", "any@other.test").reply.code, 553)
        self.assertIs(self.verdict("me@x.test", "me@x.test"), ACCEPT)
        self.assertEqual(self.verdict("me@x.test", "you@x.test").reply.status, "5.7.1")

    @holds("6409", "6.1", "The null path is everybody's.")
    def test_null_path(self):
        """Notifications of reading have it."""
        self.assertIs(self.verdict("me@x.test", None), ACCEPT)

    @does_not_hold(
        "6409",
        "6.3",
        "The From and Sender fields are compared with the login.",
        "Headers are not read for it; the login is in the trace as the letter A, and in the log by its name.",
    )
    def test_from(self):
        """A message that says to be from somebody else is taken."""
        house = House()
        self.assertEqual(house.submit("x@a.test", content=b"From: boss@other.test\r\n\r\n").code, 250)

    @holds("6409", "6.4", "Postmaster is an address that takes mail, where there is a domain of ours.")
    def test_postmaster(self):
        """Listed or not."""
        domains = LocalDomains([LocalDomain("from.test", Route("d", ViaSink("t:")), recipients=frozenset({"alice"}))])
        for address in (Mailbox("Postmaster", ""), Mailbox("postmaster", "from.test")):
            self.assertIs(Recipients(domains).check_rcpt(CLIENT, MailFrom(None), Recipient(address)), ACCEPT)


class ChangeTests(SynchronousTestCase):
    """Section 8."""

    def relayed(self, content):
        """What goes on of a submission, our Received field left out."""
        house = House()
        house.dispatch.pause()
        house.reception = ListenerReception(house.counter, (), (), (), complete=_complete)
        house.submit("x@a.test", content=content)
        [(queue_id, entry)] = house.spool.entries.items()
        _, added = re.split(rb"\r\n(?![ \t])", entry.message.trace, maxsplit=1)
        return added + house.spool.contents[queue_id]

    @holds("6409", "8.2", "A message without Date gets one.")
    @holds("6409", "8.3", "A message without Message-ID gets one.")
    def test_added(self):
        """They come first, then the message as it was."""
        content = b"From: a@from.test\r\nSubject: x\r\n\r\nbody\r\n"
        sent = self.relayed(content)
        self.assertTrue(sent.endswith(content))
        message = message_from_bytes(sent)
        self.assertEqual([message.get_all(name) is not None for name in ("Date", "Message-ID")], [True, True])
        complete = b"Date: x\r\nMessage-ID: <a@b>\r\n" + content
        self.assertTrue(self.relayed(complete).endswith(complete))
        self.assertEqual(len(message_from_bytes(self.relayed(complete)).get_all("Date")), 1)

    @does_not_hold(
        "6409",
        "8.1",
        "A Sender field is added where From is not the login's.",
        "It may be so and need not: what a person has not written does not stand in their name.",
    )
    def test_sender(self):
        """None is added."""
        self.assertNotIn("Sender", message_from_bytes(self.relayed(b"From: boss@other.test\r\n\r\n")))

    @does_not_hold(
        "6409",
        "8.4",
        "Content is brought into another transfer encoding, aliases resolved, addresses in the header completed.",
        "All that may be and need not; it breaks signatures.",
    )
    def test_content(self):
        """8-bit content and a short address stay."""
        content = b"Date: x\r\nMessage-ID: <a@b>\r\nTo: bob\r\n\r\n\xfc\r\n"
        self.assertTrue(self.relayed(content).endswith(content))
