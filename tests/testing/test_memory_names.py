"""Tests of :mod:`smtpgw.testing.memory_names`."""

from twisted.trial.unittest import TestCase

from smtpgw.boundaries.world import Resolver
from smtpgw.model.dns import Answer, AnswerStatus, RecordType
from smtpgw.testing.memory_names import MemoryResolver
from tests.contracts.resolver import CONTRACT_ZONE, ResolverContract


class MemoryResolverContractTests(ResolverContract, TestCase):
    """It keeps the promises of every resolver."""

    def make_resolver(self) -> Resolver:
        """Over the contract's zone."""
        return MemoryResolver(CONTRACT_ZONE)


class EntryTests(TestCase):
    """What an entry may be."""

    async def test_statuses(self) -> None:
        """A status, or a whole answer."""
        whole = Answer(AnswerStatus.FOUND, ("192.0.2.1",), 7.0, authenticated=True)
        resolver = MemoryResolver(
            {("a.test", RecordType.MX): AnswerStatus.TEMPORARY, ("a.test", RecordType.A): whole}, expires_at=5.0
        )
        answer = await resolver.lookup("a.test", RecordType.MX)
        self.assertIs(answer.status, AnswerStatus.TEMPORARY)
        self.assertEqual(await resolver.lookup("a.test", RecordType.A), whole)
        self.assertEqual(await resolver.lookup("a.test", RecordType.TXT), Answer(AnswerStatus.NO_DATA, (), 5.0))

    async def test_questions(self) -> None:
        """Questions are remembered."""
        resolver = MemoryResolver()
        await resolver.lookup("A.test.", RecordType.MX)
        self.assertEqual(resolver.questions, [("a.test", RecordType.MX)])
