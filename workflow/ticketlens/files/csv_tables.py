"""Tidy tables: key columns first, one value per row and column, full float precision."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ticketlens.files.atomic import replacing

if TYPE_CHECKING:
    import pandas as pd

KEYS = ("study", "seed", "round", "density", "arm", "state", "layer")
TEXT = dict.fromkeys(("study", "arm", "state"), str)


def write_csv(path: str | os.PathLike, table: pd.DataFrame) -> None:
    """Write a table atomically, key columns first, rows sorted by them.

    Floats are written so that reading gives the same bits; missing values are empty.
    """
    keys = [key for key in KEYS if key in table.columns]
    others = [column for column in table.columns if column not in keys]
    by = [key for key in keys if key != "density"]
    with replacing(path) as temporary:
        ordered = table[[*keys, *others]].sort_values(by, kind="stable")
        ordered.to_csv(temporary, index=False)


def write_rows(path: str | os.PathLike, rows: Sequence[Mapping[str, object]]) -> None:
    """Write one checkpoint's rows as CSV, atomically, without pandas (whose import takes longer).

    Columns are those of all rows, in order of appearance; what a row lacks is empty, as is NaN.
    Raises ValueError if there are no rows.
    """
    if not rows:
        raise ValueError(f"{path}: nothing was measured")
    columns = list(dict.fromkeys(column for row in rows for column in row))
    with replacing(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: _text(value) for name, value in row.items()} for row in rows)


def read_table(path: str | os.PathLike[str]) -> pd.DataFrame:
    """Return a tidy table. Only an empty cell is missing, and names stay names.

    pandas takes `nan`, `null`, `NA` and some more for missing values, a column of `true` for
    truth values and one of `inf` for numbers; a study or an arm may be called so.
    """
    import pandas as pd

    return pd.read_csv(path, keep_default_na=False, na_values=[""], dtype=TEXT)


def concatenated(paths: Sequence[str | os.PathLike[str]]) -> pd.DataFrame:
    """Return the rows of all files, which `write_rows` wrote."""
    import pandas as pd

    return pd.concat([read_table(path) for path in paths], ignore_index=True)


def _text(value: object) -> str:
    """Return the shortest text that reads back as the same value."""
    if isinstance(value, (float, np.floating)):
        return "" if np.isnan(value) else repr(float(value))
    return str(value)
