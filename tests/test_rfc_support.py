"""The table of what holds is made from the tests, and is that of these tests."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

from twisted.trial.unittest import SynchronousTestCase

from tests.clauses import does_not_hold, holds, holds_in_part

SCRIPT = Path(__file__).resolve().parent.parent / "docs" / "rfc_support.py"

MARKED = """
@holds("5321", "4.5.10", "Later.")
class ATests:
    @holds("5321", "4.5.3", "Earlier.")
    def test_one(self): pass

    @holds("5321", "4.5.3", "Earlier.")
    def test_two(self): pass
"""


def script() -> ModuleType:
    """The script, as a module."""
    specification = importlib.util.spec_from_file_location("rfc_support", SCRIPT)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


class TableTests(SynchronousTestCase):
    """docs/rfc-support.rst says what the tests say."""

    def test_up_to_date(self) -> None:
        """The table that is committed is the one the marks give; ``make rfcs`` writes it anew."""
        result = subprocess.run([sys.executable, str(SCRIPT), "--check"], capture_output=True, text=True, check=False)
        self.assertEqual((0, ""), (result.returncode, result.stderr))

    def test_marks_are_found(self) -> None:
        """Marks of classes and of methods are found, with what carries them."""
        names = [name for _, name in script().read_marks(MARKED, "m")]
        self.assertEqual(["m.ATests", "m.ATests.test_one", "m.ATests.test_two"], names)

    def test_order(self) -> None:
        """Sections stand in the order of the RFC, and one promise of two tests is one line."""
        module = script()
        found: dict[object, list[str]] = {}
        for clause, name in module.read_marks(MARKED, "m"):
            found.setdefault(clause, []).append(name)
        text = module.render(found)
        self.assertLess(text.index("4.5.3"), text.index("4.5.10"))
        self.assertEqual(1, text.count("Earlier."))
        self.assertIn("``m.ATests.test_two``", text)

    def test_states(self) -> None:
        """What is held in part, or not, stands there with how far and why, and is counted as such."""
        module = script()
        source = (
            '@holds_in_part("5321", "4.1", "It may.", "Only sometimes.")\nclass A: pass\n'
            '@does_not_hold("5321", "4.2", "It must.", "Nobody does.")\nclass B: pass\n'
        )
        text = module.render({clause: [name] for clause, name in module.read_marks(source, "m")})
        self.assertIn("     - It may. *Only sometimes.*\n     - in part\n     - ``m.A``", text)
        self.assertIn("     - It must. *Nobody does.*\n     - not held\n     - ``m.B``", text)
        self.assertIn("RFC 5321: Simple Mail Transfer Protocol\n     - 0\n     - 1\n     - 1", text)

    def test_no_literal(self) -> None:
        """A mark that can't be read without running the test is refused."""
        with self.assertRaises(SystemExit):
            list(script().read_marks('@holds("5321", SECTION, "It.")\nclass A: pass\n', "m"))


class MarkTests(SynchronousTestCase):
    """The mark itself."""

    def test_unchanged(self) -> None:
        """It gives back what it marks."""
        self.assertIs(MarkTests, holds("5321", "4", "It holds.")(MarkTests))

        self.assertIs(MarkTests, holds_in_part("5321", "4", "It may.", "At times.")(MarkTests))
        self.assertIs(MarkTests, does_not_hold("5321", "4", "It must.", "No.")(MarkTests))

    def test_nonsense(self) -> None:
        """A clause without the number of an RFC is refused at once, and so is one without its reason."""
        with self.assertRaises(ValueError):
            holds("RFC 5321", "4", "It holds.")
        with self.assertRaises(ValueError):
            does_not_hold("5321", "4", "It must.", "")
