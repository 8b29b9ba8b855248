"""The session: transactions, one answer at a time, limits, and the end."""

# Wrong types are handed in on purpose, and boundaries replaced.
# mypy: no-check-untyped-defs

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.model.reply import reply
from smtpgw.model.verdict import ACCEPT, Refuse
from smtpgw.smtp import replies
from smtpgw.smtp.events import MailAsked, Signal
from smtpgw.smtp.extension import Facts
from smtpgw.smtp.session_rules import Phase
from tests.clauses import holds
from tests.smtp.fakes import NO_RELAY, QUEUED, CoreDriver, MemoryReception
from tests.smtp.test_session_commands import ROWS

_LATER = Refuse(reply(450, "4.2.0", "Later"), "greylist")
_GREETED = b"EHLO c.example\r\n"
_ONE = b"MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\n"
_MESSAGE = _ONE + b"DATA\r\nSubject: x\r\n\r\nbody\r\n.\r\n"


class TransactionTests(SynchronousTestCase):
    """What becomes of a message."""

    @holds(
        "5321",
        "4.1.1.4",
        "MAIL, RCPT and DATA make a message: 354 asks for content, and CR LF . CR LF gets one reply.",
    )
    def test_message(self):
        """Asked about, written, finished; the reply to the end of data is the reception's."""
        driver = CoreDriver()
        driver.feed(_GREETED)
        said = driver.feed(_MESSAGE)
        self.assertEqual(
            said,
            b"250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n354 End data with <CR><LF>.<CR><LF>\r\n" + replies.encode(QUEUED),
        )
        message = driver.reception.messages[0]
        self.assertEqual(message.content, b"Subject: x\r\n\r\nbody\r\n")
        self.assertEqual([str(recipient.mailbox) for recipient in message.envelope.recipients], ["b@y.example"])
        self.assertEqual(str(message.envelope.reverse_path), "a@x.example")
        self.assertIs(driver.session.phase, Phase.READY)

    def test_every_cut_in_two(self):
        """A session cut anywhere says the same and keeps the same."""
        raw = _GREETED + _MESSAGE + _ONE + b"DATA\r\n..a\r\n.\r\nQUIT\r\n"
        whole = CoreDriver()
        whole.feed(raw)
        for cut in range(1, len(raw)):
            driver = CoreDriver()
            driver.feed(raw[:cut])
            driver.feed(raw[cut:])
            self.assertEqual(driver.sent, whole.sent)
            self.assertEqual(
                [m.content for m in driver.reception.messages], [m.content for m in whole.reception.messages]
            )

    def test_same_recipient_twice(self):
        """Addresses repeat; each RCPT counts."""
        driver = CoreDriver()
        driver.feed(_GREETED + _ONE + b"RCPT TO:<b@y.example>\r\nDATA\r\n.\r\n")
        self.assertEqual(len(driver.reception.messages[0].envelope.recipients), 2)

    @holds("5321", "4.1.1.4", "DATA when every recipient was refused is 554, and no content begins.")
    def test_refused_recipients(self):
        """The message goes to those that were accepted; with none there is no DATA, and the transaction stays."""
        reception = MemoryReception()
        reception.on_rcpt = lambda recipient: NO_RELAY if recipient.mailbox.local == "no" else None
        driver = CoreDriver(reception)
        driver.feed(_GREETED + b"MAIL FROM:<a@x>\r\n")
        self.assertEqual(driver.feed(b"RCPT TO:<no@y>\r\n"), b"550 5.7.1 Relaying denied\r\n")
        self.assertEqual(driver.feed(b"DATA\r\n")[:10], b"554 5.5.1 ")
        self.assertEqual(driver.feed(b"RCPT TO:<yes@y>\r\nRCPT TO:<no@y>\r\nDATA\r\n.\r\n")[-7:], b"00001\r\n")
        recipients = reception.messages[0].envelope.recipients
        self.assertEqual([recipient.mailbox.local for recipient in recipients], ["yes"])

    def test_refused_mail(self):
        """There is no transaction then."""
        reception = MemoryReception()
        reception.on_mail = lambda mail: NO_RELAY
        driver = CoreDriver(reception)
        driver.feed(_GREETED)
        self.assertEqual(driver.feed(_ONE), b"550 5.7.1 Relaying denied\r\n503 5.5.1 Send MAIL first\r\n")

    def test_refused_data(self):
        """The refusal stands where the 354 would; what follows is commands, and the transaction is over."""
        reception = MemoryReception()
        reception.on_begin = lambda envelope: Refuse(reply(452, "4.3.1", "No space"), "spool")
        driver = CoreDriver(reception)
        driver.feed(_GREETED + _ONE)
        self.assertEqual(
            driver.feed(b"DATA\r\nRCPT TO:<a@x>\r\n"), b"452 4.3.1 No space\r\n503 5.5.1 Send MAIL first\r\n"
        )

    @holds("5321", "4.1.1.5", "RSET forgets the reverse-path and the recipients.")
    @holds("5321", "4.1.4", "EHLO and HELO in the middle of a transaction end it as RSET does.")
    def test_rset_forgets(self):
        """RSET, EHLO and HELO in the middle of a transaction end it (RFC 5321 section 4.1.4)."""
        for command in (b"RSET\r\n", _GREETED, b"HELO c\r\n"):
            driver = CoreDriver()
            driver.feed(_GREETED + _ONE + command)
            self.assertEqual(driver.feed(b"RCPT TO:<a@x>\r\n")[:4], b"503 ")
            driver.feed(b"MAIL FROM:<>\r\nRCPT TO:<c@z>\r\nDATA\r\n.\r\n")
            self.assertEqual(len(driver.reception.messages[0].envelope.recipients), 1)

    def test_content_is_never_commands(self):
        """A flawed message is read to its end, refused once, and the next message is taken."""
        driver = CoreDriver()
        driver.feed(_GREETED)
        said = driver.feed(_ONE + b"DATA\r\na\nb\r\nQUIT\r\n" + _ONE + b"DATA\r\n.\r\n" + _MESSAGE)
        replies_to = said.splitlines()
        self.assertEqual(replies_to[3][:11], b"550 5.6.11 ")
        self.assertEqual(len(replies_to), 8)
        self.assertTrue(driver.reception.intakes[0].is_abandoned)
        self.assertEqual([m.content for m in driver.reception.messages], [b"Subject: x\r\n\r\nbody\r\n"])

    def test_normalized(self):
        """As the listener is set, bare line ends become line ends."""
        driver = CoreDriver(normalizes=True)
        driver.feed(_GREETED + _ONE + b"DATA\r\na\nb\rc\r\n.\r\n")
        self.assertEqual(driver.reception.messages[0].content, b"a\r\nb\r\nc\r\n")


