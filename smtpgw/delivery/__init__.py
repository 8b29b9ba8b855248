"""The life of a queued message, decided without I/O."""
