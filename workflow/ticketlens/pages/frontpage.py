"""The front page of a results folder: plain data in, one HTML text out.

The page is one file: figures are in it, and a small script that shows values under the pointer and
opens figures at full size; without it everything can be read as well. Nothing comes from a network.
Tables and PDFs are relative links beside it. The template escapes all text: titles and names come
from a config that anyone may have written.
"""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import yaml
from jinja2 import Environment, StrictUndefined

from ticketlens.pages.frontpage_data import RunTime, studies, summary
from ticketlens.pages.numbers import duration, number
from ticketlens.pages.one_minute import Row, of_page
from ticketlens.pages.pictures import Picture
from ticketlens.pages.pictures import picture as read_picture
from ticketlens.study.catalogue import figures, tables

# A word and a sign for each verdict: colour only underlines it.
SIGNS = {"supported": "✓", "contradicted": "✗", "inconclusive": "?"}

REFERENCE = "The reference study: 8 × 256 tanh networks on CIFAR-10, 50 epochs a level."


@dataclass(frozen=True)
class Page:
    """All that the front page shows.

    `minute` are the rows that a reader sees first. A rehearsal is one that says what makes it one;
    its `minute` and the picture `first` are then those of the reference study. `missing` are files
    that tables rest on and that are not there; `cpus` says by study on which CPUs it was trained.
    """

    config: Mapping[str, Any]
    pictures: Sequence[Picture]
    tables: Sequence[str]
    run_times: Sequence[RunTime] = ()
    installed: Mapping[str, str] = field(default_factory=dict)
    recorded: Mapping[str, Sequence[str]] = field(default_factory=dict)
    claims: Sequence[Mapping[str, str]] = ()
    minute: Sequence[Row] = ()
    first: Picture | None = None
    rehearsal: str = ""
    missing: Sequence[str] = ()
    cpus: Mapping[str, str] = field(default_factory=dict)


def render(page: Page, template: str, script: str = "") -> str:
    """Return the page as HTML, complete in itself.

    `template` and `script` are the texts of index.html.j2 and index.js in workflow/report. The page
    allows this script alone to run, by its digest.
    """
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"duration": duration, "figures": figures_of, "number": number}
    named = {name: study.get("title", name) for name, study in page.config["studies"].items()}
    key = [picture for picture in page.pictures if picture.entry.is_key]
    first = page.first or next(iter(key), None)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.from_string(template).render(
        page=page,
        summary=summary(page.config),
        studies=studies(page.config),
        titles=named,
        first=first,
        first_id="reference" if page.first else first and first.name,
        key=[picture for picture in key if picture is not first],
        sections=sections(page.pictures),
        curves=curves([*page.pictures, *([page.first] if page.first else [])], page.first),
        script=script,
        digest=digest,
        tables={name: tables.about_table(name) for name in page.tables},
        claims=grouped(page.claims),
        tally=tally(page.claims),
        claim_studies=[name for name in named if any(r["study"] == name for r in page.claims)],
        signs=SIGNS,
        known={picture.name for picture in page.pictures},
        config=yaml.safe_dump(page.config, sort_keys=False, allow_unicode=True, width=88),
        packages=[*dict.fromkeys([*page.installed, *page.recorded])],
    )


def curves(pictures: Sequence[Picture], first: Picture | None = None) -> dict[str, Any]:
    """Return what the pointer needs: by figure its size, and its panels that have curves."""
    return {
        "reference" if picture is first else picture.name: {
            "size": [picture.width, picture.height],
            "panels": [
                {"x": panel.get("x", ""), "curves": panel["curves"]}
                for panel in picture.shows.get("panels", ())
                if panel["curves"]
            ],
        }
        for picture in pictures
    }


def pictures_of(paths: Sequence[str], captions: Sequence[str]) -> list[Picture]:
    """Return the figures of these files, with the captions that there are, files of their keys."""
    texts = {Path(path).stem: Path(path).read_text(encoding="utf-8") for path in captions}
    named = {Path(path).stem: path for path in paths}
    return [
        read_picture(name, path, caption(texts.get(figures.key(name), ""), name))
        for name, path in named.items()
    ]


def after_reference(page: Page, answers: str, figure: str) -> Page:
    """Return the page of a rehearsal, which decides nothing: the reference's answers come first.

    `answers` and `figure` are the files of the reference's page and of its accuracy.
    """
    minute = of_page(Path(answers).read_text(encoding="utf-8"))
    return replace(page, minute=minute, first=read_picture("accuracy", figure, REFERENCE))


def caption(text: str, figure: str) -> str:
    """Return a caption with the wildcards of its figure filled in, as Snakemake's report does."""
    snakemake = SimpleNamespace(wildcards=SimpleNamespace(**figures.wildcards(figure)))
    # Captions are the project's own text; what they fill in is escaped by the page.
    return Environment(undefined=StrictUndefined).from_string(text).render(snakemake=snakemake)


def sections(pictures: Sequence[Picture]) -> dict[str, list[Picture]]:
    """Return the figures that are no key figures by category, in the catalogue's order."""
    groups: dict[str, list[Picture]] = {name: [] for name in figures.CATEGORIES}
    for picture in pictures:
        if not picture.entry.is_key:
            groups.setdefault(picture.entry.category, []).append(picture)
    return {name: group for name, group in groups.items() if group}


def grouped(
    claims: Sequence[Mapping[str, str]],
) -> dict[tuple[str, str], dict[str, list[Mapping[str, str]]]]:
    """Return rows by (claim, case) and study, in order of appearance."""
    groups: dict[tuple[str, str], dict[str, list[Mapping[str, str]]]] = {}
    for row in claims:
        cases = groups.setdefault((row["claim"], row.get("case", "")), {})
        cases.setdefault(row["study"], []).append(row)
    return groups


def tally(claims: Sequence[Mapping[str, str]]) -> str:
    """Return how many verdicts there are of each kind, cases and studies counted apart."""
    counts = Counter(
        rows[0]["verdict"] for cases in grouped(claims).values() for rows in cases.values()
    )
    words = [*SIGNS, *(word for word in counts if word not in SIGNS)]
    return ", ".join(f"{counts[word]} {word}" for word in words)


def figures_of(rows: Sequence[Mapping[str, str]]) -> list[str]:
    """Return the names of the figures that rows of claims point to, once each."""
    names = (row.get("figure", "").removesuffix(".png") for row in rows)
    return [name for name in dict.fromkeys(names) if name]
