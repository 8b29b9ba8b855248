"""Receivers with personalities and name servers on loopback, for tests and the demo."""
