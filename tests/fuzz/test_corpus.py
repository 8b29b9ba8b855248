"""What the fuzzer has found is tried again with every run of the tests."""

from twisted.trial.unittest import SynchronousTestCase

from tests.fuzz.catalogue import CORPUS, TARGETS, corpus


class CorpusTests(SynchronousTestCase):
    """Every input that is kept, on its target."""

    def test_all(self) -> None:
        """None breaks a promise."""
        for name, target in TARGETS.items():
            for kept, octets in corpus(name):
                with self.subTest(target=name, input=kept):
                    target(octets)

    def test_there(self) -> None:
        """Every target has a corpus, and every corpus a target."""
        self.assertEqual({path.name for path in CORPUS.iterdir()}, set(TARGETS))
        for name in TARGETS:
            self.assertTrue(any(True for _ in corpus(name)), name)
