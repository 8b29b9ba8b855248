"""The protocol of RFC 5321 without I/O: grammar, framing, session, conversation."""
