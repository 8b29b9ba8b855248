"""Reading the dialogues that stand beside this file; README.txt tells how they are written."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent


@dataclass
class Dialogue:
    """
    One of them.

    :ivar steps: ``("C", octets)``, ``("S", pattern)``, ``("TLS", b"")``, ``("END", b"")``.
    """

    name: str
    settings: dict[str, Any] = field(default_factory=dict)
    steps: list[tuple[str, bytes]] = field(default_factory=list)

    @property
    def has_tls(self) -> bool:
        """It can only be held over a transport that has TLS."""
        return any(kind == "TLS" for kind, _ in self.steps)

    @property
    def ends(self) -> bool:
        """The server closes the connection."""
        return self.steps[-1][0] == "END"

    @property
    def client(self) -> bytes:
        """All that the client sends."""
        return b"".join(octets for kind, octets in self.steps if kind == "C")

    def disagreement(self, heard: bytes) -> str | None:
        """Where all that the server said is not as written."""
        lines = heard.split(b"\r\n")
        if lines.pop() != b"":
            return f"unfinished line in {heard!r}"
        patterns = [pattern for kind, pattern in self.steps if kind == "S"]
        for number, (line, pattern) in enumerate(zip(lines, patterns, strict=False), 1):
            if not re.fullmatch(pattern, line):
                return f"line {number} is {line!r}, expected {pattern!r}"
        return None if len(lines) == len(patterns) else f"{len(lines)} lines, expected {len(patterns)}: {lines!r}"


def read_dialogue(path: Path) -> Dialogue:
    """:raises ValueError: for a line that is none of those in README.txt."""
    found = Dialogue(path.stem)
    for line in path.read_text(encoding="ascii").splitlines():
        mark, rest = line[:2], line[3:]
        if not line.strip() or line.startswith("#"):
            continue
        if mark == "C:":
            found.steps.append(("C", rest.encode() + b"\r\n"))
        elif mark == "C|":
            found.steps.append(("C", rest.encode().decode("unicode_escape").encode("latin-1")))
        elif mark == "S:":
            found.steps.append(("S", re.escape(rest).encode() + b".*"))
        elif mark == "S~":
            found.steps.append(("S", rest.encode()))
        elif line in ("TLS", "END"):
            found.steps.append((line, b""))
        elif mark == "@ ":
            name, _, value = line[2:].partition("=")
            found.settings[name.strip()] = int(value) if value.isdigit() else value
        else:
            raise ValueError(f"{path.name}: {line!r}")
    return found


def all_dialogues() -> list[Dialogue]:
    """In order of their names."""
    return [read_dialogue(path) for path in sorted(FOLDER.glob("*.txt")) if path.name != "README.txt"]
