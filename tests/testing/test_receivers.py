"""Tests of :mod:`smtpgw.testing.receivers` and its neighbours, on loopback."""

import smtplib
import ssl
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionRefusedError as NobodyListens
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from smtpgw.model.dns import MxRecord, RecordType
from smtpgw.testing.internet import DEAD, Internet
from smtpgw.testing.names import FakeNameServer
from smtpgw.testing.personality import CLEAR_TEXT, GOOD, OLD, OVERLOADED, REFUSES, Personality, greylisting
from smtpgw.testing.receivers import Receiver
from smtpgw.testing.submission import SubmissionRefused, submit

CONTENT = b"Subject: x\r\n\r\n.a dot\r\n..two\r\nend\r\n"


class _ReceiverTestCase(TestCase):
    timeout = 15

    def setUp(self) -> None:
        from twisted.internet import reactor

        self.reactor: Any = reactor

    def receiver(self, personality: Personality = GOOD, **options: Any) -> Receiver:
        """One that listens."""
        receiver = Receiver(self.reactor, "mx.test", personality, **options)
        receiver.listen("127.0.0.1", 0)
        self.addCleanup(lambda: Deferred.fromCoroutine(receiver.stop()))
        return receiver

    async def hand_in(self, receiver: Receiver, *recipients: str) -> str:
        """A message with our own small client."""
        return await submit(
            self.reactor, "127.0.0.1", receiver.port, "a@from.test", recipients or ("b@to.test",), CONTENT
        )

    async def assert_refused(self, receiver: Receiver, command: str, reply: str) -> None:
        """That it says no to a command."""
        with self.assertRaises(SubmissionRefused) as caught:
            await self.hand_in(receiver)
        self.assertEqual(caught.exception.command, command)
        self.assertTrue(caught.exception.reply.startswith(reply), caught.exception.reply)

    async def smtplib(self, receiver: Receiver, use: Any) -> Any:
        """Somebody else's client, in a thread."""

        def run() -> Any:
            client = smtplib.SMTP("127.0.0.1", receiver.port, timeout=5)
            try:
                return use(client)
            finally:
                client.close()

        return await deferToThread(run)


class TakingTests(_ReceiverTestCase):
    """Mail that is taken is remembered as it came."""

    async def test_message(self) -> None:
        """Envelope and content, without dot-stuffing."""
        receiver = self.receiver()
        reply = await self.hand_in(receiver, "b@to.test", "c@to.test")
        message = receiver.messages[0]
        self.assertEqual(reply, "250 2.0.0 Ok: queued as 0001")
        self.assertEqual((message.reverse_path, message.recipients), ("a@from.test", ("b@to.test", "c@to.test")))
        self.assertEqual((message.content, message.tls, message.session), (CONTENT, "", 1))
        self.assertEqual(receiver.offences, [])

    async def test_starttls_with_another_client(self) -> None:
        """TLS works, with a certificate that its authority vouches for; parameters are kept."""
        internet = Internet(self.reactor)
        ca = Path(self.mktemp())
        ca.write_bytes(internet.authority.certificate)
        receiver = self.receiver(certificate=internet.authority.issue("localhost"))

        def use(client: smtplib.SMTP) -> None:
            client._host = "localhost"  # type: ignore[attr-defined]  # what the certificate must name
            client.starttls(context=ssl.create_default_context(cafile=str(ca)))
            client.sendmail("a@from.test", ["b@to.test"], CONTENT, mail_options=["BODY=8BITMIME"])

        await self.smtplib(receiver, use)
        message = receiver.messages[0]
        self.assertTrue(message.tls.startswith("TLSv1."))
        self.assertIn("BODY=8BITMIME", message.parameters)
        self.assertEqual(message.content, CONTENT)

    async def test_offers(self) -> None:
        """What EHLO offers is what the personality has."""
        offers = await self.smtplib(self.receiver(), lambda client: (client.ehlo(), set(client.esmtp_features))[1])
        self.assertEqual(offers, {"pipelining", "8bitmime", "smtputf8", "starttls", "size", "enhancedstatuscodes"})
        plain = Personality(starttls=False, pipelining=False, eightbitmime=False, smtputf8=False, size_octets=None)
        offers = await self.smtplib(self.receiver(plain), lambda client: (client.ehlo(), set(client.esmtp_features))[1])
        self.assertEqual(offers, {"enhancedstatuscodes"})

    async def test_old(self) -> None:
        """A host that only knows HELO."""
        receiver = self.receiver(OLD)
        await self.smtplib(receiver, lambda client: client.sendmail("a@from.test", ["b@to.test"], CONTENT))
        self.assertEqual(receiver.commands[0][1][:4], b"ehlo")
        self.assertEqual(len(receiver.messages), 1)


