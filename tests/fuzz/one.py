"""One target under atheris, with libFuzzer's own arguments: ``python -m tests.fuzz.one TARGET [ARGUMENT ...]``."""

import sys

import atheris

with atheris.instrument_imports(include=["smtpgw"]):
    from tests.fuzz.catalogue import TARGETS


def main() -> None:
    """Does not come back: libFuzzer ends the process."""
    name, *arguments = sys.argv[1:]
    atheris.Setup([sys.argv[0], *arguments], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
