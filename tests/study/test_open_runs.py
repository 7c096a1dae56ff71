"""Open runs: every overlay of config/open can be planned, and the page counts its trainings."""

from __future__ import annotations

import re

import pytest

from config_tools import CONFIG, merged
from ticketlens.study import cost
from ticketlens.study.config import checked
from ticketlens.study.plan import Plan
from ticketlens.study.trainings import trainings

OVERLAYS = sorted(path.stem for path in (CONFIG / "open").glob("*.yaml"))
PAGE = (CONFIG.parent / "docs/open-runs.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", OVERLAYS)
def test_the_page_says_what_an_overlay_trains_and_costs(name: str) -> None:
    config = checked(merged((CONFIG / f"open/{name}.yaml").read_text(encoding="utf-8")))
    plan = Plan(config, config["results"])
    assert config["results"] == f"results/open-{name}"
    wanted = {*plan.of_arms("trained.h5", config["studies"])}
    wanted |= {*plan.chains("trained.h5", plan.trained)}
    needed = [key for key, stage in trainings(plan).items() if stage != "factorial"]
    assert wanted <= {plan.checkpoint(*key, "trained.h5") for key in needed}
    stated = re.search(rf"\(\.\./config/open/{name}\.yaml\) \| (\d+) \| ([\d.]+) \|", PAGE)
    assert stated and int(stated[1]) == len(wanted)
    lines = [line for line in cost.estimate(config) if line.stage in ("chains", "arms")]
    hours = sum(line.core_hours for line in lines)
    assert 0.8 < float(stated[2]) / hours < 1.25


def test_the_page_names_every_overlay() -> None:
    assert set(re.findall(r"\(\.\./config/open/([a-z-]+)\.yaml\)", PAGE)) == set(OVERLAYS)
