"""Tests of :mod:`smtpgw.net.dns_cache`."""

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.model.dns import Answer, AnswerStatus, RecordType
from smtpgw.net.dns_cache import DnsCache, DnsKey, kept_seconds


def _key(name: str) -> DnsKey:
    return name, RecordType.A


class KeptSecondsTests(SynchronousTestCase):
    """How long an answer may be used."""

    def test_bounds(self) -> None:
        """At most a day when something was found, an hour when not, never when nothing is known."""
        cases = [
            (AnswerStatus.FOUND, 300.0, 300.0),
            (AnswerStatus.FOUND, 2**31, 86_400.0),
            (AnswerStatus.FOUND, 0.0, 0.0),
            (AnswerStatus.NO_DATA, 2**31, 3_600.0),
            (AnswerStatus.NO_NAME, 60.0, 60.0),
            (AnswerStatus.TEMPORARY, 60.0, 0.0),
        ]
        for status, ttl_seconds, expected in cases:
            self.assertEqual(kept_seconds(status, ttl_seconds), expected)


class CacheTests(SynchronousTestCase):
    """Answers until they expire."""

    def test_until_it_expires(self) -> None:
        """To the second: a stale answer is never given out."""
        cache = DnsCache()
        answer = Answer(AnswerStatus.FOUND, ("192.0.2.1",), 100.0)
        cache.put(_key("a"), answer, 50.0)
        self.assertEqual(cache.get(_key("a"), 99.9), answer)
        self.assertIsNone(cache.get(_key("a"), 100.0))
        self.assertEqual(len(cache), 0)

    def test_by_type(self) -> None:
        """An answer about one type says nothing about another."""
        cache = DnsCache()
        cache.put(_key("a"), Answer(AnswerStatus.FOUND, (), 100.0), 0.0)
        self.assertIsNone(cache.get(("a", RecordType.AAAA), 0.0))

    def test_not_kept(self) -> None:
        """A temporary failure, and what may not be kept, replaces what was known and isn't kept."""
        for answer in (Answer(AnswerStatus.TEMPORARY, expires_at=100.0), Answer(AnswerStatus.FOUND, (), 10.0)):
            cache = DnsCache()
            cache.put(_key("a"), Answer(AnswerStatus.FOUND, (), 100.0), 0.0)
            cache.put(_key("a"), answer, 10.0)
            self.assertEqual(len(cache), 0)

    def test_clock_set_back(self) -> None:
        """When the clock was years ahead and is put right, old answers don't live for years."""
        cache = DnsCache()
        cache.put(_key("a"), Answer(AnswerStatus.FOUND, (), 1e9), 1e9 - 60)
        self.assertIsNone(cache.get(_key("a"), 1000.0))

    def test_bounded(self) -> None:
        """Whoever was not asked for longest goes first."""
        cache = DnsCache(max_entries=2)
        for name in ("a", "b"):
            cache.put(_key(name), Answer(AnswerStatus.FOUND, (), 100.0), 0.0)
        cache.get(_key("a"), 1.0)
        cache.put(_key("c"), Answer(AnswerStatus.FOUND, (), 100.0), 1.0)
        self.assertEqual([cache.get(_key(name), 2.0) is not None for name in "abc"], [True, False, True])

    def test_clear(self) -> None:
        """Everything can be forgotten."""
        cache = DnsCache()
        cache.put(_key("a"), Answer(AnswerStatus.FOUND, (), 100.0), 0.0)
        cache.clear()
        self.assertIsNone(cache.get(_key("a"), 1.0))

    @given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 20), st.integers(0, 3))))
    @settings(max_examples=60, deadline=None)
    def test_never_stale_never_full(self, steps: list[tuple[str, int, int]]) -> None:
        """Whatever is asked and whenever: no more entries than allowed, nothing past its time."""
        cache, now = DnsCache(max_entries=3), 0.0
        for name, ttl_seconds, passed in steps:
            now += passed
            known = cache.get(_key(name), now)
            if known is None:
                cache.put(_key(name), Answer(AnswerStatus.FOUND, (), now + ttl_seconds), now)
            else:
                self.assertGreater(known.expires_at, now)
            self.assertLessEqual(len(cache), 3)
