"""Tests for the sources of recipients."""
