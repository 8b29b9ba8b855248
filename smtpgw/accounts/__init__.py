"""Who may log in, and how often they may try."""
