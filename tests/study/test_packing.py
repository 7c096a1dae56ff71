"""What cannot go into the ticket bank is said by name, before anything is trained."""

from __future__ import annotations

from pathlib import Path

import pytest

from config_tools import merged
from ticketlens.study import packing, so_far
from ticketlens.study.config import ConfigError, checked
from ticketlens.study.plan import Plan

ALONE = (
    "fcnet-orthogonal: null, convnet-normal: null, resnet-fc-normal: null, resnet-conv-normal: null"
)


def plan(study: str, *others: str, results: str = "results") -> Plan:
    """The plan of a study `mine` with these keys beside other studies."""
    gone = "" if "fcnet-normal" in others else "fcnet-normal: null, "
    text = f"{{network: fcnet, init: normal, seeds: [0, 1], {study}}}"
    overlay = f"{{results: {results}, studies: {{mine: {text}, {gone}{ALONE}}}}}"
    return Plan(checked(merged(overlay)), "<results>")


def refusal(planned: Plan) -> str:
    with pytest.raises(ConfigError) as caught:
        packing.banks(planned, "<bank>", "bank")({})
    return str(caught.value)


NAMED = r"studies\.mine: pruning\.rewind"
OTHER_STARTS = [
    ("pruning: {rewind: schedule}", "pruning.rewind is 'schedule', tickets start from trained"),
    ("pruning: {rewind: none}", "pruning.rewind is 'none', tickets start from trained"),
    ("pruning: {rewind_epoch: 2}", "pruning.rewind_epoch is 2, theta_k comes from training"),
]


@pytest.mark.parametrize(("study", "reason"), OTHER_STARTS)
def test_studies_that_do_not_rewind_to_theta_0_are_refused_by_name(study: str, reason: str) -> None:
    assert refusal(plan(study)).startswith(f"studies.mine: {reason}")
    with pytest.raises(ConfigError, match=NAMED):
        packing.of_chain(plan(study))({"study": "mine", "seed": "0"})
    with pytest.raises(ConfigError, match=NAMED):
        so_far.under_way(plan(study), "<bank>", "bank")({})
    with pytest.raises(ConfigError, match=NAMED):
        so_far.of_chain(plan(study))({"study": "mine", "seed": "0"})


def test_the_refusal_of_one_study_says_how_the_others_are_packed() -> None:
    message = refusal(plan("pruning: {rewind: schedule}", "fcnet-normal"))
    assert message.endswith("snakemake bank/fcnet-normal/seed0.h5 (and 7 more files)")


def test_chains_that_rewind_to_theta_0_are_packed_with_all_their_rounds() -> None:
    mine = plan("pruning: {rounds: 2}")
    files = packing.banks(mine, "<bank>", "bank")({})
    assert files == ["<bank>/mine/seed0.h5", "<bank>/mine/seed1.h5"]
    chain = packing.of_chain(mine)({"study": "mine", "seed": "1"})
    place = "<results>/checkpoints/mine/seed1/round{}/imp"
    assert chain["masks"] == [f"{place.format(n)}/mask.h5" for n in ("01", "02")]
    assert chain["trained"] == [f"{place.format(n)}/trained.h5" for n in ("00", "01", "02")]


def test_a_study_that_is_not_trained_from_its_start_says_why_nothing_is_packed() -> None:
    assert refusal(plan("tickets: bank")) == (
        "nothing to pack: mine has its tickets from the bank already"
    )
    assert "files of another system" in refusal(plan("tickets: files, path: 'm{seed}.pt'"))


def test_chains_under_way_are_those_with_a_trained_network(tmp_path: Path) -> None:
    mine = plan("pruning: {rounds: 2}", results=str(tmp_path))
    files = so_far.under_way(mine, "<bank>", "bank")
    with pytest.raises(ConfigError, match="no chain has a trained network yet"):
        files({})
    trained = tmp_path / "checkpoints/mine/seed1/round00/imp/trained.h5"
    trained.parent.mkdir(parents=True)
    trained.touch()
    assert files({}) == ["<bank>/mine/seed1.h5"]
