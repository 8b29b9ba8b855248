"""
The rules of the house that a tool can hold: which way imports go, where Twisted may be, how long a file may be.

import-linter holds the first two as well; here they are held without anything installed, also for imports inside of
functions, and the message names the line.
"""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "smtpgw"
TESTS = ROOT / "tests"

FLOORS = (
    {"model", "version"},
    {"boundaries"},
    {"handlers"},
    {"policy", "delivery", "smtp", "milter"},
    {"checks", "sinks", "spool", "lookups"},
    {"accounts", "net"},
    {"config"},
    {"log"},
    {"service"},
    {"testing"},
    {"tap", "cli"},
)
"""From the bottom. A room imports from itself and from lower floors, never from the other rooms of its own floor."""

TWISTED_ROOMS = {"accounts", "config", "log", "net", "service", "testing", "tap"}

LATE_TWISTED = {
    "smtpgw/cli/demo.py": "runs a gateway in its own process; the rest of the command starts without Twisted"
}
"""Files of other rooms that import Twisted inside of functions, with the reason."""

PURE_ROOMS = {"model", "boundaries", "smtp", "policy", "delivery", "milter", "checks", "handlers"}
IMPURE = {"socket", "ssl", "select", "selectors", "asyncio", "threading", "time", "subprocess"}

MAX_LINES = 400

LONG_FILES: dict[str, str] = {}
"""Files over the limit, with the reason."""

LATE_IMPORTS_UPWARDS: dict[tuple[str, str], str] = {}
"""Imports inside of functions that go upwards: (module, imported), with the reason."""

WITHOUT_MIRROR: dict[str, str] = {
    # The reading of a configuration, as a whole.
    "smtpgw/config/endpoint.py": "tests/config/test_load.py",
    "smtpgw/config/places.py": "tests/config/test_load.py",
    "smtpgw/config/read.py": "tests/config/test_load.py",
    "smtpgw/config/schema.py": "tests/config/test_load.py",
    "smtpgw/config/source.py": "tests/config/test_load.py",
    "smtpgw/config/table.py": "tests/config/test_load.py",
    "smtpgw/config/values.py": "tests/config/test_load.py",
    # The agenda and its parts are one machine; apart they promise nothing.
    "smtpgw/delivery/destinations.py": "tests/delivery/test_agenda.py",
    "smtpgw/delivery/items.py": "tests/delivery/test_agenda.py",
    "smtpgw/delivery/links.py": "tests/delivery/test_agenda.py",
    "smtpgw/delivery/sites.py": "tests/delivery/test_agenda.py",
    "smtpgw/delivery/wakeups.py": "tests/delivery/test_agenda.py",
    # A few properties of values.
    "smtpgw/model/reply.py": "tests/model/test_values.py",
    # The two ends of what the dispatcher does.
    "smtpgw/service/conclusion.py": "tests/service/test_dispatch.py",
    # The gateway, composed.
    "smtpgw/service/asking.py": "tests/service/test_gateway.py",
    "smtpgw/service/filters.py": "tests/service/test_gateway.py",
    "smtpgw/service/receiving.py": "tests/service/test_gateway.py",
    "smtpgw/service/delivering.py": "tests/service/test_gateway.py",
    "smtpgw/service/outgoing.py": "tests/service/test_dispatch.py",
    "smtpgw/service/stock_messages.py": "tests/service/test_reception.py",
    # Small parts of the threads of the spool, and the errors that they raise.
    "smtpgw/spool/answers.py": "tests/spool/test_lane.py",
    "smtpgw/spool/errors.py": "tests/spool/test_schema.py",
    "smtpgw/spool/reader.py": "tests/spool/test_sqlite.py",
    # A small Internet, tested as a whole.
    "smtpgw/testing/certificates.py": "tests/testing/test_receivers.py",
    "smtpgw/testing/internet.py": "tests/testing/test_receivers.py",
    "smtpgw/testing/names.py": "tests/testing/test_receivers.py",
    "smtpgw/testing/personality.py": "tests/testing/test_receivers.py",
    "smtpgw/testing/receiver_session.py": "tests/testing/test_receivers.py",
    "smtpgw/testing/submission.py": "tests/testing/test_receivers.py",
}
"""Modules with logic that have no test file of their own, and where they are tested instead."""


