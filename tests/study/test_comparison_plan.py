"""The plan of docs/comparison.md and its two configs say the same."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from ticketlens.study.arms import arm_rounds, arm_seeds, arm_studies, recipes
from ticketlens.study.config import checked
from workflow_tools import REPOSITORY

PAGE = " ".join((REPOSITORY / "docs/comparison.md").read_text(encoding="utf-8").split())
ARMS = {"shuffle-layer", "imp-sign-redrawn", "uniform-matched", "magnitude-at-init"}


def merged(*overlays: str) -> dict[str, Any]:
    """Return the full study's config with overlays of config/, as Snakemake merges, checked."""

    def merge(below: dict[str, Any], above: dict[str, Any]) -> None:
        for key, value in above.items():
            if isinstance(value, dict) and isinstance(below.get(key), dict):
                merge(below[key], value)
            else:
                below[key] = value

    config: dict[str, Any] = {}
    for name in ("config", *overlays):
        merge(config, yaml.safe_load((REPOSITORY / f"config/{name}.yaml").read_text("utf-8")))
    return checked(config)


PILOT, MAIN = merged("comparison"), merged("comparison", "comparison/main")


def trainings(config: dict[str, Any]) -> int:
    """Return how many networks a config trains: the levels of its chains, and its arms."""
    chains = sum(
        len(study["seeds"]) * (1 + config["pruning"]["rounds"])
        for study in config["studies"].values()
    )
    arms = sum(
        len(arm_rounds(config, name, study)) * len(arm_seeds(config, name, study))
        for name in recipes(config)
        for study in arm_studies(config, name)
    )
    return chains + arms


@pytest.mark.parametrize("config", [PILOT, MAIN], ids=["pilot", "main"])
def test_every_arm_is_made_at_every_rate_at_rounds_7_and_10(config: dict[str, Any]) -> None:
    assert set(recipes(config)) == ARMS
    for name in ARMS:
        assert arm_studies(config, name) == list(config["studies"])
        assert {tuple(arm_rounds(config, name, each)) for each in config["studies"]} == {(7, 10)}


@pytest.mark.parametrize("config", [PILOT, MAIN], ids=["pilot", "main"])
def test_studies_differ_in_their_rate_alone(config: dict[str, Any]) -> None:
    rates = [study["training"] for study in config["studies"].values()]
    assert rates == [{"learning_rate": rate} for rate in (0.003, 0.01, 0.03)]
    assert config["training"]["schedule"] == "cosine"
    assert len({(each["network"], each["init"]) for each in config["studies"].values()}) == 1


def test_no_seed_of_the_main_runs_was_seen_before() -> None:
    published = yaml.safe_load((REPOSITORY / "docs/results/config.yaml").read_text("utf-8"))
    seen = {seed for study in published["studies"].values() for seed in study["seeds"]}
    pilot = {seed for study in PILOT["studies"].values() for seed in study["seeds"]}
    main = {seed for study in MAIN["studies"].values() for seed in study["seeds"]}
    assert pilot == {100, 101, 102}
    assert main == set(range(10, 18))
    assert not main & (seen | pilot)


def test_the_page_counts_the_trainings() -> None:
    assert f"| pilot, three rates | {trainings(PILOT)} |" in PAGE
    assert f"| main, three rates, all arms at all | {trainings(MAIN)} |" in PAGE
    assert f"| main, one rate for all | {trainings(MAIN) // 3} |" in PAGE


def test_the_page_names_every_arm() -> None:
    assert set(re.findall(r"\| `([a-z-]+)` \|", PAGE)) == ARMS | {"imp"}
