"""How the command ends: the numbers of sysexits.h, and the exception that carries them."""

from enum import IntEnum


class Exit(IntEnum):
    """Exit statuses."""

    OK = 0
    USAGE = 64
    DATA = 65
    NO_INPUT = 66
    UNAVAILABLE = 69
    SOFTWARE = 70
    TEMPORARY = 75
    NO_PERMISSION = 77
    CONFIG = 78
    INTERRUPTED = 130


class CommandTrouble(Exception):
    """The command ends here: one line for standard error, and a status."""

    def __init__(self, text: str, status: Exit) -> None:
        super().__init__(text)
        self.text = text
        self.status = status
