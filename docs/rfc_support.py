"""
Makes docs/rfc-support.rst from the ``@holds`` marks in the tests (see tests/clauses.py).

``python docs/rfc_support.py`` writes the table; with ``--check`` it only says whether the table is up to date.
"""

import ast
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "docs" / "rfc-support.rst"

TITLES = {
    "821": "Simple Mail Transfer Protocol (1982)",
    "1035": "Domain names",
    "1652": "8BITMIME (first form)",
    "1870": "Message size declaration",
    "2034": "Enhanced error codes",
    "2045": "MIME",
    "2505": "Anti-spam recommendations",
    "2920": "Command pipelining",
    "3030": "CHUNKING and BINARYMIME",
    "3207": "STARTTLS",
    "3461": "Delivery status notifications: the extension",
    "3463": "Enhanced status codes",
    "3464": "Delivery status notifications: the format",
    "3834": "Automatic responses",
    "3848": "Transmission types of ESMTP and LMTP",
    "4954": "AUTH",
    "5321": "Simple Mail Transfer Protocol",
    "5322": "Internet message format",
    "6152": "8BITMIME",
    "6522": "multipart/report",
    "6531": "SMTPUTF8",
    "6533": "Internationalised notifications",
    "7504": "521 and 556",
    "7505": "Null MX",
    "8460": "TLS reports",
    "8689": "REQUIRETLS",
    "9422": "LIMITS",
}

HEAD = """\
RFC support
===========

Each line is a promise that at least one test holds, with the test. What is not here may work, but nothing watches over
it. The table is made from the tests: ``make rfcs``.
"""


class Clause(NamedTuple):
    """One promise."""

    rfc: str
    section: str
    promise: str


def section_key(section: str) -> tuple[tuple[int, str], ...]:
    """Sections in the order of the RFC: 4.5.3.2 before 4.5.10, numbers before letters."""
    return tuple((int(part), "") if part.isdigit() else (10_000, part) for part in section.split("."))


def _marks(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef, where: str) -> Iterator[Clause]:
    for mark in node.decorator_list:
        if isinstance(mark, ast.Call) and isinstance(mark.func, ast.Name) and mark.func.id == "holds":
            values = [argument.value for argument in mark.args if isinstance(argument, ast.Constant)]
            texts = [value for value in values if isinstance(value, str)]
            if len(texts) != 3 or mark.keywords or len(mark.args) != 3:
                raise SystemExit(f"{where}:{mark.lineno}: holds() takes three literal strings")
            yield Clause(*texts)


def read_marks(source: str, module: str) -> Iterator[tuple[Clause, str]]:
    """Every mark in one file of tests, with the name of what carries it."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.ClassDef):
            for clause in _marks(node, module):
                yield clause, f"{module}.{node.name}"
            for inner in node.body:
                if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef):
                    for clause in _marks(inner, module):
                        yield clause, f"{module}.{node.name}.{inner.name}"


def collect(folder: Path) -> dict[Clause, list[str]]:
    """The promises in all files of a folder of tests, with the tests that hold each."""
    found: dict[Clause, list[str]] = defaultdict(list)
    for path in sorted(folder.rglob("*.py")):
        module = ".".join(path.relative_to(folder.parent).with_suffix("").parts)
        for clause, test in read_marks(path.read_text(encoding="utf-8"), module):
            found[clause].append(test)
    return dict(found)


def render(found: dict[Clause, list[str]]) -> str:
    """The whole file."""
    lines = [HEAD]
    for rfc in sorted({clause.rfc for clause in found}, key=int):
        title = f"RFC {rfc}" + (f": {TITLES[rfc]}" if rfc in TITLES else "")
        lines += [title, "-" * len(title), "", ".. list-table::", "   :header-rows: 1", "   :widths: 10 50 40", ""]
        lines += ["   * - Section", "     - What holds", "     - Held by"]
        of_this = [clause for clause in found if clause.rfc == rfc]
        for clause in sorted(of_this, key=lambda clause: (section_key(clause.section), clause.promise)):
            first, *others = (f"``{name}``" for name in sorted(found[clause]))
            lines += [f"   * - {clause.section}", f"     - {clause.promise}", f"     - {first}"]
            lines += [f"       {name}" for name in others]
        lines.append("")
    return "\n".join(lines)


def main(arguments: Sequence[str]) -> int:
    """Write, or check; the exit status."""
    text = render(collect(ROOT / "tests"))
    if list(arguments) == ["--check"]:
        if TABLE.exists() and TABLE.read_text(encoding="utf-8") == text:
            return 0
        print("docs/rfc-support.rst is not what the tests say: make rfcs", file=sys.stderr)
        return 1
    TABLE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
