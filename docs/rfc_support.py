"""
Makes docs/rfc-support.rst from the marks in the tests: ``@holds``, ``@holds_in_part``, ``@does_not_hold`` (see
tests/clauses.py).

``python docs/rfc_support.py`` writes the table; with ``--check`` it only says whether the table is up to date.
"""

import ast
import sys
from collections import Counter, defaultdict
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
    "2852": "DELIVERBY",
    "2920": "Command pipelining",
    "3030": "CHUNKING and BINARYMIME",
    "3207": "STARTTLS",
    "3461": "Delivery status notifications: the extension",
    "3463": "Enhanced status codes",
    "3464": "Delivery status notifications: the format",
    "3834": "Automatic responses",
    "3848": "Transmission types of ESMTP and LMTP",
    "4013": "SASLprep",
    "4422": "SASL, and EXTERNAL",
    "4616": "PLAIN",
    "4865": "FUTURERELEASE",
    "4954": "AUTH",
    "5321": "Simple Mail Transfer Protocol",
    "5322": "Internet message format",
    "5782": "DNS blacklists and whitelists",
    "5802": "SCRAM",
    "5803": "SCRAM records",
    "5929": "Channel bindings for TLS",
    "6152": "8BITMIME",
    "6409": "Message submission",
    "6522": "multipart/report",
    "6531": "SMTPUTF8",
    "6533": "Internationalised notifications",
    "6710": "MT-PRIORITY",
    "7504": "521 and 556",
    "7505": "Null MX",
    "7628": "OAuth for SASL",
    "7677": "SCRAM-SHA-256",
    "8314": "TLS for submission and access",
    "8460": "TLS reports",
    "8689": "REQUIRETLS",
    "9266": "tls-exporter",
    "9422": "LIMITS",
}

HEAD = """\
RFC support
===========

Clause by clause what is held, what is held in part and how far, and what is not held and why; each with the tests that
show it. What is not here may work, but nothing watches over it. The table is made from the tests: ``make rfcs``.
"""

STATES = {"holds": "held", "holds_in_part": "in part", "does_not_hold": "not held"}
"""Names of the marks, and their words in the table."""


class Clause(NamedTuple):
    """
    One clause.

    :ivar state: held, in part or not held.
    :ivar remark: how far, or why not; empty when it is held.
    """

    rfc: str
    section: str
    promise: str
    state: str
    remark: str = ""


def section_key(section: str) -> tuple[tuple[int, str], ...]:
    """Sections in the order of the RFC: 4.5.3.2 before 4.5.10, numbers before letters."""
    return tuple((int(part), "") if part.isdigit() else (10_000, part) for part in section.split("."))


def _marks(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef, where: str) -> Iterator[Clause]:
    for mark in node.decorator_list:
        if isinstance(mark, ast.Call) and isinstance(mark.func, ast.Name) and mark.func.id in STATES:
            values = [argument.value for argument in mark.args if isinstance(argument, ast.Constant)]
            texts = [value for value in values if isinstance(value, str)]
            wanted = 3 if mark.func.id == "holds" else 4
            if len(texts) != wanted or mark.keywords or len(mark.args) != wanted:
                raise SystemExit(f"{where}:{mark.lineno}: {mark.func.id}() takes {wanted} literal strings")
            rfc, section, promise, *remark = texts
            yield Clause(rfc, section, promise, STATES[mark.func.id], *remark)


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
    rfcs = sorted({clause.rfc for clause in found}, key=int)
    lines += [".. list-table::", "   :header-rows: 1", "   :widths: 60 10 10 10", ""]
    lines += ["   * - RFC", *(f"     - {state}" for state in STATES.values())]
    for rfc in rfcs:
        states = Counter(clause.state for clause in found if clause.rfc == rfc)
        lines += [f"   * - {_title(rfc)}", *(f"     - {states[state]}" for state in STATES.values())]
    lines.append("")
    for rfc in rfcs:
        title = _title(rfc)
        lines += [title, "-" * len(title), "", ".. list-table::", "   :header-rows: 1", "   :widths: 8 46 8 38", ""]
        lines += ["   * - Section", "     - Clause", "     - State", "     - Shown by"]
        of_this = [clause for clause in found if clause.rfc == rfc]
        for clause in sorted(of_this, key=lambda clause: (section_key(clause.section), clause.promise)):
            first, *others = (f"``{name}``" for name in sorted(found[clause]))
            words = f"{clause.promise} *{clause.remark}*" if clause.remark else clause.promise
            lines += [f"   * - {clause.section}", f"     - {words}", f"     - {clause.state}", f"     - {first}"]
            lines += [f"       {name}" for name in others]
        lines.append("")
    return "\n".join(lines)


def _title(rfc: str) -> str:
    return f"RFC {rfc}" + (f": {TITLES[rfc]}" if rfc in TITLES else "")


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
