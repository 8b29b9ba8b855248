"""One target under atheris, with libFuzzer's own arguments: ``python -m tests.fuzz.one TARGET [ARGUMENT ...]``."""

import shlex
import sys

import atheris

with atheris.instrument_imports(include=["smtpgw"]):
    from tests.fuzz.catalogue import TARGETS


def main() -> None:
    """Does not come back: libFuzzer ends the process."""
    name, *arguments = sys.argv[1:]
    # libFuzzer starts itself again for a merge: with what it takes for its name, in a shell.
    myself = f"{shlex.quote(sys.executable)} -m tests.fuzz.one {shlex.quote(name)}"
    atheris.Setup([myself, *arguments], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
