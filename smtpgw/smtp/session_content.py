"""
Content in a session: behind a 354 (RFC 5321 section 4.1.1.4), and in chunks (RFC 3030).

What BDAT announces is always read, octet for octet, and dropped where nobody wants it; then comes its one reply. Memory
is never taken by announcement, only for what has come. Chunks that follow a refused one belong to a message that is
lost: they are dropped and answered 503, and are no bad commands, for a client that pipelines has sent them already.
"""

from smtpgw.model.envelope import Envelope, MailFrom, Recipient
from smtpgw.model.reply import Reply
from smtpgw.smtp import replies
from smtpgw.smtp.events import ContentRead, DataAsked, Event, Signal
from smtpgw.smtp.extension import ChunkAnnounced
from smtpgw.smtp.framing import ChunkReader, ContentReader, Flaw
from smtpgw.smtp.session_rules import Phase
from smtpgw.smtp.session_state import SessionState

_REPLIES = {Flaw.BARE_NEWLINE: replies.BARE_NEWLINE, Flaw.NUL: replies.NUL_IN_CONTENT}


def envelope_of(mail: MailFrom, recipients: list[Recipient]) -> Envelope:
    """What the transaction has come to."""
    return Envelope(mail.reverse_path, tuple(recipients), mail.body, mail.smtputf8, mail.parameters)


def read_content(session: SessionState, content: ContentReader | ChunkReader) -> Event | None:
    """
    Read on in the content.

    ``None``: more input is needed; or, when ``session.content`` is another one than before, it has ended and was
    answered.
    """
    if isinstance(content, ChunkReader):
        return _read_chunk(session, content)
    has_ended = content.ended
    if not has_ended:
        octets, session.position = content.read(session.buffer, session.position)
        has_ended = content.ended
        if session.content_refusal is None:
            refusal = _trouble(session, content)
            if refusal is not None:
                session.content_refusal = refusal
                session.rejected("content", refusal, "")
                return Signal.CONTENT_DROPPED
            if has_ended:
                session.content = None
                session.messages += 1
                session.is_owing = True
            elif not octets:
                return None
            return ContentRead(octets, has_ended)
    if has_ended and session.content_refusal is not None:
        session.content = None
        session.messages += 1
        session.reset()
        _conclude(session, session.content_refusal)
    return None


def begin_chunk(session: SessionState, announced: ChunkAnnounced, misplaced: Reply | None) -> Event | None:
    """
    BDAT was read.

    :param misplaced: why it has no place here.
    """
    if misplaced is not None or session.has_failed_chunks:
        # Whatever comes of this message from now on is no message.
        refusal = replies.CHUNKS_FAILED if misplaced is None or session.has_failed_chunks else misplaced
        session.phase_behind = session.phase
        session.phase = Phase.CONTENT
        session.content = _reader(session, announced)
        session.content_refusal = refusal
        return None
    chunks = session.chunks
    is_first = chunks is None
    if chunks is None:
        chunks = session.chunks = _reader(session, announced)
    else:
        chunks.begin(announced.size_octets, is_last=announced.is_last)
    limit = session.rules.message_size
    if limit and chunks.size_octets + announced.size_octets > limit:
        session.rejected("content", replies.TOO_LARGE, "")
        refuse_chunk(session, chunks, replies.TOO_LARGE)
        return None if is_first else Signal.CONTENT_DROPPED
    if not is_first:
        accept_chunk(session, chunks)
        return None
    mail = session.mail
    assert mail is not None
    session.is_owing = True
    return DataAsked(envelope_of(mail, session.recipients))


def accept_chunk(session: SessionState, chunks: ChunkReader) -> None:
    """Its octets are read now."""
    session.phase = Phase.CONTENT
    session.content = chunks
    session.content_refusal = None


def refuse_chunk(session: SessionState, chunks: ChunkReader, answer: Reply) -> None:
    """Its octets are dropped now, and then this is said."""
    accept_chunk(session, chunks)
    session.content_refusal = answer


def drop_chunks(session: SessionState) -> Signal | None:
    """The transaction is about to be forgotten: so is what has come of its message."""
    return Signal.CONTENT_DROPPED if session.phase is Phase.CHUNKS else None


def _reader(session: SessionState, announced: ChunkAnnounced) -> ChunkReader:
    reader = ChunkReader(normalize=session.rules.normalizes)
    reader.begin(announced.size_octets, is_last=announced.is_last)
    return reader


def _read_chunk(session: SessionState, chunk: ChunkReader) -> Event | None:
    if not chunk.ended:
        if session.content_refusal is None:
            event = _take(session, chunk)
            if event is not None:
                return event
        else:
            session.position = chunk.skip(session.buffer, session.position)
    if chunk.ended:
        _end_chunk(session, chunk)
    return None


def _take(session: SessionState, chunk: ChunkReader) -> Event | None:
    octets, session.position = chunk.read(session.buffer, session.position)
    if chunk.flaw is not None:
        refusal = session.content_refusal = _REPLIES[chunk.flaw]
        session.rejected("content", refusal, "")
        return Signal.CONTENT_DROPPED
    if chunk.ended and chunk.is_last:
        session.content = None
        session.messages += 1
        session.is_owing = True
        return ContentRead(octets, is_last=True)
    return ContentRead(octets, is_last=False) if octets else None


def _end_chunk(session: SessionState, chunk: ChunkReader) -> None:
    session.content = None
    refusal, session.content_refusal = session.content_refusal, None
    if refusal is None:
        session.phase = Phase.CHUNKS
        session.output.append(b"250 2.0.0 %d octets received\r\n" % chunk.chunk_octets)
    elif chunk is session.chunks:
        session.messages += 1
        session.reset()
        session.has_failed_chunks = not chunk.is_last
        _conclude(session, refusal)
    else:
        session.phase = session.phase_behind
        session.has_failed_chunks = not chunk.is_last
        if refusal is replies.CHUNKS_FAILED:
            session.say(refusal)
        else:
            session.bad(refusal)


def _conclude(session: SessionState, answer: Reply) -> None:
    session.say(answer)
    if answer.code == 421:
        session.close()


def _trouble(session: SessionState, content: ContentReader) -> Reply | None:
    if content.flaw is not None:
        return _REPLIES[content.flaw]
    limit = session.rules.message_size
    return replies.TOO_LARGE if limit and content.size_octets > limit else None
