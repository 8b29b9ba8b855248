"""The queries of databases."""

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.lookups.sql import DEFAULT_QUERY, is_yes, psycopg_query, split_query


class SplitTests(SynchronousTestCase):
    """The query in a URL."""

    def test_default(self) -> None:
        """Without one there is a usual one."""
        self.assertEqual(split_query("sqlite:users.db"), ("sqlite:users.db", DEFAULT_QUERY))

    def test_to_the_end(self) -> None:
        """It is the last thing, and taken as it is."""
        query = "SELECT a & b FROM t WHERE x LIKE '%20?' AND l = :local"
        self.assertEqual(split_query(f"postgresql://h/d?x=y&query={query};"), ("postgresql://h/d?x=y", query))

    def test_encoded(self) -> None:
        """Without any space it is percent-encoded."""
        for query in ("SELECT%201%20FROM%20t%20WHERE%20l=:local", "SELECT+1+FROM+t+WHERE+l=%3Alocal"):
            self.assertEqual(split_query(f"sqlite:x?query={query}")[1], "SELECT 1 FROM t WHERE l=:local")

    def test_wrong(self) -> None:
        """What writes, has other parameters, or asks the same for everybody."""
        for query, words in (
            ("DELETE FROM t WHERE l = :local", "SELECT"),
            ("", "SELECT"),
            ("SELECT 1 FROM t WHERE l = :user", ":user"),
            ("SELECT 1 FROM t", "the same for everybody"),
            ("SELECT 1 FROM t WHERE d = :domain", "the same for everybody"),
            ("SELECT ':local' -- :local\n FROM t", "the same for everybody"),
            ('SELECT x::local /* :local */ FROM ":local"', "the same for everybody"),
        ):
            self.assertIn(words, str(self.assertRaises(ValueError, split_query, f"sqlite:x?query={query}")), query)


class PsycopgTests(SynchronousTestCase):
    """The query as psycopg takes it."""

    def test_parameters(self) -> None:
        """Names become its names, per cent signs are doubled everywhere, and literals stay."""
        self.assertEqual(
            psycopg_query(
                "SELECT ':local%', x::text, 5 % 2, $$:a%$$ FROM t WHERE l = :local -- :domain %\n AND d=:domain"
            ),
            "SELECT ':local%%', x::text, 5 %% 2, $$:a%%$$ FROM t WHERE l = %(local)s -- :domain %%\n AND d=%(domain)s",
        )


class AnswerTests(SynchronousTestCase):
    """What the first row means."""

    def test_yes(self) -> None:
        """A row is a yes."""
        for first in (1, True, "x", "", b"alice", 7.5):
            self.assertTrue(is_yes((first,)), first)

    def test_no(self) -> None:
        """No row is a no; so are NULL, false and 0, for EXISTS and count always give a row."""
        for row in (None, (), (None,), (False,), (0,), (0, "alice")):
            self.assertFalse(is_yes(row), row)
