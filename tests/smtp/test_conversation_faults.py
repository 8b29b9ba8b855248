"""Every fault at every stage ends in the right outcome for each recipient, whatever the cut."""

from random import Random

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.boundaries.relay import LinkFailure
from smtpgw.model.outcome import Delayed, Failed, Outcome, Relayed, Scope
from smtpgw.model.reply import Reply
from smtpgw.model.route import TlsNeed
from smtpgw.smtp.conversation import Phase
from tests.clauses import holds
from tests.smtp.test_conversation import HOP_NAMES, Receiver, Stage, cut, make_job, relayed

_DROP = b"<drop>"
_SILENCE = b"<silence>"

_GARBAGE = {
    "drop": _DROP,
    "drop in a reply": b"250-first line\r\n25" + _DROP,
    "silence": _SILENCE,
    "silence in a reply": b"250 half a li" + _SILENCE,
    "garbage": b"what do you want?\r\n",
    "octets": bytes(range(128, 200)) + b"\r\n",
    "endless line": b"250 " + b"x" * 5000,
    "endless reply": b"250-x\r\n" * 200,
    "two codes": b"250-ok\r\n550 no\r\n",
    "wrong digit": b"150 preliminary\r\n",
    "long code": b"2500 ok\r\n",
    "signed code": b"+25 ok\r\n",
    "empty line": b"\r\n",
}
"""Faults after which nothing is known, and the connection is of no use."""

_REFUSALS = {
    "451": (b"451 4.3.0 later\r\n", Reply(451, "4.3.0", ("later",))),
    "451 in two lines": (b"451-4.3.0 later\r\n451 4.3.0 please\r\n", Reply(451, "4.3.0", ("later", "please"))),
    "554": (b"554 5.7.1 never\r\n", Reply(554, "5.7.1", ("never",))),
    "554, 8-bit": (b"554 5.7.1 nie\xe4\r\n", Reply(554, "5.7.1", ("nie\ufffd",))),
}
_STAGES = [("MAIL", 1), ("RCPT", 1), ("RCPT", 2), ("DATA", 1), (".", 1)]
_CUTS = ["whole", "octets", "random"]
_KEYWORDS = [(), ("PIPELINING",)]


def run(stage: Stage, receiver: Receiver, how: str) -> None:
    """Like ``converse``, with a host that drops the connection or falls silent at its fault."""
    random = Random(5)
    octets = receiver.greet()
    while octets:
        octets, _, broken = octets.partition(b"<")
        for piece in cut(octets, how, random):
            stage.conversation.receive(piece)
        if broken.startswith(b"drop"):
            stage.conversation.lost("dropped")
        elif broken:
            stage.conversation.expire()
        octets = b"" if stage.conversation.phase is Phase.CLOSED else receiver.feed(stage.said())