class RefusingTests(_ReceiverTestCase):
    """All the ways to say no."""

    async def test_answers(self) -> None:
        """At every stage where there is a reply."""
        for stage, command in (
            ("connect", "connection"),
            ("ehlo", "HELO"),
            ("mail", "MAIL"),
            ("rcpt", "RCPT"),
            ("data", "DATA"),
            ("content", "content"),
        ):
            receiver = self.receiver(Personality(answers={stage: "452 4.3.1 Full"}))
            await self.assert_refused(receiver, command, "452 4.3.1 Full")
            self.assertEqual(receiver.messages, [])

    async def test_ready_made(self) -> None:
        """Those with a name."""
        await self.assert_refused(self.receiver(REFUSES), "RCPT", "550 5.1.1")
        await self.assert_refused(self.receiver(OVERLOADED), "connection", "421 4.3.2")

    async def test_one_recipient(self) -> None:
        """An answer for one address leaves the others alone."""
        receiver = self.receiver(Personality(rcpt_answers={"b@to.test": "550 5.1.1 Unknown"}))
        await self.assert_refused(receiver, "RCPT", "550 5.1.1 Unknown")
        await self.hand_in(receiver, "c@to.test")
        self.assertEqual(receiver.messages[0].recipients, ("c@to.test",))

    async def test_greylisting(self) -> None:
        """A triplet is refused until it is old enough; another starts anew."""
        receiver = self.receiver(greylisting(0.2))
        await self.assert_refused(receiver, "RCPT", "451 4.7.1")
        await self.assert_refused(receiver, "RCPT", "451 4.7.1")
        delayed: Deferred[None] = Deferred()
        self.reactor.callLater(0.25, delayed.callback, None)
        await delayed
        await self.hand_in(receiver)
        with self.assertRaises(SubmissionRefused):
            await self.hand_in(receiver, "other@to.test")

    async def test_dropped(self) -> None:
        """The connection ends at any stage."""
        for stage in ("connect", "ehlo", "mail", "rcpt", "data", "content"):
            receiver = self.receiver(Personality(drop_at=stage))
            with self.assertRaises(Exception) as caught:
                await self.hand_in(receiver)
            self.assertNotIsInstance(caught.exception, SubmissionRefused)
            self.assertEqual(receiver.messages, [])

    async def test_slow(self) -> None:
        """Each reply takes its time, and all of them come."""
        receiver = self.receiver(Personality(delay_seconds=0.03))
        start = self.reactor.seconds()
        await self.hand_in(receiver)
        self.assertGreater(self.reactor.seconds() - start, 0.15)

    async def test_size(self) -> None:
        """Too large a message, with or without the SIZE parameter."""
        receiver = self.receiver(Personality(size_octets=10))
        await self.assert_refused(receiver, "content", "552 5.3.4")
        code, _ = await self.smtplib(receiver, lambda client: (client.ehlo(), client.mail("a@b.c", ["SIZE=11"]))[1])
        self.assertEqual(code, 552)

    async def test_needs_tls(self) -> None:
        """Mail only after STARTTLS; and STARTTLS that is none."""
        await self.assert_refused(self.receiver(Personality(requires_tls=True)), "MAIL", "530 5.7.0")

        def use(client: smtplib.SMTP) -> str:
            try:
                client.starttls()
            except (ssl.SSLError, OSError) as trouble:
                return type(trouble).__name__
            return "worked"

        self.assertNotEqual(await self.smtplib(self.receiver(Personality(broken_tls=True)), use), "worked")

    async def test_limits(self) -> None:
        """Messages in a connection, and connections."""

        def use(client: smtplib.SMTP) -> int:
            client.sendmail("a@from.test", ["b@to.test"], CONTENT)
            return client.mail("a@from.test")[0]

        self.assertEqual(await self.smtplib(self.receiver(Personality(max_messages=1)), use), 421)
        receiver = self.receiver(Personality(max_connections=0))
        await self.assert_refused(receiver, "connection", "421 4.7.0")


