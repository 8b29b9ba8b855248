"""The milter protocol, from the mail server's side, without I/O."""
