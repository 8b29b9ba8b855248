"""Our client talks to our server: content arrives octet for octet, whatever it is and wherever it is cut."""

from random import Random

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.model.outcome import Relayed
from smtpgw.model.route import TlsNeed
from smtpgw.smtp.stuffing import Stuffing
from tests.smtp.fakes import CoreDriver
from tests.smtp.test_conversation import TRACE, Stage, cut, make_job

_MESSAGES = 3000
_A_CONNECTION = 50


def body(random: Random) -> bytes:
    """Lines full of dots and of what looks like commands and ends of data; the last one ends, too."""
    parts = (b".", b"..", b".\r\n", b"\r\n", b"MAIL FROM:<a@b>\r\n", b"QUIT\r\n", b"x" * 70, b"RSET", b"\xff\x80", b" ")
    content = b"".join(random.choice(parts) for _ in range(random.randrange(0, 40)))
    return content if content.endswith(b"\r\n") or not content else content + b"\r\n"


class OctetTests(SynchronousTestCase):
    """3,000 messages through both sides."""

    def pump(self, stage: Stage, server: CoreDriver, random: Random) -> None:
        """Let both talk until nobody has anything more to say; everything is cut at random."""
        said = b"220 mx.example ESMTP\r\n"
        while said:
            for piece in cut(said, "random", random):
                stage.conversation.receive(piece)
            while stage.streams:
                trace, streamed = stage.streams.pop()
                stuffing = Stuffing()
                stage.write(stuffing.take(trace))
                with streamed.open() as stream:
                    while piece := stream.read(random.randrange(1, 300)):
                        stage.write(stuffing.take(piece))
                stage.conversation.content_sent(stuffing.end())
            said = b""
            heard = stage.said()
            for piece in cut(heard, "random", random):
                said += server.feed(piece)

    def test_unchanged(self) -> None:
        """Each arrives as it was, after our trace header, and in order; half of them from memory, half from files."""
        random = Random(20261120)
        for _ in range(_MESSAGES // _A_CONNECTION):
            contents = [body(random) for _ in range(_A_CONNECTION)]
            jobs = [make_job(content=content, inline=random.random() < 0.5) for content in contents]
            stage, server = Stage(TlsNeed.OFF, *jobs), CoreDriver()
            self.pump(stage, server, random)
            arrived = [message.content for message in server.reception.messages]
            self.assertEqual(arrived, [TRACE + content for content in contents])
            self.assertEqual(len(stage.outcomes), _A_CONNECTION)
            self.assertTrue(all(isinstance(outcome, Relayed) for (outcome,) in stage.outcomes))
