"""Where messages are kept: SQLite, memory, and the body files."""
