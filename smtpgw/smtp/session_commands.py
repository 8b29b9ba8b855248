"""
The commands of a session (RFC 5321 section 4.1), one function each, and the order in which they may come.

A command is refused for its syntax, its place, or a limit here; everything else is asked of the driver.
"""

import re
from collections.abc import Callable

from smtpgw.model.address import path_text
from smtpgw.model.envelope import NO_PARAMETERS, MailFrom, MailParameters, Recipient
from smtpgw.model.reply import Reply
from smtpgw.smtp import replies
from smtpgw.smtp.events import AuthAsked, DataAsked, Event, MailAsked, RcptAsked, Signal
from smtpgw.smtp.extension import ChunkAnnounced, Extension, MailFields, RcptFields
from smtpgw.smtp.framing import MAX_RESPONSE_OCTETS
from smtpgw.smtp.grammar import Parameters, read_helo, read_mail, read_rcpt
from smtpgw.smtp.session_content import begin_chunk, drop_chunks, envelope_of
from smtpgw.smtp.session_rules import Phase
from smtpgw.smtp.session_state import SessionState

_REQUEST = re.compile(rb"[A-Za-z]+ \S* ?HTTP/\d(?:\.\d)?\Z|SSH-\d|PROXY (?:TCP|UDP|UNKNOWN)")
"""Lines of protocols that can be made to talk to our port by others than their user."""

_REQUEST_BEGINS = re.compile(rb"[A-Za-z]+ +(?:/|[a-z]+://)")
"""The same of one whose line is too long to be read: no command of ours has a path or a URL there."""

_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")

_MISPLACED: dict[bytes, dict[Phase, Reply]] = {
    b"MAIL": {
        Phase.START: replies.HELO_FIRST,
        Phase.MAIL: replies.NESTED_MAIL,
        Phase.CHUNKS: replies.CHUNKS_UNDER_WAY,
    },
    b"RCPT": {
        Phase.START: replies.HELO_FIRST,
        Phase.READY: replies.MAIL_FIRST,
        Phase.CHUNKS: replies.CHUNKS_UNDER_WAY,
    },
    b"DATA": {
        Phase.START: replies.HELO_FIRST,
        Phase.READY: replies.MAIL_FIRST,
        Phase.CHUNKS: replies.CHUNKS_UNDER_WAY,
    },
}
"""What is said to a command in a phase where it has no place. Anywhere else it has one."""

_BEFORE_TLS = frozenset({b"EHLO", b"HELO", b"NOOP", b"QUIT", b"STARTTLS"})
"""RFC 3207 section 4."""

_BEFORE_AUTH = frozenset({b"AUTH", b"EHLO", b"HELO", b"NOOP", b"QUIT", b"RSET", b"STARTTLS", b"XCLIENT"})
"""RFC 4954 section 6, and what must come before AUTH can."""

_KNOWN = frozenset({b"EXPN", b"SEND", b"SOML", b"SAML", b"TURN", b"ETRN", b"BDAT", b"AUTH", b"STARTTLS"})
"""Commands that exist, but not here."""


def run_command(session: SessionState, line: bytes) -> Event | None:
    """:param line: without CR LF. Says its reply, or returns what must happen first."""
    verb, _, argument = line.partition(b" ")
    act = _VERBS.get(verb)
    if act is None:
        verb = verb.upper()
        act = _VERBS.get(verb)
    # A message whose chunks are coming is taken, as one behind a 354 is.
    if session.is_shutting_down and verb != b"QUIT" and not (verb == b"BDAT" and session.phase is Phase.CHUNKS):
        session.turn_away(replies.SHUTTING_DOWN)
        return None
    session.is_first_line = False
    if act is None:
        return _run_other(session, line, verb, argument)
    lock = session.lock
    if lock is not None and verb not in _unlocked(lock):
        return session.bad(lock)
    misplaced = _MISPLACED.get(verb)
    if misplaced is not None and session.phase in misplaced:
        return session.bad(misplaced[session.phase])
    return act(session, argument)


def _run_other(session: SessionState, line: bytes, verb: bytes, argument: bytes) -> Event | None:
    """What is no command of SMTP itself."""
    if _REQUEST.match(line):
        return foreign_protocol(session)
    if verb[:4] == b"BDAT":
        return _bdat(session, verb, argument)
    lock = session.lock
    if lock is not None and verb not in _unlocked(lock):
        return session.bad(lock)
    extension = session.tables.verbs.get(verb)
    if extension is not None:
        return _run_extension(session, extension, verb.decode("ascii"), argument)
    if not line.strip():
        return session.bad(replies.SYNTAX_ERROR)
    return session.bad(replies.NOT_IMPLEMENTED if verb in _KNOWN else replies.UNKNOWN_COMMAND)


def _unlocked(lock: Reply) -> frozenset[bytes]:
    return _BEFORE_TLS if lock is replies.TLS_NEEDED else _BEFORE_AUTH