class TransactionTests(SynchronousTestCase):
    """Faults from MAIL to the end of data, with two recipients and another job behind."""

    def outcomes(self, fault: bytes, where: tuple[str, int]) -> list[list[tuple[Outcome, ...]]]:
        """The outcomes of both jobs for every cut, with and without PIPELINING."""
        results = []
        for keywords in _KEYWORDS:
            for how in _CUTS:
                jobs = make_job("b@example.net", "c@example.net"), make_job("d@example.net")
                stage = Stage(TlsNeed.OFF, *jobs)
                run(stage, Receiver(*keywords, faults={where: fault}), how)
                sent = [event[1] for event in stage.events if event[0] == "finished"]
                self.assertEqual(len(sent), 2 - len(stage.jobs), "every job is reported once")
                self.assertEqual(stage.names.count("gone"), int(stage.conversation.phase is Phase.CLOSED))
                results.append(stage.outcomes)
        return results

    @holds("5321", "4.2.1", "As a client, 4yz delays and 5yz fails: at RCPT that recipient, elsewhere the message.")
    def test_refusals(self) -> None:
        """4xx delays and 5xx fails: at RCPT the recipient, elsewhere the message. The next message goes through."""
        for octets, reply in _REFUSALS.values():
            kind = Delayed if reply.is_transient else Failed
            for where in _STAGES:
                for first, second in self.outcomes(octets, where):
                    self.assertEqual(second, (relayed(),), where)
                    verb, number = where
                    command = "the end of data" if verb == "." else verb
                    scope = Scope.RECIPIENT if verb == "RCPT" else Scope.MESSAGE
                    refused = kind(reply.status, f"mx.example.net refused {command}", scope, reply, *HOP_NAMES)
                    expected: list[Outcome] = [refused, refused]
                    if verb == "RCPT":
                        expected[2 - number] = relayed()
                    self.assertEqual(list(first), expected, where)

    def test_every_recipient_refused(self) -> None:
        """When nobody is left no content is sent, even if the host asks for some."""
        for data in [b"503 5.5.1 nobody\r\n", b"354 go\r\n"]:
            for keywords in _KEYWORDS:
                for how in _CUTS:
                    faults = {("RCPT", 1): b"550 5.1.1 no\r\n", ("RCPT", 2): b"450 4.2.1 no\r\n", ("DATA", 1): data}
                    if not keywords:
                        del faults["DATA", 1]
                    jobs = make_job("b@example.net", "c@example.net"), make_job("d@example.net")
                    stage = Stage(TlsNeed.OFF, *jobs)
                    receiver = Receiver(*keywords, faults=faults)
                    run(stage, receiver, how)
                    first, second = stage.outcomes[0]
                    assert isinstance(first, Failed)
                    assert isinstance(second, Delayed)
                    self.assertEqual([first.scope, second.scope], [Scope.RECIPIENT, Scope.RECIPIENT])
                    self.assertEqual(stage.outcomes[1], (relayed(),))
                    self.assertEqual(len(receiver.messages), 1)

    def test_reset(self) -> None:
        """RSET goes out only before a transaction that follows one the host has open still."""
        for keywords in _KEYWORDS:
            for where, resets in [(("MAIL", 1), 0), (("RCPT", 1), 1), (("DATA", 1), 1), ((".", 1), 0)]:
                stage = Stage(TlsNeed.OFF, make_job(), make_job())
                receiver = Receiver(*keywords, faults={where: b"450 no\r\n"})
                run(stage, receiver, "whole")
                self.assertEqual(receiver.verbs.count("RSET"), resets, where)
                self.assertEqual(stage.outcomes[1], (relayed(),))

    def test_reset_refused(self) -> None:
        """A host that refuses RSET can't be brought back into step: the next job is delayed, for the host."""
        for keywords in _KEYWORDS:
            stage = Stage(TlsNeed.OFF, make_job(), make_job())
            run(stage, Receiver(*keywords, faults={("RCPT", 1): b"450 no\r\n", ("RSET", 1): b"500 no\r\n"}), "whole")
            ((_,), (second,)) = stage.outcomes
            assert isinstance(second, Delayed)
            self.assertEqual(second.scope, Scope.HOST)

    def test_closing(self) -> None:
        """421 at any stage is about the host: who has no result of his own yet is delayed, also the next job."""
        reply = Reply(421, "4.3.2", ("going down",))
        delayed = Delayed("4.3.2", "the host closes the connection", Scope.HOST, reply, *HOP_NAMES)
        for where in _STAGES:
            for result in self.outcomes(b"421 4.3.2 going down\r\n", where):
                for outcomes in result:
                    self.assertEqual(set(outcomes), {delayed}, where)

    def test_nothing_known(self) -> None:
        """Drop, silence and garbage delay: before the content because of the host, at its end this message only."""
        for name, fault in _GARBAGE.items():
            for where in _STAGES:
                for result in self.outcomes(fault, where):
                    for number, outcomes in enumerate(result):
                        for outcome in outcomes:
                            assert isinstance(outcome, Delayed), (name, where, outcome)
                            scope = Scope.MESSAGE if where[0] == "." and number == 0 else Scope.HOST
                            self.assertEqual(outcome.scope, scope, (name, where))
                            self.assertTrue(outcome.status in {"4.4.2", "4.5.0"})

    def test_wrong_codes(self) -> None:
        """A 3xx where none belongs, or a 2xx to DATA, is no success and no refusal."""
        for where in _STAGES:
            for fault in [b"334 go\r\n", b"250 ok\r\n"] if where[0] == "DATA" else [b"354 go\r\n", b"300 x\r\n"]:
                for first, *_ in self.outcomes(fault, where):
                    for outcome in first:
                        assert isinstance(outcome, Delayed)
                        self.assertEqual(outcome.status, "4.5.0")

    def test_own_results_stay(self) -> None:
        """A drop doesn't touch a recipient who was refused before."""
        for keywords in _KEYWORDS:
            faults = {("RCPT", 1): b"550 5.1.1 no\r\n", ("DATA", 1): _DROP}
            stage = Stage(TlsNeed.OFF, make_job("b@example.net", "c@example.net"))
            run(stage, Receiver(*keywords, faults=faults), "whole")
            ((first, second),) = stage.outcomes
            self.assertIsInstance(first, Failed)
            self.assertIsInstance(second, Delayed)

    @holds(
        "5321",
        "4.5.3.1.10",
        "As a client, 552 to a recipient behind an accepted one delays as 452 does, unless its status says otherwise.",
    )
    def test_too_many_recipients(self) -> None:
        """452 delays the rest, and so does its old form 552; a full mailbox's 552 fails."""
        for octets, kind in [
            (b"452 4.5.3 too many\r\n", Delayed),
            (b"552 too many\r\n", Delayed),
            (b"552 5.5.3 too many\r\n", Delayed),
            (b"552 5.2.2 mailbox full\r\n", Failed),
        ]:
            for first, _ in self.outcomes(octets, ("RCPT", 2)):
                self.assertEqual(first[0], relayed())
                self.assertIsInstance(first[1], kind)
                assert not isinstance(first[1], Relayed)
                self.assertEqual(getattr(first[1], "scope", None), Scope.RECIPIENT)
        for first, _ in self.outcomes(b"552 no\r\n", ("RCPT", 1)):
            self.assertIsInstance(first[0], Failed)

    def test_confused_host(self) -> None:
        """A host that refuses MAIL and takes DATA nevertheless is dropped, before it makes a message of it."""
        faults = {("MAIL", 1): b"450 no\r\n", ("RCPT", 1): b"250 ok\r\n", ("DATA", 1): b"354 go\r\n"}
        stage = Stage(TlsNeed.OFF, make_job())
        run(stage, Receiver("PIPELINING", faults=faults), "whole")
        self.assertEqual(stage.actions, ["abort"])
        ((outcome,),) = stage.outcomes
        assert isinstance(outcome, Delayed)
        self.assertEqual(outcome.scope, Scope.MESSAGE)

    def test_behind_the_dot(self) -> None:
        """A drop after content with the next envelope behind it: that job blames the host, this one doesn't."""
        stage = Stage(TlsNeed.OFF, make_job(), make_job())
        run(stage, Receiver("PIPELINING", faults={(".", 1): _DROP}), "whole")
        first, second = (outcomes[0] for outcomes in stage.outcomes)
        assert isinstance(first, Delayed)
        assert isinstance(second, Delayed)
        self.assertEqual((first.scope, second.scope), (Scope.MESSAGE, Scope.HOST))
        self.assertEqual(stage.names[-3:], ["finished", "finished", "gone"])

    def test_our_wish(self) -> None:
        """What we drop ourselves is delayed without blame."""
        for replies in range(5):
            stage = Stage(TlsNeed.OFF, make_job(), make_job())
            for octets in [b"220 x\r\n", b"250 x\r\n", b"250 x\r\n", b"250 x\r\n", b"354 x\r\n", b""][: replies + 2]:
                stage.conversation.receive(octets)
            stage.conversation.abort()
            self.assertEqual(stage.outcomes, [(Delayed("4.3.2", "dropped by us", Scope.MESSAGE, None, *HOP_NAMES),)])
            self.assertEqual(stage.events[-1], ("gone", None))
            stage.conversation.abort()
            stage.conversation.close()
            stage.conversation.lost("x")
            stage.conversation.expire()
            self.assertEqual(stage.names.count("gone"), 1)


