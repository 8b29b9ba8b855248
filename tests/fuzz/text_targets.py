"""Targets that read one piece of hostile text: paths, parameters, content, headers, replies."""

import re

from smtpgw.model.reply import Reply
from smtpgw.smtp.events import Event
from smtpgw.smtp.extension import ChunkAnnounced, Facts, MailFields, RcptFields
from smtpgw.smtp.extensions.catalogue import EXTENSIONS
from smtpgw.smtp.framing import MAX_RESPONSE_OCTETS, CommandReader, ContentReader
from smtpgw.smtp.grammar import PathArgument, parse_mailbox, read_base64, read_helo, read_mail, read_rcpt
from smtpgw.smtp.header import HeaderScan
from smtpgw.smtp.reply_reader import MAX_LINES, BadReply, ReplyReader
from smtpgw.smtp.session_rules import ExtensionTables
from smtpgw.smtp.xtext import decode_original, decode_xtext, encode_original, encode_xtext

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_LIMIT = 4096


def grammar(octets: bytes) -> None:
    """Arguments of HELO, MAIL and RCPT: refused, or a value that can be written out again and means the same."""
    name = read_helo(octets)
    assert name is None or not _CONTROL.search(name), name
    read_base64(octets)
    for read, word in ((read_mail, b"FROM:"), (read_rcpt, b"TO:")):
        for argument in (octets, word + octets, word + b"<" + octets + b">"):
            found = read(argument)
            if isinstance(found, Reply):
                assert found.is_permanent, found
                continue
            _check_path(found)


def _check_path(found: PathArgument) -> None:
    for keyword, value in found.parameters:
        assert keyword == keyword.upper(), keyword
        assert keyword.isascii(), keyword
        assert value is None or not re.search("[\x00-\x20\x7f=]", value), value
    path = found.path
    if path is None or not path.domain:
        return
    text = str(path)
    assert not _CONTROL.search(text), text
    assert parse_mailbox(text) == path, text


def content(octets: bytes) -> None:
    """Content in any cuts: the same as in one piece, without anything that may not be passed on."""
    if not octets:
        return
    step, octets = octets[0] % 7 + 1, octets[1:]
    for normalizes in (False, True):
        whole, end = _read_content([octets], normalize=normalizes)
        pieces = [octets[at : at + step] for at in range(0, len(octets), step)]
        again, end_again = _read_content(pieces, normalize=normalizes)
        assert (end, whole) == (end_again, again) or end is None, (whole, again)
        for text in (whole, again):
            assert b"\0" not in text
            assert not re.search(rb"\r(?!\n)|(?<!\r)\n", text), text


def _read_content(pieces: list[bytes], *, normalize: bool) -> tuple[bytes, bool | None]:
    """What was given out, and whether it was all of a good message; ``None`` when it has a flaw."""
    reader = ContentReader(normalize=normalize)
    text = b""
    for piece in pieces:
        given, _ = reader.read(piece, 0)
        text += given
        if reader.ended:
            break
    return text, None if reader.flaw is not None else reader.ended


def commands(octets: bytes) -> None:
    """Command lines: each is in its limit, and what is held back is bounded."""
    if not octets:
        return
    step, octets = octets[0] % 5 + 1, octets[1:]
    reader, rest = CommandReader(), b""
    reader.limit_octets = 64
    lines = 0
    for at in range(0, len(octets), step):
        rest += octets[at : at + step]
        position = 0
        while True:
            start = position
            line, position = reader.read(rest, start)
            if line is not None:
                assert b"\r\n" not in line
                assert len(line) <= (MAX_RESPONSE_OCTETS if line[:5].upper() == b"AUTH " else reader.limit_octets)
            elif position == start or reader.is_skipping:
                break
            lines += 1
        rest = rest[position:]
        most = MAX_RESPONSE_OCTETS if rest[:5].upper() == b"AUTH " else reader.limit_octets
        assert len(rest) <= most, rest
    assert lines <= octets.count(b"\r\n")


def header(octets: bytes) -> None:
    """Where a header ends does not depend on the cuts, and what is kept of it is bounded."""
    if not octets:
        return
    step, octets = octets[0] % 7 + 1, octets[1:]
    whole, cut = HeaderScan(200), HeaderScan(200)
    whole.feed(octets)
    for at in range(0, len(octets), step):
        cut.feed(octets[at : at + step])
    assert whole.too_large == cut.too_large, octets
    assert whole.header == cut.header, octets
    assert len(whole.header) <= 200 or not whole.done, octets


def replies(octets: bytes) -> None:
    """Replies of a next hop: whole ones, or one clear refusal."""
    if not octets:
        return
    step, octets = octets[0] % 7 + 1, octets[1:]
    reader = ReplyReader()
    try:
        for at in range(0, len(octets), step):
            reader.feed(octets[at : at + step])
            while (found := reader.next()) is not None:
                assert 200 <= found.code <= 599, found
                assert len(found.lines) <= MAX_LINES
                assert not any("\n" in line for line in found.lines), found
    except BadReply as trouble:
        assert not _CONTROL.search(str(trouble)), trouble


_TABLES = ExtensionTables(EXTENSIONS)
_FACTS = Facts(
    message_size=1000,
    tls_available=True,
    tls_active=True,
    xclient=True,
    mechanisms=("PLAIN",),
    deliver_by=10,
    future_release_seconds=3600,
    now=lambda: 1_790_000_000.0,
)


def parameters(octets: bytes) -> None:
    """
    Values of every parameter of MAIL and RCPT, arguments of every verb that an extension brings, and xtext: refused, or
    printable, and the same again when it is written out.
    """
    text = octets.decode("utf-8", "replace")
    for value in (text, text.strip()):
        _check_xtext(value)
        for keyword, extension in _TABLES.mail.items():
            mail = MailFields()
            if extension.mail_parameter(keyword, value, mail, _FACTS) is None:
                assert decode_xtext(encode_xtext(mail.envelope_id)) == mail.envelope_id
                assert not _CONTROL.search(mail.envelope_id), mail
                assert 0 <= mail.hold_seconds <= 3600, mail
        for keyword, extension in _TABLES.rcpt.items():
            for smtputf8 in (False, True):
                rcpt = RcptFields(smtputf8)
                if extension.rcpt_parameter(keyword, value, rcpt, _FACTS) is None and rcpt.original:
                    assert not _CONTROL.search(rcpt.original), rcpt
                    again = encode_original(rcpt.original, smtputf8).decode()
                    assert decode_original(again, smtputf8) == rcpt.original, (rcpt.original, again)
    for verb, extension in _TABLES.verbs.items():
        found = extension.command(verb.decode("ascii"), octets, _FACTS)
        assert isinstance(found, Reply | Event | ChunkAnnounced), found
        if isinstance(found, ChunkAnnounced):
            assert 0 <= found.size_octets < 10**20, found


def _check_xtext(value: str) -> None:
    decoded = decode_xtext(value)
    assert decoded is None or decode_xtext(encode_xtext(decoded)) == decoded, value
    assert not re.search(rb"[^!-~]|=", encode_xtext(value)), value
