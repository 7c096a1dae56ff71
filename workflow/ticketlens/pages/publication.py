"""A run's results as a folder to commit: compact tables, small figures, config, versions, times.

`reference.csv` among them is what `snakemake check_results` compares other runs with.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from ticketlens.files.atomic import replacing
from ticketlens.files.csv_tables import read_table
from ticketlens.pages.frontpage_data import RunTime
from ticketlens.verdicts import reference

MAX_BYTES = 300_000
COLOURS = (256, 128, 64)
MAX_WIDTHS = (1500, 1200, 900)
DIGITS = 6


def write_picture(source: str | os.PathLike[str], target: str | os.PathLike[str]) -> None:
    """Write a PNG of fewer colours, and if need be fewer pixels: at most `MAX_BYTES`.

    What it says of its panels stays, unless it has fewer pixels.
    Raises ValueError if that is not enough.
    """
    with Image.open(source) as opened:
        picture = opened.convert("RGB")
        said = opened.info.get("ticketlens")
    for width in MAX_WIDTHS:
        small = picture.copy()
        small.thumbnail((width, small.height), Image.Resampling.LANCZOS)
        shows = PngInfo()
        if said and small.size == picture.size:
            shows.add_text("ticketlens", said)
        for colours in COLOURS:
            with replacing(target) as temporary:
                small.quantize(colours, dither=Image.Dither.NONE).save(
                    temporary, "PNG", optimize=True, pnginfo=shows
                )
            if os.path.getsize(target) <= MAX_BYTES:
                return
    raise ValueError(f"{source}: more than {MAX_BYTES} bytes even at {MAX_WIDTHS[-1]} pixels")


def write_table(source: str | os.PathLike[str], target: str | os.PathLike[str]) -> None:
    """Write a table with floats of `DIGITS` significant digits."""
    table = read_table(source)
    with replacing(target) as temporary:
        table.to_csv(temporary, index=False, float_format=f"%.{DIGITS}g")


def write_reference(
    target: str | os.PathLike[str], tables: Iterable[str | os.PathLike[str]]
) -> None:
    """Write the table of `reference.reference`, from those of `tables` that it needs."""
    paths = {Path(path).stem: path for path in tables}
    rows = reference.reference(
        {name: read_table(paths[name]) for name in reference.TABLES if name in paths}
    )
    with replacing(target) as temporary:
        rows.to_csv(temporary, index=False, float_format=f"%.{DIGITS}g")


def claims_text(page: str) -> str:
    """Return claims.md with links to where figures and table lie in the folder."""
    page = re.sub(r"\]\(([\w-]+\.png)\)", r"](figures/\1)", page)
    return page.replace(
        "`claims.csv` has the same numbers unrounded",
        f"`tables/claims.csv` has the same numbers with {DIGITS} digits",
    )


def config_text(config: Mapping[str, Any]) -> str:
    """Return the exact config as YAML; of the data set's path the last part alone."""
    dataset = {**config["dataset"], "path": Path(config["dataset"]["path"]).name}
    head = "# The config of this run, overlays merged. Written by the rule `publish_runs`.\n"
    return head + yaml.safe_dump({**config, "dataset": dataset}, sort_keys=False)


def run_time_rows(times: Iterable[RunTime]) -> list[dict[str, Any]]:
    """Return run times in seconds and MB, rounded."""
    return [{k: round(v, 1) if isinstance(v, float) else v for k, v in asdict(time).items()}
            for time in times]  # fmt: skip
