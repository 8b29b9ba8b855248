"""Inputs from anywhere: what a coverage-guided fuzzer drives, and the corpus that it has left behind."""
