"""Tests for the SASL mechanisms."""
