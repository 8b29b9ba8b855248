"""Tests for the policy before content, composed from the configuration: clients come, and hear what they hear."""

# mypy: no-check-untyped-defs

from ipaddress import ip_network

from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.checks.recipients import Recipients
from smtpgw.checks.relay_access import RelayAccess
from smtpgw.config.schema import (
    Config,
    DnsListConfig,
    GreylistConfig,
    LimitsConfig,
    ListenConfig,
    PolicyConfig,
    Role,
    Strictness,
    WhenDown,
)
from smtpgw.model.address import Mailbox
from smtpgw.model.dns import AnswerStatus, RecordType
from smtpgw.model.domains import LocalDomain, LocalDomains
from smtpgw.model.envelope import Client, MailFrom
from smtpgw.model.route import Route, ViaSink
from smtpgw.model.verdict import Accept, Refuse
from smtpgw.policy.evaluate import evaluate_mail, evaluate_rcpt
from smtpgw.service.policy_checks import ListenerPolicy, Policy, needs_triplets
from smtpgw.spool.triplets_memory import MemoryTriplets
from tests.contracts.check import recipient
from tests.net.server_rig import Rig as ServerRig
from tests.policy.rig import Rig, waited
from tests.smtp.fakes import MemoryReception

DOMAINS = LocalDomains([LocalDomain("ours.example", Route("local", ViaSink("discard:")), frozenset({"alice", "bob"}))])
INSIDE = ip_network("10.0.0.0/8")
MX = ListenConfig(relay_networks=(INSIDE,))
MX_AUTH = replace(MX, auth=True)
SUBMISSION = ListenConfig(role=Role.SUBMISSION, relay_networks=(INSIDE,), auth=True)
RELAY = ListenConfig(role=Role.RELAY, relay_networks=(INSIDE,))

GOOD = Client("203.0.113.10", "mail.remote.example", "ESMTP")
BAD = Client("203.0.113.9", "localhost", "ESMTP")
SIX = Client("2001:db8::9", "mail.remote.example", "ESMTP")
ZONE = {
    ("10.113.0.203.in-addr.arpa", RecordType.PTR): ["mail.remote.example"],
    ("mail.remote.example", RecordType.A): ["203.0.113.10"],
    ("9.113.0.203.bad.example", RecordType.A): ["127.0.0.2"],
    ("9.113.0.203.bad.example", RecordType.TXT): [b"spam\r\n250 Ok"],
    ("12.113.0.203.good.example", RecordType.A): ["127.0.0.2"],
    ("12.113.0.203.bad.example", RecordType.A): ["127.0.0.2"],
}
FULL = PolicyConfig(
    helo=Strictness.ENFORCE,
    reverse_dns=Strictness.ENFORCE,
    dnsbl=(DnsListConfig("bad.example"),),
    dnswl=(DnsListConfig("good.example"),),
    greylist=GreylistConfig(),
)
FROM = MailFrom(Mailbox("bob", "remote.example"))


class PolicyCase(SynchronousTestCase):
    """Has a gateway's policy, and clients that come to it."""

    def make(self, policy=FULL, limits=None, zone=None, held=()):
        """A policy."""
        self.rig = Rig(ZONE if zone is None else zone, held)
        config = Config("mx.ours.example", policy=policy, limits=limits or LimitsConfig())
        self.triplets = MemoryTriplets(self.rig.clock)
        return Policy(
            config,
            resolver=self.rig.resolver,
            tasks=self.rig.tasks,
            clock=self.rig.clock,
            triplets=self.triplets if needs_triplets(policy) else None,
        )

    def verdict(self, answer):
        """The code and status of a refusal; "Ok" otherwise."""
        found = self.successResultOf(waited(answer))
        return f"{found.reply.code} {found.reply.status}" if isinstance(found, Refuse) else "Ok"

    def visit(self, policy, client, listen=MX, to=("alice", "ours.example"), identity=None):
        """What a client hears: at the door, at MAIL, at RCPT, up to the first refusal."""
        rules = policy.of_listener(listen)
        found = self.successResultOf(waited(rules.door.connect(client)))
        if isinstance(found, Refuse):
            return [f"{found.reply.code} {found.reply.status}"]
        client = replace(found, identity=identity) if identity else found
        said = ["Ok", self.verdict(evaluate_mail(rules.mail_checks, client, FROM))]
        if said[-1] == "Ok":
            own = DOMAINS if listen.role is Role.MX else LocalDomains()
            checks = rules.rcpt_checks(RelayAccess(own, listen.relay_networks), [Recipients(DOMAINS)])
            said.append(self.verdict(evaluate_rcpt(checks, client, FROM, recipient(*to))))
        return said


