"""The table of misbehaviour names tests that there are."""

import importlib
import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

TABLE = Path(__file__).resolve().parent.parent / "docs" / "misbehaviour.rst"

_NAME = re.compile(r"``(tests\.[^`]*)``")
_ROW = re.compile(r"^   \* - (\d+)\n((?:     .*\n)+)", re.MULTILINE)


def is_test(name: str) -> bool:
    """Whether a dotted name leads to a method of a test case that a runner would run."""
    module, class_name, method = name.rsplit(".", 2)
    try:
        case = getattr(importlib.import_module(module), class_name, None)
    except ModuleNotFoundError:
        return False
    is_case = isinstance(case, type) and issubclass(case, SynchronousTestCase)
    return is_case and method.startswith("test_") and callable(getattr(case, method, None))


class TableTests(SynchronousTestCase):
    """docs/misbehaviour.rst can't drift from the tests."""

    def setUp(self) -> None:
        self.text = TABLE.read_text("utf-8")

    def test_names(self) -> None:
        """Each name is that of a test."""
        names = set(_NAME.findall(self.text))
        self.assertEqual([], sorted(name for name in names if not is_test(name)))
        self.assertEqual(len(names), len(set(re.findall(r"tests\.[\w.]+", self.text))), "a name without its backticks")

    def test_numbers(self) -> None:
        """All fifteen are there, in their order."""
        numbers = [int(number) for number, _ in _ROW.findall(self.text)]
        self.assertEqual(numbers, sorted(numbers))
        self.assertEqual(list(range(1, 16)), sorted(set(numbers)))

    def test_rows(self) -> None:
        """Each row says who, what, and by which test, and no row is overlooked."""
        rows = _ROW.findall(self.text)
        self.assertEqual(len(rows), self.text.count("\n   * - ") - 1)
        for number, row in rows:
            cells = row.split("     - ")[1:]
            self.assertEqual(len(cells), 3, number)
            self.assertRegex(cells[2], _NAME, number)

    def test_a_wrong_name_is_found(self) -> None:
        """A module, a class or a method that is not there."""
        own = f"{__name__}.TableTests"
        self.assertTrue(is_test(f"{own}.test_names"))
        wrong = [f"{own}.test_nothing", f"{own}.setUp", f"{__name__}.NoTests.test_names", "tests.test_no.A.test_a"]
        self.assertEqual([], [name for name in wrong if is_test(name)])
