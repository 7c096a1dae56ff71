"""Tidy tables: key columns first, one value per row and column, full float precision."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ticketlens.files import places
from ticketlens.files.atomic import replacing
from ticketlens.files.damaged import remake

if TYPE_CHECKING:
    import pandas as pd

KEYS = ("study", "seed", "round", "density", "arm", "state", "layer")
PLACE = ("study", "seed", "round", "arm")
TEXT = dict.fromkeys(("study", "arm", "state"), str)
# What else tells the rows of a table apart, where it has such columns.
OTHER_KEYS = (
    "rung", "mode", "direction", "jacobian", "network", "draw", "epoch", "block", "part", "mask",
    "weights", "quantity", "property", "claim", "case", "weight_scaled", "log10_s2", "eigenvalue",
    "matrix", "rank", "along",
)  # fmt: skip


def write_csv(path: str | os.PathLike[str], table: pd.DataFrame) -> None:
    """Write a table atomically, key columns first, rows sorted by them.

    Floats are written so that reading gives the same bits; missing values are empty.
    Raises ValueError, naming the first, if two rows have the same keys.
    """
    check_unique(path, table)
    keys = [key for key in KEYS if key in table.columns]
    others = [column for column in table.columns if column not in keys]
    by = [key for key in keys if key != "density"]
    with replacing(path) as temporary:
        ordered = table[[*keys, *others]].sort_values(by, kind="stable")
        ordered.to_csv(temporary, index=False)


def write_rows(path: str | os.PathLike[str], rows: Sequence[Mapping[str, object]]) -> None:
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
    Raises ValueError, naming the file, if it is no table.
    """
    import pandas as pd

    with open(path, "rb") as file:  # a number that is cut short is a number, too
        if file.seek(0, os.SEEK_END) and (file.seek(-1, os.SEEK_END), file.read())[1] != b"\n":
            raise _not_written(path, "its last line does not end")
    try:
        return pd.read_csv(path, keep_default_na=False, na_values=[""], dtype=TEXT)
    except (pd.errors.EmptyDataError, pd.errors.ParserError, UnicodeDecodeError) as error:
        raise _not_written(path, str(error)) from error


def concatenated(rows: Sequence[str | os.PathLike[str]]) -> pd.DataFrame:
    """Return the rows of all files, which `write_rows` wrote.

    Raises ValueError for a file whose rows are not those of its place (see `places`), and for one
    that was cut short or that another program has written anew (other separators, decimal commas).
    """
    import pandas as pd

    frames = [read_table(path) for path in rows]
    for path, frame in zip(rows, frames, strict=True):
        check_place(path, frame)
    _check_numbers(rows, frames)
    return pd.concat(frames, ignore_index=True)


def check_place(path: str | os.PathLike[str], rows: pd.DataFrame) -> None:
    """Raise ValueError, naming the file, if its rows are about another checkpoint than its path.

    Also if they do not say which: of a file in such a place the writer always says it.
    """
    if places.place_of(path) is not None:
        lacking = [key for key in PLACE if key not in rows.columns or rows[key].isna().any()]
        if lacking or rows.empty:
            raise _not_written(path, f"rows without {', '.join(lacking)}" if lacking else "no rows")
    columns = [key for key in KEYS if key in rows.columns and key not in ("density", "layer")]
    for content in rows[columns].drop_duplicates().to_dict("records"):
        if wrong := places.differences(path, content):
            raise ValueError(wrong)


def _check_numbers(rows: Sequence[str | os.PathLike[str]], frames: Sequence[pd.DataFrame]) -> None:
    """Raise ValueError, naming the file, if a column of numbers is text in one of the files."""
    import pandas as pd

    numeric = {
        column
        for frame in frames
        for column in frame.select_dtypes("number").columns
        if frame[column].notna().any()
    }
    for path, frame in zip(rows, frames, strict=True):
        for name in numeric.intersection(frame.select_dtypes(exclude="number").columns):
            is_text = pd.to_numeric(frame[name], errors="coerce").isna() & frame[name].notna()
            if is_text.any():
                value = frame.loc[is_text, name].iloc[0]
                raise _not_written(path, f"{name} holds {value!r}, not numbers")


def _not_written(path: str | os.PathLike[str], what: str) -> ValueError:
    return ValueError(
        f"{path}: not the table that was written here ({what}): cut short, or saved by another "
        f"program; {remake(path)}"
    )


def check_unique(path: str | os.PathLike[str], table: pd.DataFrame) -> None:
    """Raise ValueError, naming the first, if two rows have the same keys.

    Tables without rounds, such as that of claims, are not about checkpoints and have no such keys.
    """
    keys = [key for key in (*KEYS, *OTHER_KEYS) if key in table.columns and key != "density"]
    is_double = table.duplicated(keys) if "round" in keys else []
    if any(is_double):
        first = ", ".join(f"{key} {table[is_double].iloc[0][key]}" for key in keys)
        raise ValueError(
            f"{path}: {sum(is_double)} of {len(table)} rows have the keys of another row, the "
            f"first of them {first}; every row must be about something of its own (a column that "
            "tells them apart belongs to OTHER_KEYS)"
        )


def _text(value: object) -> str:
    """Return the shortest text that reads back as the same value."""
    if isinstance(value, (float, np.floating)):
        return "" if np.isnan(value) else repr(float(value))
    return str(value)