class StarttlsTests(_ReceiverTestCase):
    """The handshake comes after the reply, whatever that is and whenever."""

    async def test_slow(self) -> None:
        """Also when replies take their time."""
        receiver = self.receiver(Personality(delay_seconds=0.02))

        def use(client: smtplib.SMTP) -> None:
            client.starttls()
            client.sendmail("a@from.test", ["b@to.test"], CONTENT)

        await self.smtplib(receiver, use)
        self.assertTrue(receiver.messages[0].tls.startswith("TLSv1."))

    async def test_refused(self) -> None:
        """A refused STARTTLS leaves the connection as it was."""
        receiver = self.receiver(Personality(answers={"starttls": "454 4.7.0 Not now"}))

        def use(client: smtplib.SMTP) -> None:
            self.assertRaises(smtplib.SMTPResponseException, client.starttls)
            client.sendmail("a@from.test", ["b@to.test"], CONTENT)

        await self.smtplib(receiver, use)
        self.assertEqual(receiver.messages[0].tls, "")


class OffenceTests(_ReceiverTestCase):
    """What a client must not do."""

    async def offences(self, octets: bytes, personality: Personality = CLEAR_TEXT) -> list[str]:
        """Of a client that sends all this at once."""
        receiver = self.receiver(personality)

        def use(client: smtplib.SMTP) -> None:
            assert client.sock is not None
            client.sock.sendall(octets)
            while client.getreply()[0] not in (220, 221, -1):
                pass

        await self.smtplib(receiver, use)
        return receiver.offences

    async def test_bare_line_ends(self) -> None:
        """A bare LF in content, and a command that ends in one."""
        start = b"HELO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n"
        self.assertEqual(await self.offences(start + b"a\nb\r\n.\r\nQUIT\r\n"), ["a bare CR or LF in content"])
        self.assertEqual(len(await self.offences(b"HELO x\nQUIT\r\n")), 1)

    async def test_pipelining(self) -> None:
        """Commands that are sent before the reply, where that isn't offered."""
        self.assertEqual(await self.offences(b"HELO x\r\nQUIT\r\n"), [])
        self.assertEqual(len(await self.offences(b"HELO x\r\nQUIT\r\n", Personality(pipelining=False))), 1)

    async def test_before_the_handshake(self) -> None:
        """Octets behind STARTTLS."""
        self.assertEqual(
            await self.offences(b"EHLO x\r\nSTARTTLS\r\nQUIT\r\n", Personality(broken_tls=True)),
            ["octets behind STARTTLS"],
        )


class InternetTests(_ReceiverTestCase):
    """Names and hosts together."""

    async def test_composition(self) -> None:
        """Hosts have addresses of their own on one port; dead ones nobody listens at; names lead there."""
        internet = Internet(self.reactor)
        internet.add_domain("two.test", {"mx1.two.test": DEAD, "mx2.two.test": GOOD})
        internet.add_domain("shared.test", {"mx2.two.test": GOOD, "mx3.test": REFUSES})
        internet.add_domain("none.test", {})
        await internet.start()
        self.addCleanup(lambda: Deferred.fromCoroutine(internet.stop()))
        self.assertEqual(
            internet.names.zone["two.test", RecordType.MX], [MxRecord(10, "mx1.two.test"), MxRecord(20, "mx2.two.test")]
        )
        self.assertEqual(internet.names.zone["none.test", RecordType.MX], [MxRecord(0, "")])
        self.assertEqual(len(set(internet.addresses.values())), 3)
        await submit(
            self.reactor, internet.addresses["mx2.two.test"], internet.port, "a@b.test", ["c@two.test"], CONTENT
        )
        self.assertEqual(len(internet.receivers["mx2.two.test"].messages), 1)
        with self.assertRaises(NobodyListens):
            await submit(self.reactor, internet.addresses["mx1.two.test"], internet.port, "a@b.test", ["c@d"], CONTENT)

    async def test_too_many(self) -> None:
        """There are no more addresses than 127.0.0.0/24 has."""
        internet = Internet(self.reactor)
        for number in range(253):
            internet.add_host(f"mx{number}.test", DEAD)
        with self.assertRaises(ValueError):
            internet.add_host("mx.test", DEAD)


class NameServerTests(_ReceiverTestCase):
    """The name server by itself; what it answers is tested with the resolver."""

    def test_what_is_no_question(self) -> None:
        """Rubbish, and answers, get no answer."""
        server = FakeNameServer(self.reactor)
        for wire in (b"", b"\x00" * 12, bytes(range(200)), b"\x12\x34\x81\x80" + b"\x00" * 8):
            self.assertEqual(server.answers(wire, "udp"), [])
        self.assertEqual(server.questions, [])
