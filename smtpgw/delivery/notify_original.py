"""The part of a notification that brings the original back: its header, or all of it."""

import binascii
import re

_MAX_HEADER_OCTETS = 64 * 1024
"""Of the original's header section."""

_LONG_LINE = re.compile(rb"[^\r\n]{999}")
_NEWLINE = re.compile(rb"\r\n?|\n")


def bounded_header(header: bytes) -> bytes:
    """The beginning of a header section, whole lines, every line ended by CR LF."""
    if len(header) > _MAX_HEADER_OCTETS:
        header = header[:_MAX_HEADER_OCTETS]
        header = header[: header.rfind(b"\n") + 1]
    header = _NEWLINE.sub(b"\r\n", header)
    return header if header.endswith(b"\r\n") or not header else header + b"\r\n"


def header_part(header: bytes, is_utf8: bool) -> bytes:
    """
    text/rfc822-headers, or message/global-headers (RFC 6533 section 5), with its part's header.

    :param header: from :func:`bounded_header`.
    :param is_utf8: the report may contain UTF-8.
    """
    kind = "text/rfc822-headers"
    encoding = "7bit"
    if not header.isascii() or b"\0" in header or _LONG_LINE.search(header):
        if is_utf8 and _is_clean_utf8(header):
            kind = "message/global-headers"
            encoding = "8bit"
        else:
            # RFC 6522 section 4 lets broken or extended header sections be encoded, so that the report stays 7 bit.
            encoding = "quoted-printable"
            lines = header.replace(b"\r\n", b"\n")
            header = binascii.b2a_qp(lines, istext=True).replace(b"\n", b"\r\n")
    return (
        f"Content-Type: {kind}\r\n"
        f"Content-Transfer-Encoding: {encoding}\r\n"
        "Content-Description: Header of the message\r\n"
        "\r\n"
    ).encode() + header


def message_part(content: bytes, header: bytes, is_utf8: bool) -> bytes | None:
    """
    message/rfc822, or message/global (RFC 6533 section 5), with its part's header.

    :param content: the whole message, lines end in CR LF.
    :param header: its header section, from :func:`bounded_header`.
    :returns: ``None`` when it can't stand in a part as it is: neither form may be encoded.
    """
    if b"\0" in content or _LONG_LINE.search(content):
        return None
    kind = "rfc822"
    if not header.isascii():
        if not is_utf8 or not _is_clean_utf8(header):
            return None
        kind = "global"
    return (
        f"Content-Type: message/{kind}\r\n"
        f"Content-Transfer-Encoding: {'7bit' if content.isascii() else '8bit'}\r\n"
        "Content-Description: The message\r\n"
        "\r\n"
    ).encode() + content


def _is_clean_utf8(header: bytes) -> bool:
    if b"\0" in header or _LONG_LINE.search(header):
        return False
    try:
        header.decode()
    except UnicodeDecodeError:
        return False
    return True
