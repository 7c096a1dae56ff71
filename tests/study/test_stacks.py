"""Which trainings run together: all that train alike, and none that needs another of its stack."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from ticketlens.study.config import ConfigError, checked
from ticketlens.study.plan import Plan
from ticketlens.study.stacks import Stack, alone, stacks
from ticketlens.study.trainings import trainings
from workflow_tools import merged

VARIANTS = merged("gpu-variants")
# Studies that differ in their rate alone, with arms: the comparison's, as a GPU would train them.
COMPARISON = merged("comparison", "comparison/rate-0-1", "comparison/round-10")
COMPARISON["training"] |= {"device": "cuda", "kernel": "stacked", "sparse_below": 0}
for one in COMPARISON["studies"].values():
    one["seeds"] = [*range(10, 18), 100, 101, 102]


def with_studies(config: dict[str, Any], **changes: dict[str, Any]) -> Plan:
    """The plan of a config whose studies are changed, by name with _ for -."""
    studies = {name.replace("_", "-"): change for name, change in changes.items()}
    merged_studies = {name: {**own, **studies.get(name, {})}
                      for name, own in config["studies"].items()}  # fmt: skip
    return Plan(checked({**config, "studies": merged_studies}), "results")


def by_kind(plan: Plan) -> dict[tuple[str, ...], list[Stack]]:
    found: dict[tuple[str, ...], list[Stack]] = {}
    for stack in stacks(plan):
        found.setdefault(tuple(sorted({one[0] for one in stack.trainings})), []).append(stack)
    return found


@pytest.mark.parametrize("config", [COMPARISON, VARIANTS], ids=["comparison", "variants"])
def test_each_training_is_in_one_stack_and_needs_none_of_it(config: dict[str, Any]) -> None:
    plan = Plan(config, "results")
    found = stacks(plan)
    counted = Counter(one for stack in found for one in stack.trainings)
    assert set(counted) == set(trainings(plan)) and set(counted.values()) == {1}
    assert len({stack.name for stack in found}) == len(found)
    for stack in found:
        assert stack.name.isidentifier()
        assert len({number for _, _, number, _ in stack.trainings}) == 1
        assert len({arm == "imp" for *_, arm in stack.trainings}) == 1


def test_learning_rates_train_together() -> None:
    rounds = [stack for stack in stacks(Plan(COMPARISON, "results")) if "chains" in stack.name]
    assert len(rounds) == 11
    assert {len(stack.trainings) for stack in rounds} == {44}
    assert {len({one[0] for one in stack.trainings}) for stack in rounds} == {4}


def test_what_trains_otherwise_is_apart() -> None:
    families = {name for names in by_kind(Plan(VARIANTS, "results")) for name in names}
    assert families == set(VARIANTS["studies"])
    for names in by_kind(Plan(VARIANTS, "results")):
        assert "resnet-fc-normal" not in names or len(names) == 1
    epochs = with_studies(COMPARISON, comparison_rate_0_1={
        "training": {"learning_rate": 0.1, "epochs": 40}
    })  # fmt: skip
    for names in by_kind(epochs):
        assert "comparison-rate-0-1" not in names or len(names) == 1


def test_small_dense_networks_have_a_stack_for_each_round() -> None:
    small = [stack for stack in stacks(Plan(VARIANTS, "results")) if stack.name.endswith("_small")]
    assert [{one[2] for one in stack.trainings} for stack in small][:3] == [{4}, {7}, {10}]
    assert {arm for stack in small[:3] for *_, arm in stack.trainings} == {"small-dense"}


def test_theta_k_is_kept_where_late_rewinding_needs_it() -> None:
    keeping = {one for stack in stacks(Plan(VARIANTS, "results")) for one in stack.keeping_theta_k}
    expected = {(f"fcnet-rewind-{k}", seed, 0, "imp") for k in (1, 2) for seed in (0, 1, 2)}
    assert keeping == expected


def test_chains_that_lend_masks_to_arms_go_with_the_chains_and_others_with_the_factorial() -> None:
    lent = {
        one
        for stack in stacks(Plan(VARIANTS, "results"))
        if "chains" in stack.name
        for one in stack.trainings
        if one[0] == "fcnet-orthogonal" and one[1] == 3
    }
    assert {number for _, _, number, _ in lent} == set(range(10))  # of seed 2, rounds 7 and 10
    seeds = {one[1] for stack in stacks(Plan(COMPARISON, "results"))
             if "factorial" not in stack.name for one in stack.trainings}  # fmt: skip
    assert seeds == {*range(10, 18), 100, 101, 102}


def test_rounds_from_the_bank_train_together() -> None:
    own = dict.fromkeys(VARIANTS["studies"]) | {
        "fcnet-normal": {**VARIANTS["studies"]["fcnet-normal"], "tickets": "bank"}
    }
    config = {
        **VARIANTS,
        "studies": {k: v for k, v in own.items() if v},
        "interventions": {**VARIANTS["interventions"], "studies": ["fcnet-normal"]},
    }
    config["arms"] = {name: arm for name, arm in config["arms"].items()
                      if arm.get("studies", ["fcnet-normal"]) == ["fcnet-normal"]}  # fmt: skip
    orders = [stack for stack in stacks(Plan(checked(config), "results"))
              if any(one[3] == "order-1" for one in stack.trainings)]  # fmt: skip
    assert len(orders) == 1
    assert {one[2] for one in orders[0].trainings if one[3] == "order-1"} == {
        0, 1, 2, 3, 5, 7, 10, 15
    }  # fmt: skip


def test_other_kernels_train_alone() -> None:
    plan = Plan(merged(), "results")
    assert stacks(plan) == [] and alone(plan) == list(plan.specs)


@pytest.mark.parametrize(
    ("training", "network", "message"),
    [
        ({"sparse_below": 0.5, "device": "cpu"}, "fcnet", "'stacked' with sparse_below 0.5; allow"),
        (
            {"precision": "bfloat16", "device": "cpu"},
            "fcnet",
            "'stacked' with precision 'bfloat16'",
        ),
        ({}, "convnet", "'stacked' for a convolutional network; allowed: another kernel"),
        (
            {"precision": "autocast", "kernel": "aten", "device": "cpu"},
            "fcnet",
            "'autocast'; allow",
        ),
    ],
    ids=["sparse", "bfloat16", "convolutions", "autocast on a CPU"],
)
def test_what_cannot_train_together_is_refused(
    training: dict[str, Any], network: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        with_studies(COMPARISON, comparison_rate_0_01={
            "network": network, "training": {"learning_rate": 0.01, **training}
        })  # fmt: skip
