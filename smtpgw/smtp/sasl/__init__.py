"""SASL mechanisms (RFC 4422) of the server side, sans I/O: one file for each."""
