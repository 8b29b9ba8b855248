"""Content by BDAT (RFC 3030), and what is refused in content by DATA."""

# Wrong types are handed in on purpose, and boundaries replaced.
# mypy: no-check-untyped-defs

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.model.reply import reply
from smtpgw.model.verdict import Refuse
from smtpgw.smtp import replies
from smtpgw.smtp.events import ContentRead, DataAsked, Signal
from smtpgw.smtp.session_rules import Phase
from tests.clauses import holds
from tests.smtp.fakes import NO_RELAY, QUEUED, CoreDriver, MemoryReception

_GREETED = b"EHLO c.example\r\n"
_ONE = b"MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\n"
_QUEUED = replies.encode(QUEUED)


def codes(said):
    """The first three digits and the status of each reply."""
    return [line[:9] for line in said.splitlines()]


class ChunkTests(SynchronousTestCase):
    """A message in chunks."""

    def start(self, **rules):
        """A driver in a transaction with one recipient."""
        driver = CoreDriver(MemoryReception(), **rules)
        driver.feed(_GREETED + _ONE)
        return driver

    def contents(self, driver):
        """Of the messages that were taken."""
        return [message.content for message in driver.reception.messages]

    @holds("3030", "2", "Each BDAT gets one reply behind its octets, the last one that of the message.")
    @holds("2920", "3.1", "As a server, chunks may be pipelined with other commands.")
    def test_pipelined(self):
        """Everything in one segment, with the next message behind it."""
        driver = CoreDriver()
        driver.feed(_GREETED)
        said = driver.feed(
            _ONE
            + b"BDAT 8\r\nSubject:BDAT 4\r\n x\r\nBDAT 6 LAST\r\n\r\n.\r\nq"
            + _ONE
            + b"BDAT 3 LAST\r\nz\r\nQUIT\r\n"
        )
        self.assertEqual(
            said,
            b"250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n250 2.0.0 8 octets received\r\n250 2.0.0 4 octets received\r\n"
            + _QUEUED
            + b"250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n"
            + _QUEUED
            + b"221 2.0.0 Bye\r\n",
        )
        self.assertEqual(self.contents(driver), [b"Subject: x\r\n\r\n.\r\nq\r\n", b"z\r\n"])

    def test_events(self):
        """The reception is asked once, before the first octet; content flows as it comes."""
        driver = self.start()
        driver.feed(b"BDAT 4\r\nab")
        driver.feed(b"cdBDAT 0\r\nBDAT 0 LAST\r\n")
        kinds = [event for event in driver.events if isinstance(event, DataAsked | ContentRead)]
        self.assertIsInstance(kinds[0], DataAsked)
        self.assertEqual(kinds[1:], [ContentRead(b"ab", False), ContentRead(b"cd", False), ContentRead(b"\r\n", True)])

    def test_empty(self):
        """LAST of no octets ends a message; one without any octet is empty."""
        driver = self.start()
        self.assertEqual(driver.feed(b"BDAT 3\r\na\r\nBDAT 0 LAST\r\n"), b"250 2.0.0 3 octets received\r\n" + _QUEUED)
        self.assertEqual(codes(driver.feed(_ONE + b"BDAT 0 LAST\r\n"))[2:], [b"250 2.0.0"])
        self.assertEqual(self.contents(driver), [b"a\r\n", b""])

    def test_every_cut_in_two(self):
        """A session cut anywhere says the same and keeps the same."""
        raw = (
            _GREETED
            + _ONE
            + b"BDAT 5\r\na\r\nb\rBDAT 4 LAST\r\n\n\r\ncNOOP\r\n"
            + _ONE
            + b"BDAT 2\r\na\nBDAT 1 LAST\r\nxQUIT\r\n"
        )
        whole = CoreDriver()
        whole.feed(raw)
        self.assertEqual(self.contents(whole), [b"a\r\nb\r\n\r\nc\r\n"])
        for cut in range(1, len(raw)):
            driver = CoreDriver()
            driver.feed(raw[:cut])
            driver.feed(raw[cut:])
            self.assertEqual(driver.sent, whole.sent)
            self.assertEqual(self.contents(driver), self.contents(whole))

    @holds("3030", "2", "The octets of a BDAT that has no place are read and dropped, then it is answered.")
    def test_misplaced(self):
        """Without EHLO, MAIL or a recipient: the octets are dropped, and there is one reply."""
        evil = b"MAIL FROM:<evil@x>\r\nRSET\r\n"
        chunk = b"BDAT %d LAST\r\n" % len(evil) + evil
        refusing = MemoryReception()
        refusing.on_rcpt = lambda recipient: NO_RELAY
        for driver, before, code in (
            (CoreDriver(), b"", b"503 5.5.1 Send EHLO"),
            (CoreDriver(), b"HELO c\r\n", b"503 5.5.1 Send EHLO"),
            (CoreDriver(), _GREETED, b"503 5.5.1 Send MAIL"),
            (CoreDriver(), _GREETED + b"MAIL FROM:<a@x>\r\n", b"503 5.5.1 Send RCPT"),
            (CoreDriver(refusing), _GREETED + _ONE, b"554 5.5.1 No valid"),
            (CoreDriver(requires_tls=True), _GREETED, b"530 5.7.0 "),
            (CoreDriver(requires_auth=True), _GREETED, b"530 5.7.0 "),
        ):
            driver.feed(before)
            phase = driver.session.phase
            said = driver.feed(chunk + b"NOOP\r\n")
            self.assertEqual(said[: len(code)], code)
            self.assertTrue(said.endswith(replies.OK))
            self.assertEqual((said.count(b"\r\n"), driver.session.phase), (2, phase))
            self.assertEqual(driver.session.errors, 1)

    @holds("3030", "2", "Behind a BDAT, DATA is 503; RSET forgets the chunks that have come.")
    def test_commands_between_chunks(self):
        """MAIL, RCPT, DATA, STARTTLS and AUTH have no place there; NOOP has; the message is not harmed."""
        driver = self.start()
        driver.feed(b"BDAT 3\r\na\r\n")
        self.assertIs(driver.session.phase, Phase.CHUNKS)
        for command in (_ONE[:25], b"RCPT TO:<c@x>\r\n", b"DATA\r\n", b"STARTTLS\r\n"):
            self.assertEqual(codes(driver.feed(command)), [b"503 5.5.1"])
        self.assertEqual(driver.feed(b"NOOP\r\n"), replies.OK)
        self.assertEqual(driver.feed(b"BDAT 3 LAST\r\nb\r\n"), _QUEUED)
        self.assertEqual(self.contents(driver), [b"a\r\nb\r\n"])

    def test_given_up(self):
        """RSET, EHLO and HELO between chunks: what has come is forgotten, and there may be a new message."""
        for command in (b"RSET\r\n", _GREETED, b"HELO c\r\n"):
            driver = self.start()
            driver.feed(b"BDAT 3\r\na\r\n")
            driver.feed(command)
            self.assertTrue(driver.reception.intakes[0].is_abandoned)
            self.assertEqual(driver.events.count(Signal.GREETED), 1 + (command != b"RSET\r\n"))
            self.assertEqual(driver.events.count(Signal.CONTENT_DROPPED), 1)
            driver.feed(_GREETED + _ONE + b"BDAT 1 LAST\r\nb")
            self.assertEqual(self.contents(driver), [b"b\r\n"])

    def test_without_line_end(self):
        """A message that does not end in CR LF gets one, wherever its last chunk was cut."""
        for chunks, content in (
            (b"BDAT 1 LAST\r\na", b"a\r\n"),
            (b"BDAT 3 LAST\r\na\r\n", b"a\r\n"),
            (b"BDAT 2\r\na\rBDAT 1 LAST\r\n\n", b"a\r\n"),
            (b"BDAT 3\r\na\r\nBDAT 0 LAST\r\n", b"a\r\n"),
            (b"BDAT 1\r\na" + b"BDAT 0\r\n" + b"BDAT 0 LAST\r\n", b"a\r\n"),
        ):
            driver = self.start()
            driver.feed(chunks)
            self.assertEqual(self.contents(driver), [content])

    def test_size_is_one_reply(self):
        """Too large by announcement: all of it is dropped, nothing of it is kept, and there is one reply."""
        driver = self.start(message_size=1000)
        driver.feed(b"BDAT 100000\r\n")
        for _ in range(100):
            self.assertEqual(driver.feed(b"x" * 1000 if _ < 99 else b"x" * 999), b"")
            self.assertLess(driver.session.buffered_octets, 10)
        self.assertEqual(codes(driver.feed(b"xNOOP\r\n")), [b"552 5.3.4", b"250 2.0.0"])
        self.assertEqual(driver.reception.intakes, [])

    def test_size_of_all(self):
        """The limit is that of the message, however it is cut."""
        driver = self.start(message_size=1000)
        said = driver.feed(b"BDAT 600\r\n" + b"x" * 600 + b"BDAT 401 LAST\r\n" + b"y" * 401)
        self.assertEqual(codes(said), [b"250 2.0.0", b"552 5.3.4"])
        self.assertTrue(driver.reception.intakes[0].is_abandoned)
        self.assertEqual([stage for stage, _, _ in driver.rejected], ["content"])
        driver.feed(_ONE + b"BDAT 600\r\n" + b"x" * 600 + b"BDAT 400 LAST\r\n" + b"y" * 400)
        self.assertEqual(len(driver.reception.messages), 1)

    def test_no_allocation(self):
        """An announcement costs nothing."""
        driver = self.start()
        driver.feed(b"BDAT " + b"9" * 20 + b"\r\nabc")
        self.assertEqual(driver.session.buffered_octets, 0)
        self.assertEqual(driver.reception.intakes[0].content, b"abc")

    def test_refused(self):
        """What the reception says to the first chunk stands behind its octets; the rest of the message is dropped."""
        reception = MemoryReception()
        reception.on_begin = lambda envelope: Refuse(reply(452, "4.3.1", "No space"), "spool")
        driver = CoreDriver(reception)
        driver.feed(_GREETED + _ONE)
        said = driver.feed(b"BDAT 6\r\nRSET\r\nBDAT 6\r\nQUIT\r\nBDAT 6 LAST\r\nQUIT\r\n" + b"NOOP\r\n")
        self.assertEqual(codes(said), [b"452 4.3.1", b"503 5.5.1", b"503 5.5.1", b"250 2.0.0"])
        self.assertEqual(driver.session.errors, 0)

    def test_pipelined_behind_a_refused_chunk(self):
        """However many there are: each is answered 503, none ends the session, none begins a message."""
        driver = self.start(errors=3)
        said = driver.feed(b"BDAT 2\r\na\n" + b"BDAT 3\r\na\r\n" * 100 + b"RCPT TO:<c@x>\r\nBDAT 0 LAST\r\n")
        self.assertEqual(codes(said), [b"550 5.6.1", *[b"503 5.5.1"] * 102])
        self.assertFalse(driver.is_closed)
        self.assertEqual(self.contents(driver), [])
        driver.feed(_ONE + b"BDAT 1 LAST\r\nx")
        self.assertEqual(self.contents(driver), [b"x\r\n"])

    def test_recipient_between_refused_chunks(self):
        """A message whose beginning was dropped is not taken because a recipient was accepted later."""
        driver = CoreDriver()
        driver.feed(_GREETED + b"MAIL FROM:<a@x>\r\n")
        said = driver.feed(b"BDAT 1\r\naRCPT TO:<b@x>\r\nBDAT 1 LAST\r\nbBDAT 1 LAST\r\nc")
        self.assertEqual(codes(said), [b"503 5.5.1", b"250 2.1.5", b"503 5.5.1", b"250 2.0.0"])
        self.assertEqual(self.contents(driver), [b"c\r\n"])

    @holds("5321", "2.3.8", "Bare CR and LF in chunks are refused, also across their borders.")
    def test_flaws(self):
        """At the chunk in which it shows; half of a line end at a chunk's end is none yet."""
        for chunks, expected in (
            (b"BDAT 2\r\na\n", [b"550 5.6.1"]),
            (b"BDAT 2\r\na\rBDAT 1 LAST\r\nb", [b"250 2.0.0", b"550 5.6.1"]),
            (b"BDAT 2\r\na\rBDAT 0\r\nBDAT 1 LAST\r\n\n", [b"250 2.0.0", b"250 2.0.0", b"250 2.0.0"]),
            (b"BDAT 2\r\na\rBDAT 0 LAST\r\n", [b"250 2.0.0", b"550 5.6.1"]),
            (b"BDAT 1\r\naBDAT 1 LAST\r\n\n", [b"250 2.0.0", b"550 5.6.1"]),
            (b"BDAT 2 LAST\r\na\r", [b"550 5.6.1"]),
            (b"BDAT 2 LAST\r\na\0", [b"550 5.6.0"]),
        ):
            driver = self.start()
            self.assertEqual(codes(driver.feed(chunks)), expected, chunks)
            self.assertEqual(codes(driver.feed(b"NOOP\r\n")), [b"250 2.0.0"])

    def test_normalized(self):
        """As with DATA, where the listener is set so."""
        driver = self.start(normalizes=True)
        driver.feed(b"BDAT 4\r\na\nb\rBDAT 4 LAST\r\nc\0\nd")
        self.assertEqual(self.contents(driver), [b"a\r\nb\r\nc\r\nd\r\n"])

    def test_trouble(self):
        """A reception that can't write any more: the chunk is read to its end, then that is said."""
        driver = self.start()
        driver.feed(b"BDAT 5\r\nab")
        driver.session.drop_content(replies.TROUBLE)
        driver.reception.intakes[0].abandon()
        said = driver.feed(b"cdeBDAT 1 LAST\r\nx")
        self.assertEqual(codes(said), [b"451 4.3.0", b"503 5.5.1"])
        self.assertEqual(driver.reception.messages, [])

    def test_shut_down(self):
        """A message whose chunks are coming is taken; behind it the client hears that it is over."""
        driver = self.start()
        driver.feed(b"BDAT 3\r\na")
        driver.session.shut_down()
        self.assertEqual(driver.feed(b"\r\n"), b"250 2.0.0 3 octets received\r\n")
        self.assertEqual(driver.feed(b"BDAT 1 LAST\r\nb"), _QUEUED + replies.encode(replies.SHUTTING_DOWN))
        self.assertTrue(driver.is_closed)
        driver = self.start()
        driver.feed(b"BDAT 3\r\na\r\n")
        driver.session.shut_down()
        self.assertEqual(driver.feed(b"RSET\r\n"), replies.encode(replies.SHUTTING_DOWN))

    def test_messages(self):
        """Each counts, refused ones as well."""
        driver = CoreDriver(messages=2)
        driver.feed(_GREETED + _ONE + b"BDAT 1 LAST\r\na" + _ONE + b"BDAT 1\r\n\nBDAT 0 LAST\r\n")
        self.assertEqual(codes(driver.feed(_ONE)), [b"421 4.7.0"])

    @settings(max_examples=200, deadline=None)
    @given(
        st.lists(st.sampled_from([b"a", b"\r\n", b"\r", b"\n", b".", b"\0", b".\r\n", b"bc d"]), max_size=12),
        st.lists(st.integers(0, 30), max_size=5),
        st.booleans(),
    )
    def test_as_by_data(self, pieces, cuts, normalizes):
        """The same content by BDAT, in any chunks, becomes the same message as by DATA, or is refused alike."""
        content = b"".join(pieces) + b"\r\n"
        stuffed = (b"\r\n" + content).replace(b"\r\n.", b"\r\n..")[2:]
        by_data, by_chunks = self.start(normalizes=normalizes), self.start(normalizes=normalizes)
        by_data.feed(b"DATA\r\n" + stuffed + b".\r\n")
        places = sorted({min(cut, len(content)) for cut in cuts})
        parts = [content[a:b] for a, b in zip([0, *places], [*places, len(content)], strict=True)]
        for number, part in enumerate(parts):
            last = b" LAST" if number == len(parts) - 1 else b""
            by_chunks.feed(b"BDAT %d%s\r\n" % (len(part), last) + part)
        self.assertEqual(self.contents(by_chunks), self.contents(by_data))