class ComposedTests(PolicyCase):
    """All rules together, in their order."""

    def test_off(self):
        """Without a policy nothing is asked of anybody: no rule, no question to the name server."""
        policy = self.make(PolicyConfig())
        rules = policy.of_listener(MX)
        self.assertEqual(rules.mail_checks, ())
        self.assertEqual(rules.rcpt_checks(RelayAccess(DOMAINS, ()), [])[1:], ())
        self.assertIs(rules.door.connect(BAD), BAD)
        self.assertEqual(self.visit(policy, BAD), ["Ok", "Ok", "Ok"])
        self.assertEqual(self.rig.resolver.questions, [])

    def test_stranger(self):
        """A stranger with a name is greylisted, comes again, and is in."""
        policy = self.make()
        self.assertEqual(self.visit(policy, GOOD), ["Ok", "Ok", "450 4.7.1"])
        self.rig.clock.advance(300)
        self.assertEqual(self.visit(policy, GOOD), ["Ok", "Ok", "Ok"])

    def test_named(self):
        """The confirmed name goes in with the client, for the trace header."""
        found = self.successResultOf(waited(self.make().of_listener(MX).door.connect(GOOD)))
        self.assertEqual(found, replace(GOOD, name="mail.remote.example"))

    def test_nameless(self):
        """Without a name there is no banner; where clients may log in, MAIL says so instead."""
        self.assertEqual(self.visit(self.make(), BAD), ["554 5.7.25"])
        honest = replace(BAD, helo="mail.remote.example")
        self.assertEqual(self.visit(self.make(), honest, MX_AUTH), ["Ok", "554 5.7.25"])
        self.assertEqual(self.visit(self.make(), SIX), ["554 5.7.25"])

    def test_marked(self):
        """What is only marked refuses nothing."""
        policy = self.make(PolicyConfig(helo=Strictness.MARK, reverse_dns=Strictness.MARK))
        self.assertEqual(self.visit(policy, BAD), ["Ok", "Ok", "Ok"])
        rules = policy.of_listener(MX)
        verdict = self.successResultOf(waited(evaluate_mail(rules.mail_checks, BAD, FROM)))
        expected = ("helo: not a fully qualified domain name", "reverse_dns: no confirmed name")
        self.assertEqual(verdict, Accept(expected))

    def test_helo(self):
        """A name that can't be true is refused at MAIL."""
        self.assertEqual(self.visit(self.make(), replace(GOOD, helo="mx.ours.example")), ["Ok", "550 5.7.1"])

    def test_lists(self):
        """A listed client is refused at RCPT, but may write to postmaster; whom a list vouches for passes it all."""
        policy = replace(FULL, reverse_dns=Strictness.OFF, helo=Strictness.OFF)
        self.assertEqual(self.visit(self.make(policy), BAD), ["Ok", "Ok", "554 5.7.1"])
        no_grey = replace(policy, greylist=None)
        self.assertEqual(self.visit(self.make(no_grey), BAD, to=("postmaster", "ours.example"))[-1], "Ok")
        vouched = replace(BAD, address="203.0.113.12")
        self.assertEqual(self.visit(self.make(policy), vouched), ["Ok", "Ok", "Ok"])
        self.assertEqual(len(self.triplets), 0)

    def test_order_of_rcpt(self):
        """Who may not relay hears that, listed or not; who is listed does not learn who exists."""
        policy = replace(FULL, reverse_dns=Strictness.OFF, helo=Strictness.OFF, greylist=None)
        relay = self.make(policy).of_listener(MX).rcpt_checks(RelayAccess(DOMAINS, ()), [Recipients(DOMAINS)])
        for to, status in (("x", "remote.example"), "5.7.1"), (("nobody", "ours.example"), "5.7.1"):
            refusal = self.successResultOf(waited(evaluate_rcpt(relay, BAD, FROM, recipient(*to))))
            self.assertEqual(refusal.reply.status, status)
            self.assertEqual(refusal.check, "relay_access" if to[1] == "remote.example" else "dns_lists")

    def test_unknown_recipients_are_not_remembered(self):
        """What is refused anyway leaves nothing in the greylist."""
        said = self.visit(self.make(), GOOD, to=("nobody", "ours.example"))
        self.assertEqual(said[-1], "550 5.1.1")
        self.assertEqual(len(self.triplets), 0)

    def test_trusted(self):
        """Clients of ours and those that log in are asked for none of it."""
        policy = self.make()
        inside = replace(BAD, address="10.1.2.3")
        for address in ("10.1.2.3", "::ffff:10.1.2.3"):
            self.assertEqual(self.visit(policy, replace(inside, address=address)), ["Ok"] * 3)
        self.assertEqual(self.rig.resolver.questions, [])
        self.assertEqual(self.visit(policy, BAD, MX_AUTH, identity="app"), ["Ok"] * 3)
        own = Client("", protocol="LOCAL")
        self.assertEqual(self.visit(policy, own), ["Ok"] * 3)

    def test_other_roles(self):
        """Submission and relay listeners take mail of nobody else, and ask for nothing but rates."""
        for listen in (SUBMISSION, RELAY):
            policy = self.make()
            rules = policy.of_listener(listen)
            self.assertEqual(rules.mail_checks, ())
            self.assertIs(rules.door.connect(BAD), BAD)
            self.assertEqual(len(rules.rcpt_checks(RelayAccess(LocalDomains(), ()), [])), 1)
            self.assertEqual(self.rig.resolver.questions, [])

    def test_needs(self):
        """Greylisting without a place to remember is a mistake of ours, and shown at the start."""
        self.assertTrue(needs_triplets(FULL))
        self.assertFalse(needs_triplets(PolicyConfig()))
        rig = Rig()
        with self.assertRaises(TypeError):
            Policy(Config("x", policy=FULL), resolver=rig.resolver, tasks=rig.tasks, clock=rig.clock, triplets=None)