class OpeningTests(SynchronousTestCase):
    """Faults before the first job: a fact about the host, and no message's."""

    def failure(self, fault: bytes, where: str, how: str, need: TlsNeed = TlsNeed.OFF) -> tuple[LinkFailure, bool]:
        """Why the link failed, and whether TLS is to blame."""
        stage = Stage(need, make_job())
        run(stage, Receiver("PIPELINING", faults={(where, 1): fault}), how)
        self.assertEqual(stage.names, ["failed"])
        _, failure, broken_tls = stage.events[0]
        assert isinstance(failure, LinkFailure)
        stage.conversation.lost("x")
        self.assertEqual(stage.names, ["failed"])
        self.assertEqual(len(stage.jobs), 1)
        return failure, bool(broken_tls)

    def test_refused(self) -> None:
        """4xx and 5xx greetings, and 4xx to EHLO, with a QUIT for the host that waits for it."""
        for where, stage in [("", "greeting"), ("EHLO", "ehlo")]:
            for octets, reply in _REFUSALS.values():
                if where == "EHLO" and reply.is_permanent:
                    continue
                for how in _CUTS:
                    failure, broken = self.failure(octets, where, how)
                    self.assertEqual((failure.stage, failure.reply), (stage, reply))
                    self.assertEqual(failure.permanent, reply.is_permanent)
                    self.assertFalse(broken)
        stage_ = Stage()
        self.assertEqual(stage_.hear(b"554 no\r\n"), b"QUIT\r\n")
        stage_.conversation.receive(b"221 bye\r\n")
        self.assertEqual(stage_.actions, ["lose"])

    def test_nothing_known(self) -> None:
        """Drop, silence, garbage."""
        for where, stage in [("", "greeting"), ("EHLO", "ehlo")]:
            for name, fault in _GARBAGE.items():
                for how in _CUTS:
                    failure, broken = self.failure(fault, where, how)
                    self.assertEqual((failure.stage, failure.permanent, broken), (stage, False, False), name)

    def test_closing(self) -> None:
        """421 is transient."""
        for where, stage in [("", "greeting"), ("EHLO", "ehlo")]:
            failure, _ = self.failure(b"421 4.3.2 busy\r\n", where, "whole")
            self.assertEqual((failure.stage, failure.permanent), (stage, False))

    def test_wrong_codes(self) -> None:
        """250 is no greeting, 354 no reply to EHLO."""
        for octets in [b"250 x\r\n", b"354 x\r\n"]:
            self.assertEqual(self.failure(octets, "", "whole")[0].stage, "greeting")
        self.assertEqual(self.failure(b"354 x\r\n", "EHLO", "whole")[0].stage, "ehlo")

    def test_helo_refused(self) -> None:
        """A host that wants neither EHLO nor HELO."""
        stage = Stage()
        run(stage, Receiver(faults={("EHLO", 1): b"502 no\r\n", ("HELO", 1): b"550 no\r\n"}), "whole")
        self.assertEqual(
            stage.events,
            [("failed", LinkFailure("ehlo", "the host refused HELO", Reply(550, "", ("no",)), True), False)],
        )

    def test_given_up(self) -> None:
        """Closing a link that isn't ready yet ends it."""
        for octets in [b"", b"220 x\r\n"]:
            stage = Stage()
            stage.conversation.receive(octets)
            stage.conversation.close()
            self.assertEqual(stage.names, ["failed"])
            self.assertEqual(stage.actions, ["abort"])