class RefusedEndTests(SynchronousTestCase):
    """What looks like an end of data and is none, by DATA."""

    VARIANTS = (
        b"\n.\n",
        b"\n.\r\n",
        b"\r\n.\n",
        b"\r.\r",
        b"\r\n.\r",
        b"\r.\r\n",
        b"\n.\r",
        b"\r\n\0.\r\n",
        b"\r\n.\0\r\n",
        b"\r\n.\r\0\n",
        b"\r\0\n.\r\n",
        b"\r\n .\r\n",
        b"\r\n. \r\n",
    )

    @holds("5321", "4.1.1.4", "Nothing but CR LF . CR LF ends data, and what follows a refused variant is content.")
    def test_variants(self):
        """The commands behind it are content; the message is refused, or kept with them in it, and once."""
        for variant in self.VARIANTS:
            for normalizes in (False, True):
                with self.subTest(variant, normalizes=normalizes):
                    driver = CoreDriver(normalizes=normalizes)
                    driver.feed(_GREETED + _ONE + b"DATA\r\n")
                    evil = b"MAIL FROM:<evil@x>\r\nRCPT TO:<c@x>\r\nDATA\r\nevil"
                    self.assertEqual(driver.feed(b"body" + variant + evil), b"")
                    said = driver.feed(b"\r\n.\r\n")
                    self.assertEqual(said.count(b"\r\n"), 1)
                    self.assertEqual(len(driver.reception.mails), 1)
                    has_flaw = b" " not in variant and not normalizes
                    self.assertEqual(said[:3], b"550" if has_flaw else b"250")
                    for message in driver.reception.messages:
                        self.assertIn(b"evil", message.content)
                        self.assertNotRegex(message.content, rb"(?<!\r)\n|\r(?!\n)|\0")

    def test_one_octet_at_a_time(self):
        """The same, as slowly as it can come."""
        for variant in self.VARIANTS:
            driver = CoreDriver()
            driver.feed(_GREETED + _ONE + b"DATA\r\n")
            for octet in b"x" + variant + b"RSET\r\n":
                self.assertEqual(driver.feed(bytes((octet,))), b"")
            self.assertIs(driver.session.phase, Phase.CONTENT)
