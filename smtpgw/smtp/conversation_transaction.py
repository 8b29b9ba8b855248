"""One job on one host: its commands, how far it has got, and what became of each recipient."""

from smtpgw.boundaries.relay import Job
from smtpgw.model.envelope import TlsFacts
from smtpgw.model.outcome import Delayed, Failed, Outcome, Relayed, Scope
from smtpgw.model.reply import Reply
from smtpgw.model.route import Hop
from smtpgw.smtp.conversation_envelope import Unsendable, mail_command, rcpt_command
from smtpgw.smtp.conversation_offer import Offer

DATA_COMMAND = b"DATA\r\n"

RESET_STEP = -1
MAIL_STEP = 0

_TOO_MANY = "4.5.3"

_SLOWEST_OCTETS = 16 * 1024
"""Octets a second that a transaction may take at least, beside its time limit."""


class Transaction:
    """
    A job under way.

    Replies come in the order of the commands, so that one number says which the next one answers: -1 RSET, 0 MAIL,
    1 to n the recipients that are asked for, n + 1 DATA, n + 2 the end of data.

    :ivar commands: MAIL, then RCPT for each recipient that can be asked for; empty when there is none.
    :ivar step: the reply awaited.
    :ivar mail_accepted: the host has a transaction open that RSET would end.
    :ivar accepted: how many recipients it took.
    :ivar content_begun: at least one octet of content is on its way.
    :ivar granted: the job after this one has been asked for.

    Recipients beyond what the host takes in one transaction (RFC 9422) are not asked for: when it is over, and nothing
    else was decided about all of them, they are delayed with 4.5.3 and no reply.
    """

    __slots__ = (
        "_hop",
        "_left_over",
        "_outcomes",
        "_positions",
        "_tls",
        "accepted",
        "commands",
        "content_begun",
        "data_step",
        "granted",
        "job",
        "mail_accepted",
        "step",
    )

    def __init__(self, job: Job, offer: Offer, hop: Hop, tls: TlsFacts | None) -> None:
        self.job = job
        self._hop = hop
        self._tls = tls
        self._outcomes: list[Outcome | None] = [None] * len(job.slots)
        self._positions: list[int] = []
        self._left_over: list[int] = []
        self.commands: list[bytes] = []
        self.step = MAIL_STEP
        self.mail_accepted = False
        self.accepted = 0
        self.content_begun = False
        self.granted = False
        try:
            mail = mail_command(job, offer, tls)
        except Unsendable as trouble:
            self.settle_rest(self._unsendable(trouble, Scope.HOST if trouble.is_of_host else Scope.MESSAGE))
        else:
            self._compose(mail, offer)
        self.data_step = len(self._positions) + 1

    def _compose(self, mail: bytes, offer: Offer) -> None:
        recipients = self.job.message.envelope.recipients
        commands = [mail]
        is_limited = offer.max_recipients or offer.max_domains
        domains: set[str] = set()
        for position, slot in enumerate(self.job.slots):
            recipient = recipients[slot]
            try:
                command = rcpt_command(recipient, offer)
            except Unsendable as trouble:
                self._outcomes[position] = self._unsendable(trouble, Scope.RECIPIENT)
                continue
            if is_limited and not self._has_room(recipient.mailbox.domain, domains, offer):
                self._left_over.append(position)
                continue
            commands.append(command)
            self._positions.append(position)
        if self._positions:
            self.commands = commands

    def _has_room(self, domain: str, domains: set[str], offer: Offer) -> bool:
        """Whether the host takes one more recipient. :param domains: of those before, kept up here."""
        if offer.max_recipients and len(self._positions) >= offer.max_recipients:
            return False
        if offer.max_domains and domain not in domains:
            if len(domains) >= offer.max_domains:
                return False
            domains.add(domain)
        return True

    def limit_seconds(self, base_seconds: float) -> float:
        """How long it may take in all."""
        message = self.job.message
        return base_seconds + (len(message.trace) + message.size_octets) / _SLOWEST_OCTETS

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        """One for each slot of the job, in its order, when all are known."""
        if self._left_over:
            self._leave_over()
        outcomes = tuple(outcome for outcome in self._outcomes if outcome is not None)
        if len(outcomes) != len(self._outcomes):
            raise RuntimeError("a recipient without an outcome")
        return outcomes

    def awaited(self, step: int) -> str:
        """What the reply of a step answers, for people."""
        if step <= MAIL_STEP:
            return "MAIL" if step == MAIL_STEP else "RSET"
        if step < self.data_step:
            return "RCPT"
        return "DATA" if step == self.data_step else "the end of data"

    def _leave_over(self) -> None:
        outcome = self.delayed(_TOO_MANY, "left for the next transaction with this host", Scope.RECIPIENT)
        for position in self._left_over:
            if self._outcomes[position] is None:
                self._outcomes[position] = outcome
        self._left_over.clear()

    def settle_rest(self, outcome: Outcome) -> None:
        """For every recipient whose own result isn't known yet."""
        self._outcomes = [outcome if known is None else known for known in self._outcomes]

    def refuse_rest(self, reply: Reply, command: str) -> None:
        """A 4xx or 5xx that was about the message."""
        self.settle_rest(self._refused(reply, command, Scope.MESSAGE))

    def take_rcpt(self, reply: Reply, step: int) -> None:
        """The reply to a RCPT: 2xx, 4xx or 5xx."""
        if reply.code < 300:
            self.accepted += 1
            return
        outcome = self._refused(reply, "RCPT", Scope.RECIPIENT)
        if reply.code == 552 and (reply.status == "5.5.3" or (not reply.status and self.accepted)):
            # An old way to say 452, too many recipients: transient (RFC 5321 section 4.5.3.1.10). With a status such
            # as 5.2.2 it is about the mailbox and final.
            outcome = self.delayed(_TOO_MANY, "too many recipients in one transaction", Scope.RECIPIENT, reply)
        self._outcomes[self._positions[step - 1]] = outcome

    def take_final(self, reply: Reply) -> None:
        """The reply to the end of data: 2xx, 4xx or 5xx."""
        if reply.code < 300:
            if self._left_over:
                self._leave_over()
            self.settle_rest(Relayed(reply, self._hop.host, self._hop.address, self._tls))
        else:
            self.refuse_rest(reply, "the end of data")

    def delayed(self, status: str, reason: str, scope: Scope, reply: Reply | None = None) -> Delayed:
        """An outcome that names the host."""
        return Delayed(status, reason, scope, reply, self._hop.host, self._hop.address)

    def _refused(self, reply: Reply, command: str, scope: Scope) -> Delayed | Failed:
        reason = f"{self._hop.host} refused {command}"
        if reply.code < 500:
            return self.delayed(reply.status or "4.0.0", reason, scope, reply)
        return Failed(reply.status or "5.0.0", reason, scope, reply, self._hop.host, self._hop.address)

    def _unsendable(self, trouble: Unsendable, scope: Scope) -> Failed:
        return Failed(trouble.status, trouble.reason, scope, None, self._hop.host, self._hop.address)