class UnaskedTests(SynchronousTestCase):
    """Replies that nothing asked for."""

    def idle(self) -> Stage:
        """A link without a job."""
        stage = Stage()
        run(stage, Receiver("PIPELINING"), "whole")
        return stage

    def test_idle_closing(self) -> None:
        """A host may close an idle link with 421, or just drop it."""
        stage = self.idle()
        stage.conversation.receive(b"421 4.4.2 idle\r\n")
        reply = Reply(421, "4.4.2", ("idle",))
        self.assertEqual(stage.events[1:], [("gone", LinkFailure("idle", "the host closes the connection", reply))])
        stage = self.idle()
        stage.conversation.lost("dropped")
        self.assertEqual(stage.events[1:], [("gone", LinkFailure("idle", "dropped"))])

    def test_idle_chatter(self) -> None:
        """Anything else on an idle link ends it."""
        for octets in [b"250 ok\r\n", b"554 no\r\n", b"hello\r\n", b"\r\n"]:
            stage = self.idle()
            stage.conversation.receive(octets)
            self.assertEqual(stage.names, ["ready", "gone"], octets)
            self.assertEqual(stage.actions, ["abort"])

    def test_answers_in_advance(self) -> None:
        """A 250 that came before the content can't answer it."""
        for keywords in [(), ("PIPELINING",)]:
            for extra in [b"250 2.0.0 queued\r\n", b"250 2.0.0 que"]:
                faults = {("DATA", 1): b"354 go\r\n" + extra}
                stage = Stage(TlsNeed.OFF, make_job())
                receiver = Receiver(*keywords, faults=faults)
                octets = receiver.greet()
                while octets:
                    stage.conversation.receive(octets)
                    octets = receiver.feed(stage.said())
                ((outcome,),) = stage.outcomes
                assert isinstance(outcome, Delayed), outcome
                self.assertEqual((outcome.status, outcome.scope), ("4.5.0", Scope.MESSAGE))

    def test_half_in_advance(self) -> None:
        """Half a reply before the command makes the whole reply one that nothing asked for."""
        stage = Stage(TlsNeed.OFF, make_job())
        stage.conversation.receive(b"220 hi\r\n250 m")
        stage.conversation.receive(b"x\r\n")
        self.assertEqual(stage.names, ["failed"])

    def test_greeting_and_more(self) -> None:
        """A host that answers EHLO before it was said is dropped."""
        stage = Stage(TlsNeed.OFF, make_job())
        stage.conversation.receive(b"220 hi\r\n250 mx\r\n")
        self.assertEqual(stage.names, ["failed"])
        self.assertEqual(stage.actions, ["abort"])

    def test_last_words(self) -> None:
        """A 421 right behind the acceptance doesn't take it back."""
        stage = Stage(TlsNeed.OFF, make_job())
        run(stage, Receiver("PIPELINING", faults={(".", 1): b"250 2.0.0 queued\r\n421 4.3.2 bye\r\n"}), "whole")
        self.assertEqual(stage.outcomes, [(relayed(),)])
        self.assertEqual(stage.names, ["ready", "wants_job", "finished", "gone"])
