"""Recipients that the next host knows."""

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.lookups.callahead import NextHost
from smtpgw.lookups.question import Source
from smtpgw.model.address import Mailbox
from smtpgw.model.domains import LookupTrouble
from tests.contracts.source import DOMAIN, RECIPIENTS, SourceContract


class NextHostTests(SourceContract, SynchronousTestCase):
    """The host is asked for the mailbox."""

    def make_source(self) -> Source:
        """One that knows the recipients."""

        async def probe(mailbox: Mailbox) -> bool:
            return mailbox.domain == DOMAIN and mailbox.local in RECIPIENTS

        return NextHost(probe)

    def make_broken_source(self) -> Source:
        """One that doesn't say."""

        async def probe(mailbox: Mailbox) -> bool:
            raise LookupTrouble("RCPT: 451 later")

        return NextHost(probe)
