"""What figures are told of the config: each option is one function of plan, figure and wildcards.

A figure's entry in the catalogue names its options; they are arguments of its function.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ticketlens.architecture import layer_shapes
from ticketlens.study.arms import arm_labels
from ticketlens.study.catalogue.figures import FIGURES
from ticketlens.study.catalogue.kinds import Figure
from ticketlens.study.plan import Plan
from ticketlens.tickets.initialization import is_normal

Wildcards = Mapping[str, str]
Option = Callable[[Plan, Figure, Wildcards], Any]


def figure_options(plan: Plan, key: str, wildcards: Wildcards) -> dict[str, Any]:
    """Return the arguments of a figure's function besides its tables."""
    figure = FIGURES[key]
    given = {name: OPTIONS[name](plan, figure, wildcards) for name in figure.options}
    return given | dict(figure.fixed)


def titles(plan: Plan, figure: Figure, wildcards: Wildcards) -> dict[str, str]:
    """Titles of panels by study, of the networks that the figure is about."""
    return study_titles(plan, plan.of_networks(figure.networks))


def study_titles(plan: Plan, studies: list[str]) -> dict[str, str]:
    """Return titles by study, in the order of the config."""
    return {name: plan.config["studies"][name].get("title", name) for name in studies}


def dense(plan: Plan, figure: Figure, wildcards: Wildcards) -> dict[str, tuple[float, float, str]]:
    """Place of each dense network in mean field theory by study: sigma_w, sigma_b, activation."""
    places = {}
    for study in plan.of_networks(figure.networks):
        spec = plan.specs[study]
        sigma_b = spec.init.sigma_b
        if spec.init.scheme == "normal-scaled-bias":
            sigma_b /= layer_shapes(spec)[-2].fan_in ** 0.5
        places[study] = (spec.init.sigma_w, sigma_b, spec.network.activation)
    return places


def study(plan: Plan, figure: Figure, wildcards: Wildcards) -> str | None:
    """The study of the figure: the wildcard's, or its experiment's, if the config has it."""
    name: str | None = wildcards.get("study") or _experiment(plan, figure).get("study")
    return name


def title(plan: Plan, figure: Figure, wildcards: Wildcards) -> str | None:
    """Title of the study of the figure."""
    name = study(plan, figure, wildcards)
    return None if name is None else study_titles(plan, [name])[name]


def state(plan: Plan, figure: Figure, wildcards: Wildcards) -> str:
    """State of the checkpoints that the figure shows: init or trained."""
    return wildcards["state"]


def sigma_w(plan: Plan, figure: Figure, wildcards: Wildcards) -> float | None:
    """sigma_w of the initial tickets of a study if its weights are Gaussian, else None."""
    init = plan.specs[wildcards["study"]].init
    return init.sigma_w if wildcards["state"] == "init" and is_normal(init.scheme) else None


def arms(plan: Plan, figure: Figure, wildcards: Wildcards) -> dict[str, dict[str, str]]:
    """Arms of the experiment: title, mask and law of each."""
    return arm_labels(plan.config, plan.shown[str(figure.experiment)])


def labels(plan: Plan, figure: Figure, wildcards: Wildcards) -> dict[str, dict[str, str]]:
    """All arms of the config: title, mask, law and network of each."""
    return arm_labels(plan.config, list(plan.config["arms"]))


def round_(plan: Plan, figure: Figure, wildcards: Wildcards) -> int | None:
    """Round of the experiment."""
    number: int | None = _experiment(plan, figure).get("round")
    return number


def order(plan: Plan, figure: Figure, wildcards: Wildcards) -> list[str]:
    """Masks and weights of the factorial, in the order of the config."""
    return list(dict.fromkeys(name for c in plan.cells for name in (c.mask, c.weights)))


def _experiment(plan: Plan, figure: Figure) -> Mapping[str, Any]:
    entry: Mapping[str, Any] = plan.config.get("experiments", {}).get(figure.experiment, {})
    return entry


OPTIONS: dict[str, Option] = {
    "titles": titles,
    "dense": dense,
    "study": study,
    "title": title,
    "state": state,
    "sigma_w": sigma_w,
    "arms": arms,
    "labels": labels,
    "round_": round_,
    "order": order,
}