def is_foreign(beginning: bytes) -> bool:
    """:param beginning: of a line that is too long."""
    return _REQUEST_BEGINS.match(beginning) is not None


def foreign_protocol(session: SessionState) -> Event | None:
    """Another protocol: its next lines must not be read as commands."""
    session.rejected("connect", replies.FOREIGN_PROTOCOL, "")
    session.turn_away(replies.FOREIGN_PROTOCOL)
    return None


def _helo(session: SessionState, argument: bytes) -> Event | None:
    return _greeted(session, argument, is_extended=False)


def _ehlo(session: SessionState, argument: bytes) -> Event | None:
    return _greeted(session, argument, is_extended=True)


def _greeted(session: SessionState, argument: bytes, *, is_extended: bool) -> Event | None:
    name = read_helo(argument)
    if name is None:
        return session.bad(replies.BAD_HELO)
    dropped = drop_chunks(session)
    if dropped is not None:
        # The message goes first. Then the line is read once more: this verb, a space, the argument, CR LF.
        session.reset()
        session.position -= 4 + 1 + len(argument) + 2
        return dropped
    session.helo = name
    session.is_extended = is_extended
    session.reset()
    lines = [session.rules.hostname]
    if is_extended:
        offers = (extension.offer(session.facts) for extension in session.rules.extensions)
        lines += [offer for offer in offers if offer is not None]
    session.output.append(replies.encode_greeting(tuple(lines)))
    return Signal.GREETED


def _mail(session: SessionState, argument: bytes) -> Event | None:
    limit = session.rules.messages
    if limit and session.messages >= limit:
        session.rejected("mail", replies.TOO_MANY_MESSAGES, "")
        session.turn_away(replies.TOO_MANY_MESSAGES)
        return None
    found = read_mail(argument)
    if isinstance(found, Reply):
        return session.bad(found)
    path = found.path
    if not found.parameters:
        mail = MailFrom(path)
    else:
        fields = MailFields()
        trouble = _mail_parameters(session, found.parameters, fields)
        if trouble is not None:
            if trouble is not replies.TOO_LARGE:
                return session.bad(trouble)
            session.rejected("mail", trouble, path_text(path))
            session.say(trouble)
            return None
        mail = MailFrom(path, fields.size_octets, fields.body, fields.smtputf8, _parameters_of(fields))
    if path is not None and not mail.smtputf8 and not path.is_ascii:
        return session.bad(replies.NEEDS_SMTPUTF8_SENDER)
    session.mail = mail
    session.has_tried = False
    session.has_failed_chunks = False
    session.is_owing = True
    return MailAsked(mail)


def _parameters_of(fields: MailFields) -> MailParameters:
    asked = (
        fields.envelope_id,
        fields.returned,
        fields.requires_tls,
        fields.deliver_by,
        fields.hold_seconds,
        fields.hold_until,
    )
    # Nearly no message asks for anything, and to compare two of these takes longer than to read the whole command.
    return MailParameters(*asked) if any(asked) else NO_PARAMETERS


def _mail_parameters(session: SessionState, parameters: Parameters, fields: MailFields) -> Reply | None:
    seen = set()
    for keyword, value in parameters:
        extension = _available(session, session.tables.mail, keyword)
        if extension is None:
            return replies.UNKNOWN_PARAMETER
        if keyword in seen:
            return replies.REPEATED_PARAMETER
        seen.add(keyword)
        trouble = extension.mail_parameter(keyword, value, fields, session.facts)
        if trouble is not None:
            return trouble
    return None


def _rcpt(session: SessionState, argument: bytes) -> Event | None:
    if len(session.recipients) >= session.rules.recipients:
        if not session.is_full:
            # Told once: a client may try thousands more.
            session.is_full = True
            session.rejected("rcpt", replies.TOO_MANY_RECIPIENTS, "")
        session.say(replies.TOO_MANY_RECIPIENTS)
        return None
    found = read_rcpt(argument)
    if isinstance(found, Reply):
        return session.bad(found)
    mailbox, mail = found.path, session.mail
    assert mailbox is not None
    assert mail is not None
    if not found.parameters:
        recipient = Recipient(mailbox)
    else:
        fields = RcptFields(mail.smtputf8)
        trouble = _rcpt_parameters(session, found.parameters, fields)
        if trouble is not None:
            return session.bad(trouble)
        recipient = Recipient(mailbox, fields.notify, fields.original)
    if not mail.smtputf8 and not mailbox.is_ascii:
        return session.bad(replies.NEEDS_SMTPUTF8_RECIPIENT)
    session.has_tried = True
    session.recipient = recipient
    session.is_owing = True
    return RcptAsked(mail, recipient)


def _rcpt_parameters(session: SessionState, parameters: Parameters, fields: RcptFields) -> Reply | None:
    seen = set()
    for keyword, value in parameters:
        extension = _available(session, session.tables.rcpt, keyword)
        if extension is None:
            return replies.UNKNOWN_PARAMETER
        if keyword in seen:
            return replies.REPEATED_PARAMETER
        seen.add(keyword)
        trouble = extension.rcpt_parameter(keyword, value, fields, session.facts)
        if trouble is not None:
            return trouble
    return None


