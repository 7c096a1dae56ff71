"""Tidy rows of one checkpoint: what a measurement is called in a table."""