class OwingTests(SynchronousTestCase):
    """While an answer is owed nothing is read."""

    @holds(
        "2920",
        "3.2",
        "As a server, commands behind one whose answer takes time wait for it, and are then answered in their order.",
    )
    def test_pipelined_behind_a_slow_answer(self):
        """Everything waits, and is then answered in order."""
        driver = CoreDriver()
        session = driver.session
        driver.feed(_GREETED)
        session.receive(b"MAIL FROM:<a@x>\r\nRCPT TO:<b@x>\r\nNOOP\r\nQUIT\r\n")
        self.assertIsInstance(session.step(), MailAsked)
        for _ in range(3):
            self.assertIsNone(session.step())
        session.receive(b"X\r\n")
        self.assertIsNone(session.step())
        self.assertEqual(session.output, [])
        self.assertGreater(session.buffered_octets, 29)
        session.refuse(reply(451, "4.7.1", "Later"))
        self.assertEqual(driver.run().splitlines()[::2], [b"451 4.7.1 Later", b"250 2.0.0 Ok"])
        self.assertTrue(driver.is_closed)

    def test_small_pieces(self):
        """Input that comes in small pieces takes no more room than its size, and arrives whole."""
        driver = CoreDriver()
        session = driver.session
        driver.feed(_GREETED)
        session.receive(b"MAIL FROM:<a@x>\r\n")
        session.step()
        for _ in range(5000):
            session.receive(b"NO")
            session.receive(b"OP\r\n")
            self.assertLess(len(session.waiting), 130)
        session.accept()
        said = driver.run()
        self.assertEqual(said.count(b"250 2.0.0 Ok"), 5000)

    def test_quit_behind_slow_end_of_data(self):
        """The reply to the message comes first, then the farewell."""
        reception = MemoryReception()
        reception.is_late = True
        driver = CoreDriver(reception)
        driver.feed(_GREETED)
        said = driver.feed(_MESSAGE + b"QUIT\r\n")
        self.assertTrue(said.endswith(b"354 End data with <CR><LF>.<CR><LF>\r\n"))
        reception.intakes[0].done(QUEUED)
        self.assertEqual(driver.run(), replies.encode(QUEUED) + b"221 2.0.0 Bye\r\n")

    def test_421_from_outside(self):
        """Whoever answers 421 ends the session."""
        reception = MemoryReception()
        reception.final = reply(421, "4.3.2", "Going down")
        driver = CoreDriver(reception)
        driver.feed(_GREETED + _MESSAGE + b"NOOP\r\n")
        self.assertTrue(driver.sent.endswith(b"421 4.3.2 Going down\r\n"))
        self.assertTrue(driver.is_closed)
        reception = MemoryReception()
        reception.on_mail = lambda mail: Refuse(replies.TOO_MANY_FROM_CLIENT, "limits")
        driver = CoreDriver(reception)
        driver.feed(_GREETED + _ONE)
        self.assertTrue(driver.sent.endswith(replies.encode(replies.TOO_MANY_FROM_CLIENT)))
        self.assertTrue(driver.is_closed)


