"""Photographs of the front page of published results, as a desktop and a phone show it.

`python tests/tools/photograph.py docs/results docs/images/front_page.png`, or `make images`. The
picture says in a text chunk what it shows, so that a test can tell when it is out of date.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import yaml
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from browser import DESKTOP, PHONE, browser
from ticketlens.pages import arm_titles, frontpage_data, one_minute
from ticketlens.pages.frontpage import Page, render, tally
from ticketlens.pages.pictures import picture

REPORT = Path(__file__).resolve().parents[2] / "workflow/report"
KEYWORD = "shows"
GAP = 30


def shown(folder: Path) -> str:
    """Return what a photograph of a folder's front page shows: verdicts, answers and numbers."""
    claims = frontpage_data.claims(folder / "tables/claims.csv", {})
    rows = one_minute.of_page((folder / "README.md").read_text(encoding="utf-8"))
    answers = [f"{row.question} {row.answer} {row.number} {row.seeds}" for row in rows]
    return "\n".join([tally(claims), *answers])


def page(folder: Path) -> str:
    """Return the front page of published results, without tables and run times."""
    figures = sorted((folder / "figures").glob("*.png"), key=lambda path: path.stem != "accuracy")
    config = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    found = Page(
        config=config,
        pictures=[picture(path.stem, path) for path in figures[:1]],
        tables=[],
        claims=frontpage_data.claims(folder / "tables/claims.csv", arm_titles.of_config(config)),
        minute=one_minute.of_page((folder / "README.md").read_text(encoding="utf-8")),
    )
    texts = [(REPORT / name).read_text(encoding="utf-8") for name in ("index.html.j2", "index.js")]
    return render(found, *texts)


def photograph(folder: Path, target: Path) -> None:
    """Write both photographs, side by side, as one PNG of few colours."""
    with tempfile.TemporaryDirectory() as name, browser(Path(name)) as session:
        file = Path(name, "index.html")
        file.write_text(page(folder), encoding="utf-8")
        parts = []
        for size in (DESKTOP, PHONE):
            session.open(file, size)
            session.screenshot(Path(name, f"{size[0]}.png"))
            parts.append(Image.open(Path(name, f"{size[0]}.png")).convert("RGB"))
    width = sum(part.width for part in parts) + GAP
    whole = Image.new("RGB", (width, max(part.height for part in parts)), "#8a8a8a")
    whole.paste(parts[0], (0, 0))
    whole.paste(parts[1], (parts[0].width + GAP, 0))
    said = PngInfo()
    said.add_itxt(KEYWORD, shown(folder))
    whole.quantize(64, dither=Image.Dither.NONE).save(target, optimize=True, pnginfo=said)


if __name__ == "__main__":
    photograph(*map(Path, sys.argv[1:]))
