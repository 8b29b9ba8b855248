"""Composition: the configuration becomes a running gateway."""
