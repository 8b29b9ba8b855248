"""Where mail of our own domains ends: Maildir, a callable, nowhere."""
