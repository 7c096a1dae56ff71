"""The front page of a results folder: plain data in, one HTML text out.

The page needs no network and no script; figures and tables are relative links beside it. The
template escapes all text: titles and names come from a config that anyone may have written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import yaml
from jinja2 import Environment, StrictUndefined

from ticketlens.pages.frontpage_data import RunTime, studies, summary
from ticketlens.study.catalogue import figures, tables
from ticketlens.study.catalogue.kinds import Figure

# A word and a sign for each verdict: colour only underlines it.
SIGNS = {"supported": "✓", "contradicted": "✗", "inconclusive": "?"}
MINUS = "−"


@dataclass(frozen=True)
class Picture:
    """A figure beside the page: `name`.png and `name`.pdf, its size in pixels, its caption."""

    name: str
    width: int
    height: int
    caption: str

    @property
    def entry(self) -> Figure:
        """Its category, and whether it is a key figure."""
        return figures.entry(self.name)

    @property
    def title(self) -> str:
        """Its title; of one study, with the study's name."""
        found = figures.wildcards(self.name)
        title = self.entry.title.format_map({"state": "", **found})
        return f"{title}, {found['study']}" if found else title


@dataclass(frozen=True)
class Page:
    """All that the front page shows."""

    config: Mapping[str, Any]
    pictures: Sequence[Picture]
    tables: Sequence[str]
    run_times: Sequence[RunTime] = ()
    installed: Mapping[str, str] = field(default_factory=dict)
    recorded: Mapping[str, Sequence[str]] = field(default_factory=dict)
    claims: Sequence[Mapping[str, str]] = ()


def render(page: Page, template: str) -> str:
    """Return the page as HTML. `template` is the text of workflow/report/index.html.j2."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"duration": duration, "figures": figures_of, "number": number}
    named = {name: study.get("title", name) for name, study in page.config["studies"].items()}
    return environment.from_string(template).render(
        page=page,
        summary=summary(page.config),
        studies=studies(page.config),
        titles=named,
        key=[picture for picture in page.pictures if picture.entry.is_key],
        sections=sections(page.pictures),
        tables={name: tables.about_table(name) for name in page.tables},
        claims=grouped(page.claims),
        tally=tally(page.claims),
        claim_studies=[name for name in named if any(r["study"] == name for r in page.claims)],
        signs=SIGNS,
        known={picture.name for picture in page.pictures},
        config=yaml.safe_dump(page.config, sort_keys=False, allow_unicode=True, width=88),
        packages=[*dict.fromkeys([*page.installed, *page.recorded])],
    )


def caption(text: str, figure: str) -> str:
    """Return a caption with the wildcards of its figure filled in, as Snakemake's report does."""
    snakemake = SimpleNamespace(wildcards=SimpleNamespace(**figures.wildcards(figure)))
    # Captions are the project's own text; what they fill in is escaped by the page.
    return Environment(undefined=StrictUndefined).from_string(text).render(snakemake=snakemake)


def sections(pictures: Sequence[Picture]) -> dict[str, list[Picture]]:
    """Return the figures that are no key figures by category, in the catalogue's order."""
    found: dict[str, list[Picture]] = {name: [] for name in figures.CATEGORIES}
    for picture in pictures:
        if not picture.entry.is_key:
            found.setdefault(picture.entry.category, []).append(picture)
    return {name: group for name, group in found.items() if group}


def grouped(
    claims: Sequence[Mapping[str, str]],
) -> dict[tuple[str, str], dict[str, list[Mapping[str, str]]]]:
    """Return rows by (claim, case) and study, in order of appearance."""
    found: dict[tuple[str, str], dict[str, list[Mapping[str, str]]]] = {}
    for row in claims:
        cases = found.setdefault((row["claim"], row.get("case", "")), {})
        cases.setdefault(row["study"], []).append(row)
    return found


def tally(claims: Sequence[Mapping[str, str]]) -> str:
    """Return how many verdicts there are of each kind, cases and studies counted apart."""
    counts = Counter(
        rows[0]["verdict"] for cases in grouped(claims).values() for rows in cases.values()
    )
    words = [*SIGNS, *(word for word in counts if word not in SIGNS)]
    return ", ".join(f"{counts[word]} {word}" for word in words)


def number(text: str) -> str:
    """Return a number of a table with three significant digits; empty text is a dash."""
    if text == "":
        return "–"
    value = float(text)
    shown = f"{value:.0f}" if 1000 <= abs(value) < 1e6 else f"{value:.3g}"
    return shown.replace("-", MINUS)


def duration(seconds: float) -> str:
    """Return a time that people read: '3.2 s', '4 min 05 s', '2 h 10 min', '3 d 4 h'."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    minutes = round(seconds / 60)
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    hours = round(seconds / 3600)
    return f"{hours // 24} d {hours % 24} h"


def figures_of(rows: Sequence[Mapping[str, str]]) -> list[str]:
    """Return the names of the figures that rows of claims point to, once each."""
    names = (row.get("figure", "").removesuffix(".png") for row in rows)
    return [name for name in dict.fromkeys(names) if name]
