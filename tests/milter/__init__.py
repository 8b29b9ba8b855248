"""Tests of the milter protocol."""