class LimitTests(SynchronousTestCase):
    """Every bound has its reply."""

    @holds("5321", "4.5.3.1.8", "A hundred recipients of one message are taken.")
    @holds("5321", "4.5.3.1.10", "A recipient too many is 452, and the message goes to those who were accepted.")
    def test_recipients(self):
        """From one too many on 452 4.5.3, 50,000 times if need be; the message goes to the others; told once."""
        driver = CoreDriver(recipients=100)
        driver.feed(_GREETED + b"MAIL FROM:<a@x>\r\n")
        said = driver.feed(b"RCPT TO:<b@x>\r\n" * 50_000)
        self.assertEqual(said.count(b"250 2.1.5 "), 100)
        self.assertEqual(said.count(b"452 4.5.3 "), 49_900)
        self.assertEqual([stage for stage, _, _ in driver.rejected], ["rcpt"])
        driver.feed(b"DATA\r\n.\r\n")
        self.assertEqual(len(driver.reception.messages[0].envelope.recipients), 100)

    def test_errors(self):
        """As many bad commands as allowed, then 421 4.7.0, and nothing more is read."""
        driver = CoreDriver(errors=20)
        said = driver.feed(b"FOO\r\n" * 100_000)
        self.assertEqual(said, b"500 5.5.2 Command not recognised\r\n" * 20 + b"421 4.7.0 Too many errors\r\n")
        self.assertTrue(driver.is_closed)
        self.assertEqual(driver.feed(b"NOOP\r\n"), b"")
        self.assertEqual(driver.session.buffered_octets, 0)

    def test_errors_start_anew(self):
        """A message that was taken makes up for what was wrong before."""
        driver = CoreDriver(errors=3)
        driver.feed(_GREETED)
        for _ in range(5):
            driver.feed(b"FOO\r\nFOO\r\n" + _MESSAGE)
        self.assertFalse(driver.is_closed)

    def test_messages(self):
        """After the last one MAIL gets 421 4.7.0; refused content counts as well."""
        driver = CoreDriver(messages=2)
        driver.feed(_GREETED + _MESSAGE + _ONE + b"DATA\r\na\nb\r\n.\r\n")
        self.assertEqual(driver.feed(_ONE), replies.encode(replies.TOO_MANY_MESSAGES))
        self.assertTrue(driver.is_closed)

    def test_refused_recipients(self):
        """Guessing: as many as allowed are refused, the next is 421 4.7.0; neither delays nor accepted ones count."""
        reception = MemoryReception()
        reception.on_rcpt = lambda recipient: {"no": NO_RELAY, "later": _LATER}.get(recipient.mailbox.local, ACCEPT)
        driver = CoreDriver(reception, refused_recipients=3)
        driver.feed(_GREETED + b"MAIL FROM:<a@x>\r\n")
        driver.feed(b"RCPT TO:<no@x>\r\nRCPT TO:<later@x>\r\nRCPT TO:<yes@x>\r\nRSET\r\n" * 2)
        driver.feed(b"MAIL FROM:<a@x>\r\n" + b"RCPT TO:<later@x>\r\n" * 30 + b"RCPT TO:<no@x>\r\n")
        self.assertFalse(driver.is_closed)
        said = driver.feed(b"RCPT TO:<no@x>\r\nRCPT TO:<no@x>\r\nNOOP\r\n")
        self.assertEqual(said.splitlines()[-1], b"421 4.7.0 Too many recipients were refused")
        self.assertTrue(driver.is_closed)
        self.assertEqual(driver.rejected[-1], ("rcpt", replies.TOO_MANY_REFUSED, ""))

    def test_refused_recipients_without_limit(self):
        """Zero is no limit."""
        reception = MemoryReception()
        reception.on_rcpt = lambda recipient: NO_RELAY
        driver = CoreDriver(reception)
        driver.feed(_GREETED + b"MAIL FROM:<a@x>\r\n")
        self.assertEqual(driver.feed(b"RCPT TO:<no@x>\r\n" * 500).count(b"550 5.7.1 "), 500)

    def test_long_lines(self):
        """One reply for one long line, whatever the cuts; the next command is read."""
        for size in (1, 1000, 2048, 100_000):
            raw = b"MAIL FROM:<" + b"a" * 60_000 + b"@x>\r\nNOOP\r\n"
            driver = CoreDriver()
            for begin in range(0, len(raw), size):
                driver.feed(raw[begin : begin + size])
            self.assertEqual(driver.sent, b"500 5.5.2 Line too long\r\n250 2.0.0 Ok\r\n")

    def test_unterminated_line(self):
        """A line without end is not kept, and not answered again and again."""
        driver = CoreDriver()
        for _ in range(1000):
            driver.feed(b"x" * 1000)
        self.assertEqual(driver.sent, b"")
        self.assertLessEqual(driver.session.buffered_octets, 2048)

    def test_output_is_written_in_parts(self):
        """A flood of commands does not gather a flood of replies."""
        driver = CoreDriver()
        session = driver.session
        session.receive(b"HELP\r\n" * 5000)
        largest = 0
        while (event := session.step()) is not None:
            self.assertIs(event, Signal.OUTPUT_FULL)
            largest = max(largest, len(session.output))
            session.output.clear()
        self.assertLess(largest, 300)

    @holds("5321", "4.5.3.1.6", "A text line of 300,000 octets is kept as it came.")
    def test_long_line_in_content(self):
        """Content may have long lines; they never end it."""
        driver = CoreDriver()
        driver.feed(_GREETED + _ONE + b"DATA\r\n")
        line = b"x" * 300_000
        for begin in range(0, len(line), 7000):
            driver.feed(line[begin : begin + 7000])
        self.assertEqual(driver.feed(b"\r\nMAIL FROM:<evil@x>\r\n.\r\n"), replies.encode(QUEUED))
        self.assertEqual(driver.reception.messages[0].content, line + b"\r\nMAIL FROM:<evil@x>\r\n")


