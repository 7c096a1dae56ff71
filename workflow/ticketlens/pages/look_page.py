"""One self-contained HTML page of a look at one network: figures, verdicts, tables, notes."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping, Sequence

import pandas as pd

MAX_ROWS = 60
_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}
img{max-width:100%;height:auto} figure{margin:1.5rem 0} figcaption{color:#555}
table{border-collapse:collapse;font-size:.8rem} td,th{padding:.15rem .5rem;border-bottom:1px solid
#ddd;text-align:right;white-space:nowrap} div.wide{overflow-x:auto} .note{color:#555}
"""


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
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head><body>",
        f"<h1>{html.escape(title)}</h1>",
        "".join(f"<p>{html.escape(line)}</p>" for line in verdicts(tables)),
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
        shown = table.head(MAX_ROWS).to_html(index=False, escape=True, float_format="%.4g")
        more = f" (first {MAX_ROWS} of {len(table)} rows)" if len(table) > MAX_ROWS else ""
        parts.append(
            f"<details><summary>{html.escape(name)}.csv{more}</summary>"
            f"<div class='wide'>{shown}</div></details>"
        )
    return "\n".join([*parts, "</body></html>\n"])


def verdicts(tables: Mapping[str, pd.DataFrame]) -> list[str]:
    """Return a few sentences that the tables support."""
    lines = []
    if "weight_statistics" in tables:
        rows = tables["weight_statistics"]
        kept = int(rows["count"].sum())
        lines.append(f"{len(rows)} layers, {kept:,} kept weights.")
    if "spectra" in tables:
        rows = tables["spectra"]
        beyond = rows[rows["outliers_null"] > 0]
        lines.append(
            "No layer has an eigenvalue beyond the edge of its own mask's null."
            if beyond.empty
            else f"{len(beyond)} of {len(rows)} layers have eigenvalues beyond the edge of their "
            "own mask's null: layers "
            + ", ".join(str(layer) for layer in beyond["layer"].head(12))
            + ("…" if len(beyond) > 12 else "")
            + "."
        )
    if "degrees" in tables:
        unconnected = int(tables["degrees"]["unconnected"].sum())
        lines.append(f"{unconnected} units without any connection on one side.")
    if "chi" in tables:
        last = tables["chi"].iloc[-1]
        lines.append(f"chi of the last hidden layer: {last['chi_frobenius']:.3f} measured.")
    return lines
