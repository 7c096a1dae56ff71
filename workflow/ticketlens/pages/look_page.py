"""One self-contained HTML page of a look at one network: figures, verdicts, tables, notes."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping, Sequence

import pandas as pd

MAX_ROWS = 60
_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222;
overflow-wrap:anywhere} h1{font-size:1.6rem} img{max-width:100%;height:auto} ul{padding-left:1.2rem}
figure{margin:2rem 0} figcaption{color:#555;max-width:42rem} summary{cursor:pointer}
table{border-collapse:collapse;font-size:.8rem} td,th{padding:.15rem .5rem;border-bottom:1px solid
#ddd;text-align:right;white-space:nowrap} th{white-space:normal;overflow-wrap:normal;
vertical-align:bottom} div.wide{overflow-x:auto;margin:1rem 0} .note{color:#555}
"""
_SUMMARY = {
    "layer": "layer", "name": "name", "count": "weights kept", "density": "density",
    "std_scaled": "std · √fan_in", "largest": "largest eigenvalue", "edge_null": "null's edge",
    "outliers_null": "beyond it", "unconnected": "unconnected units",
}  # fmt: skip
_OF_DEGREES = {"name": "first", "density": "first", "unconnected": "sum"}


def page(
    title: str,
    tables: Mapping[str, pd.DataFrame],
    figures: Mapping[str, tuple[bytes, str]],
    notes: Sequence[str],
) -> str:
    """Return the page. `figures` maps names to (PNG, caption); all text is escaped."""
    parts = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>",
        "<meta name='viewport' content='width=device-width,initial-scale=1'>",
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head><body><main>",
        f"<h1>{html.escape(title)}</h1>",
        "".join(f"<p>{html.escape(line)}</p>" for line in verdicts(tables)),
        _table(summary(tables)),
    ]
    if notes:
        items = "".join(f"<li>{html.escape(note)}</li>" for note in notes)
        parts.append(f"<h2>What was assumed</h2><ul class='note'>{items}</ul>")
    for name, (png, caption) in figures.items():
        data = base64.b64encode(png).decode()
        parts.append(
            f"<figure><img alt='{html.escape(name)}' src='data:image/png;base64,{data}'>"
            f"<figcaption>{html.escape(caption)}</figcaption></figure>"
        )
    for name, table in tables.items():
        more = f" (first {MAX_ROWS} of {len(table)} rows)" if len(table) > MAX_ROWS else ""
        parts.append(
            f"<details><summary>{html.escape(name)}.csv{more}</summary>{_table(table)}</details>"
        )
    return "\n".join([*parts, "</main></body></html>\n"])


def _table(table: pd.DataFrame) -> str:
    """Return the first rows as HTML that scrolls by itself where it is wider than the screen."""
    shown = table.head(MAX_ROWS).to_html(
        index=False, escape=True, float_format="%.4g", na_rep="", border=0
    )
    return f"<div class='wide' tabindex='0'>{shown}</div>"


def summary(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return one row per layer: its name in the file, how many weights it keeps, and its spectrum.

    Columns that no table has are left out; a readout without a spectrum has NaN there.
    """
    degrees = tables["degrees"]
    rows = degrees.groupby("layer", as_index=False).agg(
        {key: how for key, how in _OF_DEGREES.items() if key in degrees}
    )
    for name in ("weight_statistics", "spectra"):
        if name in tables:
            table = tables[name]
            new = [key for key in _SUMMARY if key in table and key not in rows]
            rows = rows.merge(table[["layer", *new]], on="layer", how="left")
    if "outliers_null" in rows:
        counts = rows["outliers_null"]  # floats where a layer has none
        rows["outliers_null"] = ["" if pd.isna(count) else str(int(count)) for count in counts]
    return rows[[key for key in _SUMMARY if key in rows]].rename(columns=_SUMMARY)


def verdicts(tables: Mapping[str, pd.DataFrame]) -> list[str]:
    """Return a few sentences that the tables support."""
    lines = []
    if "degrees" in tables:  # of masks alone, and of layers without a weight left, too
        rows = tables["degrees"][tables["degrees"]["direction"] == "in"]
        size = int((rows["units"] * rows["capacity"]).sum())
        kept = round(float((rows["units"] * rows["mean"]).sum()))
        layers = _counted(len(rows), "layer")
        lines.append(f"{layers}, {kept:,} kept weights of {size:,} ({kept / size:.2%}).")
    if "spectra" in tables:
        rows = tables["spectra"]
        beyond = rows[rows["outliers_null"] > 0]
        lines.append(
            "No layer has an eigenvalue beyond the edge of its own mask's null."
            if beyond.empty
            else f"{len(beyond)} of {_counted(len(rows), 'layer')} "
            f"{'has' if len(rows) == 1 else 'have'} eigenvalues beyond the edge of "
            f"{'its' if len(rows) == 1 else 'their'} own "
            f"mask's null: layer{'s' * (len(beyond) > 1)} "
            + ", ".join(str(layer) for layer in beyond["layer"].head(12))
            + ("…" if len(beyond) > 12 else "")
            + "."
        )
    if "degrees" in tables:
        unconnected = int(tables["degrees"]["unconnected"].sum())
        lines.append(
            f"{_counted(unconnected, 'unit')} {'has' if unconnected == 1 else 'have'} "
            "no connection on one side."
            if unconnected
            else "Every unit is connected on both sides."
        )
    if "chi" in tables:
        last = float(tables["chi"].iloc[-1]["chi_frobenius"])
        what = "grow" if last > 1 else "shrink"
        lines.append(f"chi of the last hidden layer is {last:.3f}: perturbations {what} there.")
    return lines


def _counted(count: int, what: str) -> str:
    """Return "1 layer", "2,000 layers"."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"
