"""The log: one line for each thing that happens."""
