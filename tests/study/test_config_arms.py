"""Which arms a config makes: at which rounds, for which seeds, in which studies."""

from __future__ import annotations

from config_tools import merged, problems
from ticketlens.study.arms import (
    arm_rounds,
    arm_seeds,
    donor_seed,
    not_applicable,
    recipes,
    shown_arms,
)
from ticketlens.study.config import checked


def test_a_magnitude_at_init_mask_is_no_rival_where_it_is_the_criterion() -> None:
    found = problems(
        merged(
            "{pruning: {criterion: magnitude-at-init}, arms: {x: {mask: magnitude-at-init, "
            "weights: fresh, studies: [fcnet-normal]}}}"
        )
    )
    assert found == [
        "arms.x in study fcnet-normal: mask 'magnitude-at-init' is the IMP mask with this "
        "pruning.criterion"
    ]


def test_arms_are_made_at_the_rounds_that_a_study_has() -> None:
    config = checked(merged("{studies: {convnet-normal: {pruning: {rounds: 5}}}}"))
    assert arm_rounds(config, "rewire", "fcnet-normal") == [3, 7, 10]
    assert arm_rounds(config, "rewire", "convnet-normal") == [3]
    own = "{arms: {rewire: {rounds: [16, 12, 2], studies: [fcnet-normal]}}}"
    allowed = "{interventions: {studies: [fcnet-normal, convnet-normal]}}"
    config = checked(merged(own, allowed))
    assert arm_rounds(config, "rewire", "fcnet-normal") == [2, 12]
    assert arm_rounds(config, "rewire", "convnet-normal") == []
    assert arm_rounds(config, "uniform-density", "convnet-normal") == [3, 7, 10]
    assert arm_rounds(config, "uniform-density", "fcnet-orthogonal") == []


def test_without_studies_in_interventions_no_arm_is_made() -> None:
    config = checked(merged("{interventions: {studies: []}}"))
    for name in recipes(config):
        assert not any(arm_rounds(config, name, study) for study in config["studies"])
    assert shown_arms(config, "bimodal") == ["imp"]


def test_arms_are_made_for_the_seeds_that_they_or_interventions_name() -> None:
    config = checked(merged("{interventions: {seeds: [0, 2, 99]}, arms: {rewire: {seeds: [1]}}}"))
    assert arm_seeds(config, "uniform-density", "fcnet-normal") == [0, 2]
    assert arm_seeds(config, "rewire", "fcnet-normal") == [1]
    assert arm_seeds(checked(merged()), "rewire", "fcnet-orthogonal") == [0, 1, 2]


def test_donors_may_be_seeds_of_the_study_that_have_no_arms() -> None:
    config = merged("{interventions: {seeds: [0, 1, 2, 3], donor_offset: 4}}")
    assert checked(config)["studies"]["fcnet-normal"]["seeds"] == list(range(8))


def test_donors_wrap_so_that_all_seeds_lend_each_other_their_masks() -> None:
    config = checked(merged("{interventions: {donor_offset: 3, donor_modulo: 8}}"))
    seeds = config["studies"]["fcnet-normal"]["seeds"]
    donors = [donor_seed(config, seed) for seed in seeds]
    assert donors == [3, 4, 5, 6, 7, 0, 1, 2]
    assert sorted(donors) == seeds


def test_an_experiment_shows_the_arms_that_are_made() -> None:
    config = checked(merged("{pruning: {rounds: 6}, contrasts: {round: 3}}"))
    assert shown_arms(config, "std_experiment") == ["imp"]
    assert shown_arms(config, "bimodal") == config["experiments"]["bimodal"]["arms"]
    del config["experiments"]
    assert shown_arms(config, "bimodal") == []


def test_donor_seeds_lie_outside_the_study() -> None:
    config = checked(merged())
    for study in config["studies"].values():
        assert not {donor_seed(config, seed) for seed in study["seeds"]} & set(study["seeds"])


def test_arms_are_made_in_residual_networks_only_where_the_config_says_so() -> None:
    config = checked(merged())
    assert arm_rounds(config, "rewire", "resnet-fc-normal") == []
    own = "interventions: {studies: [resnet-fc-normal]}"
    assert arm_rounds(checked(merged(own)), "rewire", "resnet-fc-normal") == [3, 7, 10]


def test_a_config_without_interventions_makes_no_arms() -> None:
    config = merged()
    del config["interventions"]
    assert arm_rounds(checked(config), "rewire", "fcnet-normal") == []


def test_at_round_0_arms_of_other_masks_are_skipped_and_named_as_not_applicable() -> None:
    config = checked(merged("interventions: {rounds: [0, 3, 7, 10]}"))
    assert arm_rounds(config, "rewire", "fcnet-normal") == [3, 7, 10]
    assert arm_rounds(config, "imp-sign-redrawn", "fcnet-normal") == [7, 10]  # its own rounds
    named = not_applicable(config)
    assert ("fcnet-normal", 0, "rewire") in named and {number for _, number, _ in named} == {0}
    assert not {arm for _, _, arm in named} & {"imp-matched", "imp-sign-redrawn"}
    assert not_applicable(checked(merged())) == []


def test_the_planned_comparison_has_eight_arms_at_three_rounds() -> None:
    config = checked(merged())
    planned = [
        name
        for name in recipes(config)
        if {3, 7, 10} <= set(arm_rounds(config, name, "fcnet-orthogonal"))
    ]
    assert len(planned) == 7


def test_what_a_study_cannot_be_is_not_said_of_its_sparse_arms_too() -> None:
    config = merged(
        "{arms: {imp-matched: {sparse_below: 0.46}}, studies: {fcnet-normal: {training: "
        "{kernel: stacked, precision: bfloat16, device: cpu}}}}"
    )
    found = problems(config)
    of_study = [line for line in found if line.startswith("studies.fcnet-normal")]
    of_arm = [line for line in found if line.startswith("arms.imp-matched")]
    assert any("allowed: float32" in line for line in of_study)
    assert of_arm and all("sparse_below" in line for line in of_arm)