class RateTests(PolicyCase):
    """Rates, over all listeners."""

    limits = LimitsConfig(connections_per_minute=3, messages_per_minute=2, recipients_per_minute=2)

    def test_stranger(self):
        """Connections, then messages; all listeners count together; a minute later it is well again."""
        policy = self.make(PolicyConfig(), self.limits)
        self.assertEqual(self.visit(policy, BAD), ["Ok"] * 3)
        self.assertEqual(self.visit(policy, BAD, RELAY)[:2], ["Ok", "Ok"])
        self.assertEqual(self.visit(policy, BAD), ["Ok", "450 4.7.1"])
        self.assertEqual(self.visit(policy, BAD, SUBMISSION), ["421 4.7.0"])
        self.assertEqual(self.visit(policy, GOOD), ["Ok"] * 3)
        self.rig.clock.advance(60)
        self.assertEqual(self.visit(policy, BAD), ["Ok"] * 3)

    def test_trusted(self):
        """Trusted networks are not counted, accounts are, also from there."""
        policy = self.make(PolicyConfig(), self.limits)
        inside = replace(BAD, address="10.1.2.3")
        for _ in range(20):
            self.assertEqual(self.visit(policy, inside), ["Ok"] * 3)
        said = [self.visit(policy, inside, SUBMISSION, identity="app")[1] for _ in range(3)]
        self.assertEqual(said, ["Ok", "Ok", "450 4.7.1"])

    def test_recipients(self):
        """Recipients that don't exist count as well: guessing has a price."""
        policy = self.make(PolicyConfig(), self.limits)
        checks = policy.of_listener(MX).rcpt_checks(RelayAccess(DOMAINS, ()), [Recipients(DOMAINS)])
        said = [
            self.verdict(evaluate_rcpt(checks, BAD, FROM, recipient(name, "ours.example")))
            for name in ("x", "y", "alice")
        ]
        self.assertEqual(said, ["550 5.1.1", "550 5.1.1", "450 4.7.1"])


class HostileNamesTests(PolicyCase):
    """The name server is the client's friend."""

    def test_silence(self):
        """Names that nobody answers for: the client hears so within seconds, and nothing is left behind."""
        policy = self.make(held=None)
        rules = policy.of_listener(MX)
        door = waited(rules.door.connect(GOOD))
        self.assertNoResult(door)
        self.rig.clock.advance(5)
        self.assertEqual(self.successResultOf(door).reply.code, 421)
        self.assertEqual(self.rig.clock.getDelayedCalls(), [])
        self.assertEqual(self.rig.tasks._running, set())

    def test_when_down(self):
        """Down sources delay, or are left out, as the configuration says."""
        zone = {
            ("10.113.0.203.in-addr.arpa", RecordType.PTR): AnswerStatus.TEMPORARY,
            ("10.113.0.203.bad.example", RecordType.A): AnswerStatus.TEMPORARY,
        }
        self.assertEqual(self.visit(self.make(zone=zone), GOOD), ["421 4.7.25"])
        self.assertEqual(self.visit(self.make(zone=zone), GOOD, MX_AUTH), ["Ok", "450 4.7.25"])
        open_door = replace(FULL, when_down=WhenDown.ACCEPT, greylist=None)
        self.assertEqual(self.visit(self.make(open_door, zone=zone), GOOD), ["Ok", "Ok", "451 4.4.3"])
        open_all = replace(open_door, dnsbl=(DnsListConfig("bad.example", when_down=WhenDown.ACCEPT),))
        self.assertEqual(self.visit(self.make(open_all, zone=zone), GOOD), ["Ok", "Ok", "Ok"])

    def test_texts(self):
        """What lists and names say gets into a reply as one printable line, and into no name."""
        zone = dict(ZONE)
        zone["9.113.0.203.in-addr.arpa", RecordType.PTR] = ["x.example\r\nReceived: from bank.example"]
        policy = self.make(replace(FULL, reverse_dns=Strictness.MARK, helo=Strictness.OFF), zone=zone)
        rules = policy.of_listener(MX)
        client = self.successResultOf(waited(rules.door.connect(BAD)))
        self.assertIsNone(client.name)
        checks = rules.rcpt_checks(RelayAccess(DOMAINS, ()), ())
        refusal = self.successResultOf(waited(evaluate_rcpt(checks, client, FROM, recipient("alice", "ours.example"))))
        self.assertEqual(refusal.reply.lines, (r"Your address 203.0.113.9 is listed by bad.example: spam\r\n250 Ok",))