class EndTests(SynchronousTestCase):
    """How a session ends."""

    def test_foreign_protocols(self):
        """An HTTP request, an SSH banner, a proxy's header, a TLS hello: one 421, and nothing else is read."""
        for first in (
            b"GET / HTTP/1.1\r\n",
            b"POST /x HTTP/1.0\r\n",
            b"CONNECT mx.example:25 HTTP/1.1\r\n",
            b"head / http/1.1\r\n".replace(b"http", b"HTTP"),
            b"SSH-2.0-OpenSSH_9\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 1 25\r\n",
            b"\x16\x03\x01\x02\x00",
        ):
            with self.subTest(first):
                driver = CoreDriver()
                driver.feed(first + b"MAIL FROM:<evil@x>\r\nEHLO x\r\n")
                self.assertEqual(driver.sent, b"421 4.7.0 This is a mail server\r\n")
                self.assertTrue(driver.is_closed)

    def test_long_request(self):
        """A request line that is too long to be read is a request all the same, and nothing behind it is read."""
        for first in (b"GET /", b"POST http://mx.example:25/"):
            driver = CoreDriver()
            driver.feed(first + b"a" * 5000 + b" HTTP/1.1\r\nHost: mx\r\n\r\nEHLO x\r\nMAIL FROM:<evil@x>\r\n")
            self.assertEqual(driver.sent, b"421 4.7.0 This is a mail server\r\n")
            self.assertTrue(driver.is_closed)

    def test_request_before_tls_is_required(self):
        """Also where nothing else is answered before TLS."""
        driver = CoreDriver(requires_tls=True)
        driver.feed(b"GET / HTTP/1.1\r\n")
        self.assertTrue(driver.is_closed)

    def test_shut_down_idle(self):
        """An idle client hears it at once."""
        driver = CoreDriver()
        driver.feed(_GREETED)
        driver.session.shut_down()
        self.assertEqual(driver.run(), replies.encode(replies.SHUTTING_DOWN))
        self.assertTrue(driver.is_closed)

    def test_shut_down_in_a_message(self):
        """A message that is being sent is taken; the client hears it behind the reply, without asking."""
        driver = CoreDriver()
        driver.feed(_GREETED + _ONE + b"DATA\r\na\r\n")
        driver.session.shut_down()
        self.assertEqual(driver.run(), b"")
        self.assertEqual(driver.feed(b".\r\n"), replies.encode(QUEUED) + replies.encode(replies.SHUTTING_DOWN))
        self.assertTrue(driver.is_closed)
        self.assertEqual(len(driver.reception.messages), 1)

    def test_shut_down_behind_refused_content(self):
        """The same when the end of data is refused by a rule of the session."""
        driver = CoreDriver()
        driver.feed(_GREETED + _ONE + b"DATA\r\na\nb\r\n")
        driver.session.shut_down()
        said = driver.feed(b".\r\n")
        self.assertEqual([line[:9] for line in said.splitlines()], [b"550 5.6.1", b"421 4.3.2"])
        self.assertTrue(driver.is_closed)

    def test_shut_down_behind_a_message_and_quit(self):
        """A QUIT that came with the end of data is answered as ever, and nothing else is said."""
        driver = CoreDriver()
        driver.feed(_GREETED + _ONE + b"DATA\r\na\r\n")
        driver.session.shut_down()
        self.assertEqual(driver.feed(b".\r\nQUIT\r\n"), replies.encode(QUEUED) + replies.encode(replies.BYE))

    def test_shut_down_with_half_a_command(self):
        """A command that is never completed keeps nobody here."""
        driver = CoreDriver()
        driver.feed(_GREETED + b"MAIL FR")
        driver.session.shut_down()
        self.assertEqual(driver.run(), replies.encode(replies.SHUTTING_DOWN))
        self.assertTrue(driver.is_closed)

    def test_shut_down_with_the_next_message_behind(self):
        """The next command is not taken."""
        driver = CoreDriver()
        driver.feed(_GREETED + _ONE + b"DATA\r\na\r\n")
        driver.session.shut_down()
        self.assertEqual(driver.run(), b"")
        self.assertEqual(
            driver.feed(b".\r\nMAIL FROM:<a@x>\r\n"), replies.encode(QUEUED) + replies.encode(replies.SHUTTING_DOWN)
        )
        self.assertEqual(len(driver.reception.messages), 1)

    def test_shut_down_in_a_transaction(self):
        """The next command is refused; QUIT is answered as ever."""
        for command, code in ((b"RCPT TO:<c@x>", b"421 4.3.2 "), (b"QUIT", b"221 2.0.0 ")):
            driver = CoreDriver()
            driver.feed(_GREETED + _ONE)
            driver.session.shut_down()
            self.assertEqual(driver.run(), b"")
            self.assertEqual(driver.feed(command + b"\r\n")[:10], code)
            self.assertTrue(driver.is_closed)

    def test_turned_away(self):
        """A 421 instead of the banner."""
        driver = CoreDriver()
        driver.session.turn_away(replies.TOO_BUSY)
        self.assertEqual(driver.run(), replies.encode(replies.TOO_BUSY))
        self.assertEqual(driver.events, [Signal.CLOSED])

    def test_dropped_content(self):
        """What the reception can't take any more is read on, and answered at its end."""
        driver = CoreDriver()
        driver.feed(_GREETED + _ONE + b"DATA\r\na\r\n")
        driver.session.drop_content(replies.TROUBLE)
        self.assertEqual(driver.feed(b"b\r\nQUIT\r\n"), b"")
        self.assertEqual(driver.feed(b".\r\n"), replies.encode(replies.TROUBLE))


