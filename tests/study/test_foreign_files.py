"""Studies of tickets from files: which files they are, which arms they can have."""

from __future__ import annotations

from typing import Any

import pytest

from config_tools import merged
from ticketlens.study import foreign_files, material
from ticketlens.study.config import ConfigError, checked
from ticketlens.study.plan import Plan
from ticketlens.study.studies import round_numbers, rounds, study_spec
from ticketlens.study.trainings import trainings

MINE = (
    "{studies: {mine: {tickets: files, network: fcnet, init: normal, seeds: [0], path: m.pt%s}}%s}"
)


def problems(given: Any) -> list[str]:
    """The lines of the error that a config is refused with."""
    try:
        checked(given)
    except ConfigError as error:
        return [line.removeprefix("  - ") for line in str(error).splitlines()[1:-1]]
    return []


def config(study: str = "", rest: str = "") -> Any:
    """The shipped config with the study `mine`, whose tickets are files."""
    return merged(MINE % (study, rest))


def test_one_file_is_round_1_and_a_pattern_all_rounds_unless_told() -> None:
    one = checked(config())
    assert round_numbers(one, "mine") == [1] and rounds(one, "mine") == 1
    assert round_numbers(checked(config(", rounds: [7]")), "mine") == [7]
    level = checked(config(", path: 'level_{round}/main'"))
    assert round_numbers(level, "mine") == list(range(16))
    assert round_numbers(level, "fcnet-normal") == list(range(16))


