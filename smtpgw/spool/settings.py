"""The bounds of a spool."""

from msgspec import Struct

_MIB = 1 << 20


class SpoolSettings(Struct, frozen=True, kw_only=True):
    """
    Bounds. Beyond the first two no new message is taken, but changes to those that are there still are.

    :ivar min_free_octets: free space of the file system that must remain.
    :ivar max_messages: most messages at a time.
    :ivar inline_limit_octets: larger contents get a file of their own: below it a row is cheaper than a file.
    :ivar draft_memory_octets: of all drafts together. Beyond it even small contents go to files, more slowly.
    :ivar reserve_octets: held back for changes of messages that are there, should others fill the disk; 0 for none.
    :ivar probe_seconds: while the disk fails, how long to wait before trying again.
    """

    min_free_octets: int = 256 * _MIB
    max_messages: int = 1_000_000
    inline_limit_octets: int = 128 * 1024
    draft_memory_octets: int = 64 * _MIB
    reserve_octets: int = 16 * _MIB
    probe_seconds: float = 5.0