class AnyInputTests(SynchronousTestCase):
    """Whatever comes, nothing is raised, and cutting changes nothing."""

    PIECES = [
        *(row[0] + b"\r\n" for row in ROWS),
        b"\r\n",
        b"\n",
        b"\r",
        b".\r\n",
        b"\r\n.\r\n",
        b"MAIL FROM:<a@x>\r\nRCPT TO:<b@x>\r\nDATA\r\n",
        b"\xff\x00",
        b"x" * 3000,
    ]

    @settings(max_examples=200, deadline=None)
    @given(st.lists(st.sampled_from(PIECES), max_size=15), st.integers(1, 50))
    def test_cut(self, pieces, size):
        """The same replies and the same messages."""
        # Input behind STARTTLS depends on when it comes.
        raw = b"".join(piece for piece in pieces if not piece.startswith(b"STARTTLS"))
        whole, cut = CoreDriver(facts=Facts()), CoreDriver(facts=Facts())
        whole.feed(raw)
        for begin in range(0, len(raw), size):
            cut.feed(raw[begin : begin + size])
        self.assertEqual(cut.sent, whole.sent)
        self.assertEqual([m.content for m in cut.reception.messages], [m.content for m in whole.reception.messages])
        self.assertLessEqual(cut.session.buffered_octets, 2048)