def _available(session: SessionState, table: dict[str, Extension], keyword: str) -> Extension | None:
    """Only what was offered may be used (RFC 5321 section 4.1.1.11)."""
    extension = table.get(keyword)
    if extension is None or not session.is_extended or not extension.takes_parameters(session.facts):
        return None
    return extension


def _data(session: SessionState, argument: bytes) -> Event | None:
    if argument.strip(b" "):
        return session.bad(replies.NO_ARGUMENT)
    if not session.recipients:
        return session.bad(replies.NO_VALID_RECIPIENTS if session.has_tried else replies.RCPT_FIRST)
    mail = session.mail
    assert mail is not None
    session.is_owing = True
    return DataAsked(envelope_of(mail, session.recipients))


def _bdat(session: SessionState, verb: bytes, argument: bytes) -> Event | None:
    """In every phase: where a chunk has no place, its octets must not be read as commands."""
    extension = session.tables.verbs.get(verb)
    announced: object = replies.NOT_IMPLEMENTED
    if verb != b"BDAT":
        announced = replies.UNKNOWN_COMMAND
    elif extension is not None:
        announced = extension.command("BDAT", argument.rstrip(b" "), session.facts)
    if isinstance(announced, ChunkAnnounced):
        return begin_chunk(session, announced, _bdat_misplaced(session))
    # How much content stands behind it can't be known. Nothing that comes now can be told from it, so this is the end.
    assert isinstance(announced, Reply)
    session.rejected("content", announced, "")
    session.turn_away(announced)
    return None


def _bdat_misplaced(session: SessionState) -> Reply | None:
    if session.lock is not None:
        return session.lock
    if not session.is_extended:
        return replies.EHLO_FIRST
    if session.phase is Phase.READY:
        return replies.MAIL_FIRST
    if not session.recipients:
        return replies.NO_VALID_RECIPIENTS if session.has_tried else replies.RCPT_FIRST
    return None


def _rset(session: SessionState, argument: bytes) -> Event | None:
    if argument.strip(b" "):
        return session.bad(replies.NO_ARGUMENT)
    dropped = drop_chunks(session)
    session.reset()
    session.output.append(replies.OK)
    return dropped


def _noop(session: SessionState, argument: bytes) -> Event | None:
    if _CONTROL.search(argument):
        return session.bad(replies.SYNTAX_ERROR)
    session.output.append(replies.OK)
    return None


def _vrfy(session: SessionState, argument: bytes) -> Event | None:
    if _CONTROL.search(argument):
        return session.bad(replies.SYNTAX_ERROR)
    words = argument.split()
    if words[1:] and words[-1].upper() == b"SMTPUTF8" and _available(session, session.tables.mail, "SMTPUTF8"):
        words.pop()
    elif not argument.isascii():
        return session.bad(replies.NEEDS_SMTPUTF8_RECIPIENT)
    if not words:
        return session.bad(replies.ARGUMENT_NEEDED)
    session.say(replies.CANNOT_VERIFY)
    return None


def _help(session: SessionState, argument: bytes) -> Event | None:
    if _CONTROL.search(argument):
        return session.bad(replies.SYNTAX_ERROR)
    session.say(replies.HELP)
    return None


def _quit(session: SessionState, argument: bytes) -> Event | None:
    if argument.strip(b" "):
        return session.bad(replies.NO_ARGUMENT)
    session.has_said_all = not session.buffered_octets
    session.turn_away(replies.BYE)
    return None


def _run_extension(session: SessionState, extension: Extension, verb: str, argument: bytes) -> Event | None:
    if verb == "STARTTLS" and session.phase is Phase.CHUNKS:
        return session.bad(replies.NOT_IN_TRANSACTION)
    session.facts.has_input = session.buffered_octets > 0
    result = extension.command(verb, argument.rstrip(b" "), session.facts)
    if isinstance(result, Reply):
        if result.code == 421:
            session.turn_away(result)
        elif result.is_permanent:
            session.bad(result)
        else:
            session.say(result)
        return None
    assert not isinstance(result, ChunkAnnounced)
    if result is Signal.TLS_ASKED:
        session.output.append(replies.START_TLS)
    elif isinstance(result, AuthAsked):
        session.phase = Phase.EXCHANGE
        session.commands.limit_octets = MAX_RESPONSE_OCTETS
    session.is_owing = True
    return result


_VERBS: dict[bytes, Callable[[SessionState, bytes], Event | None]] = {
    b"HELO": _helo,
    b"EHLO": _ehlo,
    b"MAIL": _mail,
    b"RCPT": _rcpt,
    b"DATA": _data,
    b"RSET": _rset,
    b"NOOP": _noop,
    b"VRFY": _vrfy,
    b"HELP": _help,
    b"QUIT": _quit,
}
