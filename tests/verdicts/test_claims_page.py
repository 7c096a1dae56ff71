"""The table and the page of the claims, and what the config may say of the rounds they look at."""

from __future__ import annotations

import dataclasses
import re
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from snakemake.utils import update_config

from claim_tables import BEAT, BEST, LAST, MATCH, PLAN, SEEDS, judged, losing, tables
from ticketlens.pages.claims_page import page, write_claims
from ticketlens.study.arms import arm_rounds
from ticketlens.study.catalogue import figures
from ticketlens.study.claim_plan import Plan
from ticketlens.study.config import ConfigError, checked, schema
from ticketlens.study.studies import rounds
from ticketlens.verdicts.claims import CLAIMS, judge_claims

REPOSITORY = Path(__file__).resolve().parents[2]


@cache
def two_studies() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Findings of study s, and of a study t of one seed and few rounds."""
    first, second = tables(gain=0.1, arms=losing(0, 0)), tables(seeds=1, last=7)
    both = {name: pd.concat([first[name], second[name].assign(study="t")]) for name in first}
    return judge_claims(both, PLAN, ["s", "t"])


def test_the_table_begins_with_the_agreed_columns_and_keeps_all_digits(tmp_path: Path) -> None:
    rows, left_out = two_studies()
    output = type("Output", (), {"table": tmp_path / "claims.csv", "page": tmp_path / "claims.md"})
    write_claims(output, rows, page(rows, left_out, PLAN, {"s": "S", "t": "T"}))
    found = pd.read_csv(output.table)
    agreed = ["study", "claim", "number", "lower", "upper", "n", "verdict", "figure"]
    assert list(found.columns)[:8] == agreed
    np.testing.assert_array_equal(found["number"], rows["number"])
    assert set(found["verdict"]) <= {"supported", "contradicted", "inconclusive"}
    for claim in (MATCH, BEAT):
        cases = found[(found["claim"] == claim) & (found["study"] == "s")]["case"]
        assert list(cases) == [LAST, BEST]


def test_the_page_states_rules_verdicts_intervals_and_what_is_left_out() -> None:
    rows, left_out = two_studies()
    text = page(rows, left_out, PLAN, {"s": "Study S", "t": "Study T"})
    for name in CLAIMS:
        assert f"| {name} | " in text
    assert "| tickets match the dense network | L > −0.5 points | U < −0.5 points |" in text
    assert "## Study S, 4 seeds" in text and "## Study T, 1 seed\n" in text
    assert "One seed: no interval" in text.split("## Study T")[1]
    assert "- q* rises, then falls: needs round 15; the study's last is 7" in text
    beat = [line for line in text.splitlines() if "tickets beat" in line and "round 7" in line]
    assert re.search(r"\| 0\.10 \| \[−0\.08, 0\.28\] \| 4 \|  \| inconclusive \|", beat[0])
    widths = {len(re.findall(r"(?<!\\)\|", line)) for line in text.splitlines() if "| q*" in line}
    assert widths == {4, 10}, "no cell breaks its table"


@pytest.mark.parametrize(
    ("title", "shown"),
    [
        ("a|b", r"a\|b"),
        ("*a* `b` _c_ [d](e)", r"\*a\* \`b\` \_c\_ \[d\](e)"),
        ("<script>x</script> & y", "&lt;script&gt;x&lt;/script&gt; &amp; y"),
        (r"$\sigma_w|=1$, a_b", r"$\sigma_w\|=1$, a\_b"),
        (r"# 5$ \n", r"\# 5$ \\n"),
        ("FCNet (4 × 64, 6 epochs)", "FCNet (4 × 64, 6 epochs)"),
    ],
)
def test_titles_are_text_in_markdown(title: str, shown: str) -> None:
    rows, left_out = two_studies()
    text = page(rows, left_out, PLAN, {"s": title, "t": "T"})
    assert f"## {shown}, 4 seeds" in text and f"| claim | {shown} | T |" in text


def test_the_page_says_how_many_seeds_are_missing() -> None:
    (row,) = judged(BEAT, points=0.5)[LAST]
    rows = pd.DataFrame([dataclasses.asdict(row)])
    nothing = pd.DataFrame(columns=["study", "claim", "case", "reason"])
    assert row.n_needed > SEEDS
    text = page(rows, nothing, PLAN, {"s": "S"})
    assert f"| {SEEDS} | {row.n_needed} | inconclusive |" in text


def merged(*names: str, overlay: str = "{}") -> dict:
    config = yaml.safe_load((REPOSITORY / "config" / "config.yaml").read_text(encoding="utf-8"))
    for name in names:
        text = (REPOSITORY / "config" / name).read_text(encoding="utf-8")
        update_config(config, yaml.safe_load(text))
    update_config(config, yaml.safe_load(overlay))
    return config


def test_plan_schema_and_config_have_the_same_rounds() -> None:
    own = {field.name for field in dataclasses.fields(Plan)} - {
        "margin",
        "planned",
        "planned_round",
    }
    assert set(schema()["properties"]["claims"]["properties"]) == own
    for name, value in merged()["claims"].items():
        default = getattr(Plan, name)
        assert (list(default) if isinstance(default, tuple) else default) == value


@pytest.mark.parametrize(
    ("overlay", "message"),
    [
        ("bimodal_arm: unifrom-bimodal", "did you mean 'uniform-bimodal'?"),
        ("q_peak: [4, 2]", "claims.q_peak is [4, 2]; allowed: [first, last]"),
        ("naive: [4]", "claims.naive is [4]; allowed: 2 or more entries"),
        ("q_rise: 15", "claims.q_rise is 15; allowed: less than claims.q_fall (15)"),
        ("match: 0", "claims.match is 0; allowed: at least 1"),
        ("matched: 3", "unknown key claims.matched; did you mean 'match'?"),
    ],
)
def test_a_bad_plan_is_named_before_anything_runs(overlay: str, message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        checked(merged(overlay=f"claims: {{{overlay}}}"))


def test_a_config_may_leave_the_bimodal_arm_or_all_claims_out() -> None:
    checked(merged(overlay="claims: {bimodal_arm: null}"))
    config = merged()
    del config["claims"]
    checked(config)


@pytest.mark.parametrize("name", ["config.yaml", "quick.yaml", "cpu.yaml"])
def test_a_study_of_each_shipped_config_has_the_rounds_of_all_claims(name: str) -> None:
    config = checked(merged(name))
    numbers = [
        number
        for value in config["claims"].values()
        for number in (value if isinstance(value, list) else [value])
        if isinstance(number, int)
    ]
    assert max(numbers) <= max(rounds(config, study) for study in config["studies"])
    for arm in config["contrasts"]["arms"]:
        made = [arm_rounds(config, arm, study) for study in config["studies"]]
        assert any(set(config["claims"]["suffices"]) <= set(found) for found in made), arm


def test_every_figure_that_a_claim_names_is_in_the_catalogue() -> None:
    rows, _ = judge_claims(tables(arms=losing(0, 0)), PLAN, ["s"])
    named = {figures.key(name.removesuffix(".png")) for name in rows["figure"]}
    assert named <= set(figures.FIGURES) and len(named) == 11
