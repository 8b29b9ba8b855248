"""The line of every key, found in the same text that tomllib reads."""

import tomllib
from textwrap import dedent

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.config.position import Path, key_lines

_SCALARS = (
    "1",
    "-1.5",
    "true",
    "1979-05-27T07:32:00Z",
    '"a # b = [c]"',
    r'"\" \\"',
    "'\\'",
    '"""a\nb"""',
    '"""\n"" " \\""" ]\n"""',
    '""""x""""',
    "'''a\n'b''c\n'''",
    "''''x''''",
    "[]",
    "{}",
)
_KEYS = ("a", "b-c", '"d.e"', "'f=g'", '"h\\u0069"')


class ExactTests(SynchronousTestCase):
    """Where things stand in a configuration as people write it."""

    def test_configuration(self) -> None:
        """Headers, arrays of tables, dotted keys, inline tables, arrays over many lines."""
        text = dedent("""\
            # a comment = [
            hostname = "mx" # [x]

            [[listen]]
            endpoint = "tcp:25"
            [[listen]]
            tls = "off"
            [delivery]
            retry = [ # ]
              "5m", '1h',

              "2h",
            ]
            dns.servers = ["a"]
            [[domain]]
            alias = {a = 1, b = [1,
              2], "c.d" = 3}
            [domain.more]
            x = 1
            """)
        lines = key_lines(text)
        for path, line in (
            (("hostname",), 2),
            (("listen",), 4),
            (("listen", 0), 4),
            (("listen", 0, "endpoint"), 5),
            (("listen", 1), 6),
            (("listen", 1, "tls"), 7),
            (("delivery",), 8),
            (("delivery", "retry"), 9),
            (("delivery", "retry", 0), 10),
            (("delivery", "retry", 1), 10),
            (("delivery", "retry", 2), 12),
            (("delivery", "dns"), 14),
            (("delivery", "dns", "servers", 0), 14),
            (("domain", 0, "alias", "a"), 16),
            (("domain", 0, "alias", "b", 1), 17),
            (("domain", 0, "alias", "c.d"), 17),
            (("domain", 0, "more"), 18),
            (("domain", 0, "more", "x"), 19),
        ):
            self.assertEqual(lines.get(path), line, path)
        self.assertNotIn(("x",), lines)


def _paths(value: object, path: Path = ()) -> list[Path]:
    found = [path] if path else []
    if isinstance(value, dict):
        for key, inner in value.items():
            found += _paths(inner, (*path, key))
    if isinstance(value, list):
        for index, inner in enumerate(value):
            found += _paths(inner, (*path, index))
    return found


_values = st.recursive(
    st.sampled_from(_SCALARS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: "[\n # ]\n" + " ,\n".join(items) + "]"),
        st.dictionaries(st.sampled_from(_KEYS), inner, max_size=3).map(
            lambda table: "{ " + ", ".join(f"{key} = {value}" for key, value in table.items()) + " }"
        ),
    ),
    max_leaves=8,
)
_tables = st.dictionaries(st.sampled_from(_KEYS), _values, max_size=3)


class EveryKeyTests(SynchronousTestCase):
    """No key of a text goes without a line."""

    @given(st.lists(st.tuples(st.sampled_from(("[[t]]", "[[t.u]]", "[s%d]", "[ t . w%d ]")), _tables), max_size=6))
    @settings(max_examples=150, deadline=None)
    def test_same_keys_as_tomllib(self, parts: list[tuple[str, dict[str, str]]]) -> None:
        """Every path that tomllib finds has a line, and the lines of headers are theirs."""
        text = "[[t]]\n"
        headers: dict[Path, int] = {("t", 0): 1}
        tables = 0
        for number, (header, table) in enumerate(parts):
            line = text.count("\n") + 1
            text += (header % number if "%" in header else header) + "\n"
            if header == "[[t]]":
                tables += 1
                headers["t", tables] = line
            elif header == "[s%d]":
                headers[(f"s{number}",)] = line
            elif header != "[[t.u]]":
                headers["t", tables, f"w{number}"] = line
            for key, value in table.items():
                text += f"  {key} = {value} # {key}\n"
        try:
            document = tomllib.loads(text)
        except tomllib.TOMLDecodeError:
            # A newline within an inline table, or the like: not what this is about.
            return
        lines = key_lines(text)
        self.assertEqual([path for path in _paths(document) if path not in lines], [])
        self.assertEqual({path: lines[path] for path in headers}, headers)

    @given(st.text(alphabet="[]{}=\"'#,.ab \n\\", max_size=60))
    def test_any_text_ends(self, text: str) -> None:
        """Text that is not TOML at all does not keep it busy."""
        for line in key_lines(text).values():
            self.assertLessEqual(line, text.count("\n") + 1)
