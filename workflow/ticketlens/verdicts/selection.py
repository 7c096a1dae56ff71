"""What figures, claims and the results page select alike, without any library that draws."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ticketlens.architecture import READOUT

if TYPE_CHECKING:
    import pandas as pd


def deep(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the last half of the hidden layers, where q has settled.

    Tables of weights and degrees have the readout as one more layer; it is left out.
    """
    rows = rows[rows["name"] != READOUT] if "name" in rows else rows
    return rows[rows["layer"] > rows["layer"].max() // 2]
