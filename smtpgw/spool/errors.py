"""What keeps a spool from being opened. Once it is open, trouble is an answer and no exception."""


class SpoolUnusable(Exception):
    """The spool can't be opened. The message is one line for the operator."""


class SpoolFull(SpoolUnusable):
    """The disk has no space, not even to open it."""


class SpoolLocked(SpoolUnusable):
    """
    Another process has it.

    :ivar pid: of the gateway that has it, ``None`` when it is only being read, or not known.
    """

    def __init__(self, folder: str, pid: int | None) -> None:
        self.pid = pid
        who = "another process, which reads it" if pid is None else f"process {pid}"
        super().__init__(f"the spool {folder} is in use by {who}")


class SpoolIncompatible(SpoolUnusable):
    """It was written by another program, or another version of this one."""
