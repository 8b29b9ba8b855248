"""
Who is a recipient of a domain of ours, as the configuration says it: everybody, a list, a file, or a source that is
asked.
"""

from pathlib import Path

from msgspec import Struct

from smtpgw.lookups.callahead import CallAheadPlace
from smtpgw.lookups.file import local_part as local_part
from smtpgw.lookups.file import read_recipients as read_recipients
from smtpgw.lookups.http import HttpPlace
from smtpgw.lookups.ldap import LdapPlace
from smtpgw.lookups.postgresql import PostgresqlPlace
from smtpgw.lookups.python import PythonPlace
from smtpgw.lookups.sqlite import SqlitePlace


class EveryRecipient(Struct, frozen=True, tag="every"):
    """``recipients = "*"``."""


class ListedRecipients(Struct, frozen=True, tag="listed"):
    """``recipients = ["alice", "bob"]``. :ivar local_parts: as written."""

    local_parts: tuple[str, ...]


class FileRecipients(Struct, frozen=True, tag="file"):
    """``recipients = "file:PATH"``. :ivar path: absolute."""

    path: Path


AskedPlace = SqlitePlace | PostgresqlPlace | HttpPlace | LdapPlace | PythonPlace | CallAheadPlace
"""Sources that are asked while a client waits."""

Recipients = EveryRecipient | ListedRecipients | FileRecipients | AskedPlace
