"""The shipped banks, and the length of the chain that tests put into a bank."""

from __future__ import annotations

from pathlib import Path

ROUNDS = 4
SHIPPED = Path(__file__).parents[2] / "resources" / "tickets"