def module_name(path: Path) -> str:
    """``smtpgw/net/server.py`` is ``smtpgw.net.server``."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(module: str) -> str:
    """The room that a module of ours stands in; empty for the package itself."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


@cache
def source_files() -> tuple[tuple[Path, ast.Module], ...]:
    """Every file of the package, read."""
    return tuple((path, ast.parse(path.read_text(encoding="utf-8"))) for path in sorted(PACKAGE.rglob("*.py")))


def imports(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Every module that is imported anywhere in the tree, with the line; ``from a import b`` gives ``a.b``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield f"{'.' * node.level}{node.module or ''}.{alias.name}", node.lineno


def top_level_imports(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """As :func:`imports`, but only what runs when the module is imported."""
    pending: list[ast.AST] = list(tree.body)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from imports(node)
        pending.extend(ast.iter_child_nodes(node))


def has_logic(tree: ast.Module) -> bool:
    """Whether any function in it does more than stand there as a declaration."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for statement in node.body:
                if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
                    continue
                return True
    return False


def mirrors_of(path: Path) -> Iterator[Path]:
    """
    Where the tests of a module may be.

    A file that was split keeps its tests together: those of ``session_state`` may be those of ``session``. A package
    within a room may have one file.
    """
    folder = TESTS / path.parent.relative_to(PACKAGE)
    words = path.stem.split("_")
    for count in range(len(words), 0, -1):
        yield folder / f"test_{'_'.join(words[:count])}.py"
    if folder.parent != TESTS:
        yield folder.parent / f"test_{folder.name}.py"


def modules_without_mirror() -> set[str]:
    """Modules with logic but without a test file of their own."""
    return {
        str(path.relative_to(ROOT))
        for path, tree in source_files()
        if path.name != "__init__.py" and has_logic(tree) and not any(mirror.exists() for mirror in mirrors_of(path))
    }


def reached_from(path: Path) -> set[str]:
    """Every module of ours that is imported by a file of tests, or by what it imports."""
    reached: set[str] = set()
    pending = [path]
    while pending:
        for imported, _ in imports(ast.parse(pending.pop().read_text(encoding="utf-8"))):
            # The last word may be a module or a name in one.
            for name in (imported, imported.rpartition(".")[0]):
                file = ROOT / (name.replace(".", "/") + ".py")
                if name.split(".")[0] in {"smtpgw", "tests"} and name not in reached and file.is_file():
                    reached.add(name)
                    pending.append(file)
    return reached


def may_import(module: str, imported: str) -> bool:
    """Whether a module of ours may import another one of ours."""
    here, there = room_of(module), room_of(imported)
    if here in {there, ""} or there == "":
        return True
    floor = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
    return floor[there] < floor[here]


class RuleTests(SynchronousTestCase):
    """The rules are able to object."""

    def test_upward_import(self) -> None:
        """A core that imports the network room is found."""
        self.assertFalse(may_import("smtpgw.smtp.session", "smtpgw.net.server"))
        self.assertTrue(may_import("smtpgw.net.server", "smtpgw.smtp.session"))

    def test_sideways_import(self) -> None:
        """A room that imports another one of the same floor is found."""
        self.assertFalse(may_import("smtpgw.checks.recipients", "smtpgw.spool.sqlite"))
        self.assertTrue(may_import("smtpgw.checks.recipients", "smtpgw.checks.relay_access"))

    def test_late_import(self) -> None:
        """An import inside of a function counts as an import, but not as one of the module level."""
        tree = ast.parse("def f():\n    from twisted.internet import reactor\n")
        self.assertEqual([("twisted.internet.reactor", 2)], list(imports(tree)))
        self.assertEqual([], list(top_level_imports(tree)))

    def test_import_in_a_condition(self) -> None:
        """An import under ``if`` or ``try`` at the module level counts as one of the module level."""
        tree = ast.parse("try:\n    from twisted.internet import reactor\nexcept ImportError:\n    pass\n")
        self.assertEqual([("twisted.internet.reactor", 2)], list(top_level_imports(tree)))

    def test_logic(self) -> None:
        """A Protocol has no logic, a function with a statement has."""
        self.assertFalse(has_logic(ast.parse('class A:\n    def f(self):\n        """It."""\n    def g(self): ...\n')))
        self.assertTrue(has_logic(ast.parse('def f():\n    """It."""\n    return 1\n')))


class ImportTests(SynchronousTestCase):
    """Imports go one way."""

    def test_rooms_are_known(self) -> None:
        """A new room is put on a floor before anything is built in it."""
        known = set().union(*FLOORS)
        rooms = {room_of(module_name(path)) for path, _ in source_files()} - {""}
        self.assertEqual(set(), rooms - known)

    def test_downwards(self) -> None:
        """Nothing imports from its own floor or a higher one, not even late."""
        wrong = []
        for path, tree in source_files():
            module = module_name(path)
            for imported, line in imports(tree):
                if not imported.startswith("smtpgw.") or may_import(module, imported):
                    continue
                if not any(module == here and imported.startswith(there) for here, there in LATE_IMPORTS_UPWARDS):
                    wrong.append(f"{path.relative_to(ROOT)}:{line}: {imported}")
        self.assertEqual([], wrong)

    def test_absolute(self) -> None:
        """No relative imports: the full name says which way an import goes."""
        wrong = [
            f"{path.relative_to(ROOT)}:{line}"
            for path, tree in source_files()
            for imported, line in imports(tree)
            if imported.startswith(".")
        ]
        self.assertEqual([], wrong)

    def test_twisted(self) -> None:
        """Twisted and zope are imported in their rooms only; elsewhere late, if at all, and listed."""
        wrong = []
        for path, tree in source_files():
            name = str(path.relative_to(ROOT))
            if room_of(module_name(path)) not in TWISTED_ROOMS:
                found = top_level_imports(tree) if name in LATE_TWISTED else imports(tree)
                wrong += [f"{name}:{line}: {what}" for what, line in found if what.split(".")[0] in {"twisted", "zope"}]
        self.assertEqual([], wrong)

    def test_reactor(self) -> None:
        """Importing a module of ours never installs a reactor."""
        wrong = [
            f"{path.relative_to(ROOT)}:{line}"
            for path, tree in source_files()
            for imported, line in top_level_imports(tree)
            if imported.startswith("twisted.internet.reactor")
        ]
        self.assertEqual([], wrong)

    def test_pure(self) -> None:
        """The cores import nothing that waits, connects or tells the time."""
        wrong = [
            f"{path.relative_to(ROOT)}:{line}: {imported}"
            for path, tree in source_files()
            for imported, line in imports(tree)
            if imported.split(".")[0] in IMPURE and room_of(module_name(path)) in PURE_ROOMS
        ]
        self.assertEqual([], wrong)

    def test_plugins(self) -> None:
        """Twisted's own packages are never shadowed: no ``__init__.py`` under twisted/."""
        self.assertEqual([], list((ROOT / "twisted").rglob("__init__.py")))


class OneIdeaTests(SynchronousTestCase):
    """One idea a file, and its test beside it."""

    def test_length(self) -> None:
        """No file is over the limit, unless it is listed with its reason; no listing outlives its file's length."""
        lengths = {
            str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
            for path, _ in source_files()
        }
        long = {name for name, lines in lengths.items() if lines > MAX_LINES}
        self.assertEqual(set(LONG_FILES), long)

    def test_docstrings(self) -> None:
        """Every module says what it is."""
        wrong = [str(path.relative_to(ROOT)) for path, tree in source_files() if not ast.get_docstring(tree)]
        self.assertEqual([], wrong)

    def test_packages_are_empty(self) -> None:
        """An ``__init__.py`` holds a docstring only, but for the names that users import."""
        wrong = [
            str(path.relative_to(ROOT))
            for path, tree in source_files()
            if path.name == "__init__.py" and path.parent != PACKAGE and len(tree.body) > 1
        ]
        self.assertEqual([], wrong)

    def test_mirror(self) -> None:
        """A module with logic has its test file in the same place under tests/, or a place listed here."""
        self.assertEqual(set(), modules_without_mirror() - set(WITHOUT_MIRROR))

    def test_listed_places(self) -> None:
        """A module is listed only while it needs to be, and its tests do reach it."""
        self.assertEqual(set(), set(WITHOUT_MIRROR) - modules_without_mirror())
        for name, place in WITHOUT_MIRROR.items():
            self.assertIn(module_name(ROOT / name), reached_from(ROOT / place), f"{place} does not reach {name}")