class CheckingReception(MemoryReception):
    """A reception that asks the rules of a listener, and takes everything else."""

    def __init__(self, rules: ListenerPolicy) -> None:
        super().__init__()
        self.rules = rules

    def mail(self, client, mail):
        """MAIL."""
        return evaluate_mail(self.rules.mail_checks, client, mail)

    def rcpt(self, client, mail, to):
        """RCPT."""
        checks = self.rules.rcpt_checks(RelayAccess(DOMAINS, MX.relay_networks), [Recipients(DOMAINS)])
        return evaluate_rcpt(checks, client, mail, to)


class WireTests(PolicyCase):
    """The same, as a client on the wire hears it."""

    def listener(self, policy, listen=MX):
        """A listener with that policy."""
        rules = policy.of_listener(listen)
        return ServerRig(CheckingReception(rules), door=rules.door)

    def deliver(self, listener, address):
        """The replies to everything up to RCPT; the codes of their lines."""
        client = listener.connect(address)
        octets = client.said()
        for line in (b"EHLO mail.remote.example", b"MAIL FROM:<bob@remote.example>", b"RCPT TO:<alice@ours.example>"):
            octets += client.send(line + b"\r\n")
        client.lose()
        return [line[:3].decode() for line in octets.split(b"\r\n") if line[3:4] == b" "]

    def test_greylisted(self):
        """A stranger hears 450 at RCPT, and 250 when it comes again."""
        listener = self.listener(self.make())
        self.assertEqual(self.deliver(listener, "203.0.113.10"), ["220", "250", "250", "450"])
        self.rig.clock.advance(300)
        self.assertEqual(self.deliver(listener, "203.0.113.10"), ["220", "250", "250", "250"])

    def test_turned_away(self):
        """Without a name 554 takes the place of the banner, with too many connections 421 does."""
        self.assertEqual(self.deliver(self.listener(self.make()), "203.0.113.9"), ["554"])
        listener = self.listener(self.make(PolicyConfig(), LimitsConfig(connections_per_minute=1)))
        self.assertEqual(self.deliver(listener, "203.0.113.9")[0], "220")
        self.assertEqual(self.deliver(listener, "203.0.113.9"), ["421"])

    def test_listed(self):
        """A listed client gets one line of reply, whatever the list has written."""
        listener = self.listener(self.make(PolicyConfig(dnsbl=(DnsListConfig("bad.example"),))))
        client = listener.connect("203.0.113.9")
        client.send(b"EHLO mail.remote.example\r\n")
        said = client.send(b"MAIL FROM:<>\r\nRCPT TO:<alice@ours.example>\r\nNOOP\r\n").split(b"\r\n")
        self.assertEqual([line[:9] for line in said], [b"250 2.1.0", b"554 5.7.1", b"250 2.0.0", b""])

    def test_gone_while_waiting(self):
        """Clients that leave while the name server thinks leave nothing behind."""
        listener = self.listener(self.make(held=None))
        for _ in range(20):
            client = listener.connect("203.0.113.10")
            self.assertEqual(client.said(), b"")
            client.lose()
        self.rig.clock.advance(5)
        self.assertEqual(self.rig.clock.getDelayedCalls(), [])
        self.assertEqual(self.rig.tasks._running, set())
        self.rig.resolver.go()
        self.rig.clock.advance(10)
        self.assertEqual(self.deliver(listener, "203.0.113.10")[0], "220")
