"""The targets by name. Each takes octets and raises for what must never be."""

from collections.abc import Callable, Iterator
from pathlib import Path

from tests.fuzz import milter_target, peer_targets, sasl_target, session_target, text_targets

CORPUS = Path(__file__).resolve().parent / "corpus"

TARGETS: dict[str, Callable[[bytes], None]] = {
    "commands": text_targets.commands,
    "content": text_targets.content,
    "grammar": text_targets.grammar,
    "header": text_targets.header,
    "milter": milter_target.milter,
    "notice": peer_targets.notice,
    "parameters": text_targets.parameters,
    "probe": peer_targets.probe,
    "proxy": peer_targets.proxy,
    "relay": peer_targets.relay,
    "replies": text_targets.replies,
    "sasl": sasl_target.sasl,
    "session": session_target.session,
    "triplets": peer_targets.triplets,
}


def corpus(name: str) -> Iterator[tuple[str, bytes]]:
    """What is kept for a target: the inputs that have found something new, and those that have found a fault."""
    for path in sorted((CORPUS / name).glob("*")):
        yield path.name, path.read_bytes()
