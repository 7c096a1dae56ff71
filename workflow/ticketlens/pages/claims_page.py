"""claims.md: the claims as a page, from the rows of claims.csv and the list of what is left out."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from ticketlens.files.atomic import replacing, write_text
from ticketlens.pages import arm_titles
from ticketlens.study.claim_plan import Plan
from ticketlens.verdicts.claims import CLAIMS

INTRODUCTION = """\
# The claims, tested

Computed by the rule `tabulate_claims` from the tables; `claims.csv` has the same numbers unrounded.

A verdict rests on the 95 % t-interval over seeds, [L, U]; seeds are the replicates, and one seed
decides nothing. Accuracies are on test images, in percentage points, paired by seed, for the
weights of the last epoch and for those of the best validation epoch. A claim of several numbers is
supported if all of them support it and contradicted if any of them contradicts it. Where no branch
is met, it is inconclusive. Numbers are planned unless marked *post hoc*. Intervals speak of other
seeds with the same images; the choice of 10,000 test images adds about 0.5 points a run. Verdicts
on arms are those of `contrasts.csv`: one spread for all arms, Holm over the planned ones, Dunnett
over all others. No other interval is corrected for the number of claims. A dash stands
for a claim that is left out: the section of the study gives the reason.
"""
NOTATION = """\
q̄ and chī are means over the last half of the hidden layers (5–8 of 8) of the tickets before
training: q measured on the images of `measure.images`, chi the mean squared singular value per
layer (`chi_frobenius`). R0 and R3b are rungs of the ladder, free-running (`naive`: a dense Gaussian
layer with the survivors' std; `sign_redraw`: the ticket's graph and magnitudes with random signs),
compared with q on the same images (`measure.ladder_images`). Weight statistics are those of the
kept weights of all hidden layers. Among the remarks, *null* is what the number would be without
the effect: for the mean, chance alone; for std and bimodality, pruning by abs(theta_0) alone
(selection), which makes weights larger and leaves none near zero without any training.
"""
SEEDS = """\
*Seeds needed*, where there are too few: how many would show equality within ±{margin:g} points with
80 % power, were there no difference and the spread between seeds as estimated; such an estimate is
rough. Quantities without a margin fixed beforehand have no such number, and one seed has no spread.
"""


def page(
    rows: pd.DataFrame,
    left_out: pd.DataFrame,
    plan: Plan,
    titles: Mapping[str, str],
    arms: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """Return the page. `rows` and `left_out` are those of `claims.judge_claims`.

    `titles` are those of the studies, `arms` those of the arms, by name.
    """
    arms = {name: as_markdown(title) for name, title in arms.items()}
    rows, left_out = (_by_title(table, arms) for table in (rows, left_out))
    studies = [study for study in titles if study in {*rows["study"], *left_out["study"]}]
    titles = {study: as_markdown(title) for study, title in titles.items()}
    parts = [
        INTRODUCTION,
        "## At a glance\n",
        _glance(rows, left_out, studies, titles),
        "## The rules\n",
        _rules(plan),
        NOTATION,
        SEEDS.format(margin=plan.margin),
    ]
    for study in studies:
        of_study, missing = rows[rows["study"] == study], left_out[left_out["study"] == study]
        seeds = int(of_study["n"].max()) if len(of_study) else 0
        count = f", {seeds} seed{'' if seeds == 1 else 's'}" if seeds else ""
        parts += [f"## {titles[study]}{count}\n"]
        parts += ["One seed: no interval, and no verdict but “inconclusive”.\n"] * (seeds == 1)
        parts += [_numbers(of_study)] if len(of_study) else []
        parts += [_left_out(missing)] if len(missing) else []
    return "\n".join(parts)


def _by_title(rows: pd.DataFrame, arms: Mapping[str, str]) -> pd.DataFrame:
    shown = [name for name in arm_titles.COLUMNS if name in rows]
    return rows.assign(
        **{name: [arm_titles.by_title(text, arms) for text in rows[name]] for name in shown}
    )


def _glance(
    rows: pd.DataFrame, left_out: pd.DataFrame, studies: list[str], titles: Mapping[str, str]
) -> str:
    """A line per claim and case, a column per study; a dash where it is left out."""
    keys = ["study", "claim", "case"]
    verdicts = rows.drop_duplicates(keys).set_index(keys)["verdict"].to_dict()
    verdicts |= {tuple(key): "–" for key in left_out[keys].itertuples(index=False)}
    cases = dict.fromkeys((claim, case) for _, claim, case in verdicts)
    order = list(CLAIMS)
    return _table(
        ["claim", *(titles[study] for study in studies)],
        [
            [_name(*key), *(_verdict(verdicts.get((study, *key), "–")) for study in studies)]
            for key in sorted(cases, key=lambda key: order.index(key[0]))
        ],
    )


def _rules(plan: Plan) -> str:
    values = asdict(plan)
    return _table(
        ["claim", "supported", "contradicted"],
        [
            [name, claim.supported.format(**values), claim.contradicted.format(**values)]
            for name, claim in CLAIMS.items()
        ],
    )


def _numbers(rows: pd.DataFrame) -> str:
    lines, before = [], None
    for row in rows.itertuples(index=False):
        is_first = (row.claim, row.case) != before
        before = (row.claim, row.case)
        remarks = [row.remark if row.n > 1 else ""]
        if not np.isnan(row.null):
            remarks.append(f"null {row.null:.3g}")
        if row.planned == "post hoc":
            remarks.append("post hoc")
        lines.append(
            [
                _name(row.claim, row.case) if is_first else "”",
                row.quantity,
                *_rounded(row.number, row.lower, row.upper),
                str(row.n),
                "" if pd.isna(row.n_needed) or row.n_needed <= row.n else str(row.n_needed),
                _verdict(row.verdict) if is_first else "”",
                f"[{row.figure.removesuffix('.png')}]({row.figure})",
                "; ".join(filter(None, remarks)),
            ]
        )
    header = ["claim", "number", "value", "95 % interval", "seeds", "seeds needed"]
    return _table([*header, "verdict", "figure", "remarks"], lines)


def _left_out(rows: pd.DataFrame) -> str:
    """The claims without data, those of one reason in one line."""
    lines = []
    for (claim, reason), group in rows.groupby(["claim", "reason"], sort=False):
        cases = "; ".join(filter(None, group["case"]))
        lines.append(f"- {_name(claim, cases)}: {reason}")
    return "Left out:\n\n" + "\n".join(lines) + "\n"


def as_markdown(text: str) -> str:
    """Return what Markdown shows as `text`, in a table, too; formulas between dollars stay so.

    >>> claims_page.as_markdown("a|b *c* <d> $x_1$")
    'a\\\\|b \\\\*c\\\\* &lt;d&gt; $x_1$'
    """
    parts = re.split(r"(\$[^$]+\$)", text)
    parts[::2] = [
        html.escape(re.sub(r"([\\`*_\[\]#~])", r"\\\1", part), quote=False) for part in parts[::2]
    ]
    return "".join(parts).replace("|", r"\|")


def _name(claim: str, case: str) -> str:
    return f"{claim} ({case})" if case else claim


def _verdict(word: str) -> str:
    return word if word in ("inconclusive", "–") else f"**{word}**"


def _rounded(number: float, lower: float, upper: float) -> tuple[str, str]:
    """Return number and interval as text, to two digits of the interval's half-width."""
    if np.isnan(number):
        return "none", ""
    if np.isnan(lower):
        return f"{number:.3g}".replace("-", "−"), ""
    half = (upper - lower) / 2
    form = f".{int(np.clip(1 - np.floor(np.log10(half)), 0, 6))}f" if half > 0 else ".3g"
    value, low, high = (f"{x:{form}}".replace("-", "−") for x in (number, lower, upper))
    return value, f"[{low}, {high}]"


def _table(header: Iterable[str], lines: Iterable[Iterable[str]]) -> str:
    header = list(header)
    rows = [header, ["---"] * len(header), *lines]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def write_claims(output: Any, rows: pd.DataFrame, text: str) -> None:
    """Write claims.csv (`output.table`) and claims.md (`output.page`), atomically.

    Floats are written so that reading gives the same bits; missing values are empty.
    """
    with replacing(output.table) as temporary:
        rows.to_csv(temporary, index=False)
    write_text(output.page, text)
