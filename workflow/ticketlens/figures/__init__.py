"""Figures from tidy tables: each is one pure function. Never measures."""