def test_files_that_are_not_there_are_named_with_seed_and_round(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m1_0.pt").touch()
    (tmp_path / "masks.npz").touch()
    given = checked(config(", path: 'm{seed}_{round}.pt', seeds: [1], rounds: [0, 5, 7]"))
    assert list(foreign_files.missing(given)) == [
        f"studies.mine.path: {tmp_path}/m1_5.pt, of seed 1 round 5, is not there (2 of 3 are "
        "missing); allowed: a file, or the folder of an open_lth level, for each of "
        "studies.mine.seeds and studies.mine.rounds, here 0, 5, 7"
    ]
    (tmp_path / "level").mkdir()
    one = checked(config(", path: level, masks: no.npz"))
    found = list(foreign_files.missing(one))
    assert [line.split(",")[0] for line in found] == [
        f"studies.mine.path: {tmp_path}/level", f"studies.mine.masks: {tmp_path}/no.npz"
    ]  # fmt: skip
    assert "holds no mask.pth and model_ep*_it*.pth" in found[0]
    for name in ("mask.pth", "model_ep0_it0.pth"):
        (tmp_path / "level" / name).touch()
    assert not list(foreign_files.missing(checked(config(", path: level, masks: masks.npz"))))


def test_seeds_and_rounds_go_into_the_path_and_levels_are_listed(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for number in (0, 2):
        folder = tmp_path / f"run5/level_{number:02d}"
        folder.mkdir(parents=True)
        for name in ("mask.pth", "model_ep0_it0.pth", "model_ep9_it0.pth", "logger"):
            (folder / name).touch()
    path = ", path: 'run{seed}/level_{round:02d}', seeds: [5], rounds: [0, 2]"
    plan = Plan(checked(config(path)), "results")
    assert plan.filed == ["mine"] and plan.completed == []
    assert material.foreign_files_of(plan, "mine", "5", "02") == [
        f"run5/level_02/{name}" for name in ("mask.pth", "model_ep0_it0.pth", "model_ep9_it0.pth")
    ]
    assert material.foreign_ticket(plan, "mine", "5", "00")["path"] == "run5/level_00"
    assert material.foreign_theta(plan, "mine", "5", "02") is None, "no arm takes it"
    arm = ", arms: {rival: {mask: imp, weights: sign-redrawn, studies: [mine], rounds: [2]}}"
    plan = Plan(checked(config(path, arm)), "results")
    assert material.foreign_theta(plan, "mine", "5", "02")["round"] == 0
    assert any("level_00" in file for file in material.foreign_files_of(plan, "mine", "5", "02"))


def test_how_files_were_pruned_is_not_claimed_and_no_round_is_trained() -> None:
    own = checked(config(rest=", pruning: {rate: 0.21}"))
    assert study_spec(own, "mine").pruning == study_spec(checked(config()), "mine").pruning
    plan = Plan(own, "results")
    assert "mine" not in plan.trained + plan.banked + plan.late
    assert not [key for key in trainings(plan) if key[0] == "mine"]
    assert all("round01/imp/init" in path for path in plan.measured_on_imp("qmap", ["mine"]))


def test_figures_of_accuracy_ask_for_no_networks_that_are_not_there() -> None:
    removed = dict.fromkeys(merged("{}")["studies"])
    alone = {**config(), "experiments": None, "contrasts": None, "factorial": None}
    alone["studies"] = {**removed, "mine": alone["studies"]["mine"]}
    plan = Plan(checked(alone), "results")
    assert {"qmap", "chi", "weight_spectra", "gradients", "ntk"} <= set(plan.figures)
    assert not {"accuracy", "training_curves"} & {*plan.figures, *plan.tables}
    assert not trainings(plan)


def test_arms_are_made_where_they_are_asked_for_and_the_ticket_is_trained_beside_them() -> None:
    quiet = Plan(checked(config(", rounds: [3]")), "results")
    assert not list(quiet.made("mine")), "of the shipped arms not all can be made"
    arm = ", arms: {mine-new: {mask: imp, weights: fresh, studies: [mine], rounds: [1]}}"
    plan = Plan(checked(config(rest=arm)), "results")
    assert list(plan.made("mine")) == [(0, 1, "mine-new")]
    assert plan.of_filed("trained.h5") == ["results/checkpoints/mine/seed0/round01/imp/trained.h5"]
    assert {("mine", 0, 1, "imp"), ("mine", 0, 1, "mine-new")} <= set(trainings(plan))
    assert plan.completed == ["mine"]


@pytest.mark.parametrize(
    ("study", "message"),
    [
        (", path: null", "studies.mine.path"),
        (", seeds: [0, 1]", "names one file for 2 seeds (0, 1); allowed: one, or a"),
        (", rounds: [1, 2]", "names one file for 2 rounds (1, 2)"),
        (", path: 'x{{seed}}.pt'", "is 'x{{seed}}.pt', a name with braces; allowed in"),
        (", path: 'x{{seed}}.pt', seeds: [0, 1]", "a name with braces"),
        (", masks: '{{round}}'", "studies.mine.masks is '{{round}}', a name with braces"),
        (
            ", rounds: [1, 2], path: 'm{round}.pt', masks: k.pt",
            "studies.mine.masks names one file for 2 rounds (1, 2); allowed: one, or a path with {",
        ),
        (
            ", seeds: [0, 3], path: 'm{seed}.pt', masks: k.pt",
            "studies.mine.masks names one file for 2 seeds (0, 3)",
        ),
        (
            ", seeds: [1, 11], rounds: [1, 11], path: 'm{seed}{round}.pt'",
            "names one file, 'm111.pt', for seed 1 round 11 and seed 11 round 1; allowed: a file",
        ),
        (
            ", seeds: [10, 12], path: '{seed:.0e}.pt'",
            "names one file, '1e+01.pt', for seed 10 round 1 and seed 12 round 1",
        ),
        (", path: 'a{level}.pt'", "studies.mine.path has {level}; allowed in braces: {seed}"),
        (", path: 'a{'", "allowed in braces"),
        (", path: '{round:z}'", "allowed in braces"),
        (", pruning: {rounds: 2}", "studies.mine.pruning has no effect on tickets from files"),
        (", tickets: train", "studies.mine.path has no effect; allowed with tickets: files"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_said_before_anything_runs(study: str, message: str) -> None:
    assert any(message in line for line in problems(config(study)))


def test_a_file_for_each_ticket_is_taken_and_doubled_braces_make_no_rounds() -> None:
    each = ", seeds: [1, 11], rounds: [1, 11], path: 'm{seed}-{round}', masks: 'k{seed}/{round}'"
    assert problems(config(each)) == []
    assert problems(config(", masks: k.pt")) == []
    assert round_numbers(config(", path: 'x{{round}}.pt'"), "mine") == [1]


@pytest.mark.parametrize(
    ("arm", "rounds_", "message"),
    [
        ("{mask: uniform, weights: rewind, rounds: [1]}", "[1]", "theta_0 off the ticket's mask"),
        ("{mask: uniform, weights: fresh, rounds: [1]}", "[1]", None),
        ("{mask: shuffle-layer, weights: shuffled-values, rounds: [1]}", "[1]", None),
        ("{mask: imp, weights: sign-redrawn, rounds: [1]}", "[1]", None),
        ("{mask: synflow, weights: fresh, rounds: [1]}", "[1]", "needs theta_0"),
        ("{mask: one-shot, weights: fresh, rounds: [2]}", "[0, 2]", "that no file holds"),
        ("{mask: uniform, weights: rewind, rounds: [2]}", "[0, 2]", None),
        ("{mask: imp, weights: fresh, rounds: [2]}", "[1, 2]", "the files have no round 0"),
    ],
)  # fmt: skip
def test_arms_that_need_an_unknown_theta_0_are_refused(arm, rounds_, message) -> None:
    study = f", rounds: {rounds_}, path: 'm{{round}}.pt'"
    entry = arm.replace("{mask", "{studies: [mine], mask")
    found = problems(config(study, f", arms: {{rival: {entry}}}"))
    assert [line for line in found if "rival" in line] == found
    assert bool(found) == (message is not None)
    assert message is None or message in found[0]


@pytest.mark.parametrize(
    ("overlay", "message"),
    [
        ("{pruning: {rewind: half}}", "pruning.rewind is 'half'; allowed: weights, schedule, none"),
        ("{pruning: {rewind: schedule, rewind_epoch: 2}}", "which then has no effect"),
        ("{studies: {fcnet-normal: {tickets: bank, pruning: {rewind: none}}}}", "tickets: bank"),
        (
            "{studies: {fcnet-normal: {pruning: {rewind: none}, training: {schedule: cosine}}}}",
            "whose final rate is 0",
        ),
        (
            "{studies: {fcnet-normal: {pruning: {rewind: schedule}}}, arms: {rival: {mask: erk, "
            "weights: fresh, rounds: [3], studies: [fcnet-normal]}}}",
            "its tickets start from trained weights",
        ),
    ],
)  # fmt: skip
def test_what_trained_weights_cannot_be_combined_with_is_said(overlay: str, message: str) -> None:
    quiet = "{experiments: null, contrasts: null, factorial: null, claims: null}"
    assert any(message in line for line in problems(merged(quiet, overlay)))


def test_chains_that_keep_trained_weights_are_trained_but_have_no_arms_and_no_bank() -> None:
    quiet = "{experiments: null, contrasts: null, factorial: null, claims: null}"
    kept = "{pruning: {rewind: schedule}, interventions: {studies: []}}"
    plan = Plan(checked(merged(quiet, kept)), "results")
    assert plan.inheriting == plan.trained and not plan.rewound and not plan.late
    assert not any(any(plan.made(study)) for study in plan.trained)
    assert plan.specs["fcnet-normal"].of_round(0).pruning.rewind == "weights"
