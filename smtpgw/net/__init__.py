"""Twisted protocols without rules: octets in, octets out."""
