"""
How the checks of a stage become one verdict: in their order, the first refusal wins, the notes of all are kept.

A check that answers at once costs no coroutine; only from the first that must wait is the rest awaited. What a check
raises is not caught here: the server answers 451 4.3.0, so that a broken check never accepts mail and never refuses it
for good.
"""

from collections.abc import Awaitable, Callable, Sequence

from smtpgw.boundaries.checks import ConnectCheck, ContentCheck, MailCheck, RcptCheck
from smtpgw.model.envelope import Client, Envelope, MailFrom, Recipient
from smtpgw.model.verdict import ACCEPT, Accept, Refuse, Verdict

Ask = Callable[..., Verdict | Awaitable[Verdict]]
"""A check's method, bound."""


def evaluate_connect(checks: Sequence[ConnectCheck], client: Client) -> Verdict | Awaitable[Verdict]:
    """What the checks of a connection say."""
    return evaluate([check.check_connect for check in checks], client)


def evaluate_mail(checks: Sequence[MailCheck], client: Client, mail: MailFrom) -> Verdict | Awaitable[Verdict]:
    """What the checks of MAIL say."""
    return evaluate([check.check_mail for check in checks], client, mail)


def evaluate_rcpt(
    checks: Sequence[RcptCheck], client: Client, mail: MailFrom, recipient: Recipient
) -> Verdict | Awaitable[Verdict]:
    """What the checks of RCPT say."""
    return evaluate([check.check_rcpt for check in checks], client, mail, recipient)


def evaluate_content(
    checks: Sequence[ContentCheck], client: Client, envelope: Envelope, header: bytes
) -> Verdict | Awaitable[Verdict]:
    """What the checks of the content say."""
    return evaluate([check.check_content for check in checks], client, envelope, header)


def evaluate(asks: Sequence[Ask], *arguments: object) -> Verdict | Awaitable[Verdict]:
    """
    Put a question to each in turn.

    :param arguments: of every one of them.
    """
    accepted = ACCEPT
    for index, ask in enumerate(asks):
        verdict = ask(*arguments)
        if isinstance(verdict, Accept):
            if verdict.notes:
                accepted = _joined(accepted, verdict)
        elif isinstance(verdict, Refuse):
            return verdict
        else:
            return _wait(verdict, accepted, asks[index + 1 :], arguments)
    return accepted


async def _wait(
    awaited: Awaitable[Verdict], accepted: Accept, asks: Sequence[Ask], arguments: tuple[object, ...]
) -> Verdict:
    verdict = await awaited
    if isinstance(verdict, Refuse):
        return verdict
    rest = evaluate(asks, *arguments)
    if not isinstance(rest, (Accept, Refuse)):
        rest = await rest
    return rest if isinstance(rest, Refuse) else _joined(_joined(accepted, verdict), rest)


def _joined(first: Accept, second: Accept) -> Accept:
    if not second.notes:
        return first
    return Accept(first.notes + second.notes) if first.notes else second
