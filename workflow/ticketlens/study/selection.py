"""The studies of a config by kind, their specs, and the arms that they have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ticketlens.architecture import is_convolutional, is_residual
from ticketlens.spec import Spec
from ticketlens.study import factorial, going_on
from ticketlens.study.arms import arm_rounds, arm_seeds, arms_of_all, recipes
from ticketlens.study.catalogue.kinds import Measurement, Networks
from ticketlens.study.studies import round_numbers, study_spec, threads
from ticketlens.tickets.recipe import ASIDE, Arm

Config = Mapping[str, Any]


@dataclass(frozen=True)
class Selection:
    """Studies and arms of a checked config."""

    config: Config

    @cached_property
    def specs(self) -> dict[str, Spec]:
        """Specs by study, data set apart: thousands of jobs ask for them."""
        return {study: study_spec(self.config, study) for study in self.config["studies"]}

    @cached_property
    def threads(self) -> dict[str, int]:
        """How many threads a training of a study takes."""
        return {study: threads(self.config, study) for study in self.config["studies"]}

    @cached_property
    def trained(self) -> list[str]:
        """Studies whose chains are trained, from round 0 or from where the ticket bank ends."""
        untrained = self.banked + self.filed
        return [name for name in self.config["studies"] if name not in untrained]

    @cached_property
    def begun(self) -> list[str]:
        """Studies whose chains are trained from round 0 on."""
        return self._of_tickets("train")

    @cached_property
    def banked(self) -> list[str]:
        """Studies whose tickets come from the ticket bank."""
        return self._of_tickets("bank")

    @cached_property
    def continued(self) -> list[str]:
        """Studies whose chains continue from the last ticket of the ticket bank."""
        return self._of_tickets("continue")

    @cached_property
    def filed(self) -> list[str]:
        """Studies whose tickets are files of other systems."""
        return self._of_tickets("files")

    @cached_property
    def completed(self) -> list[str]:
        """Filed studies whose theta_0 is in no file: it is completed by draws of their init."""
        return [name for name in self.filed if 0 not in round_numbers(self.config, name)]

    @property
    def in_bank(self) -> list[str]:
        """Studies that the ticket bank holds rounds of."""
        return self.banked + self.continued

    def _of_tickets(self, source: str) -> list[str]:
        studies = self.config["studies"].items()
        return [name for name, study in studies if study.get("tickets", "train") == source]

    @property
    def bank(self) -> str:
        """The folder of the ticket bank that chains are rebuilt from."""
        return "resources/tickets"

    @cached_property
    def firsts(self) -> going_on.Firsts:
        """First rounds of the chains that go on. Raises ConfigError for those that cannot."""
        return going_on.firsts(self.config, self.continued, self.bank)

    def first(self, study: str, seed: int | str) -> int:
        """Return the first round of a chain that is trained here: 0, unless it goes on."""
        return self.firsts.get((study, int(seed)), 0)

    @cached_property
    def late(self) -> list[str]:
        """Trained studies that rewind to theta_k, not to theta_0."""
        not_inheriting = [name for name in self.trained if name not in self.inheriting]
        return [name for name in not_inheriting if self.specs[name].pruning.rewind_epoch]

    @cached_property
    def inheriting(self) -> list[str]:
        """Trained studies whose rounds start from the trained weights of the round before."""
        return [name for name in self.trained if self.specs[name].pruning.rewind != "weights"]

    @cached_property
    def rewound(self) -> list[str]:
        """Studies that are trained from round 0 on and rewind weights, to theta_0 or theta_k."""
        return [name for name in self.begun if name not in self.inheriting]

    @cached_property
    def residual(self) -> list[str]:
        """Studies of networks with skips."""
        return [name for name, spec in self.specs.items() if is_residual(spec.network)]

    def of_kind(self, *, convolutional: bool, residual: bool) -> list[str]:
        """Return the studies by the kind of their hidden layers, with or without skips."""
        return [
            name
            for name, spec in self.specs.items()
            if is_convolutional(spec) == convolutional and is_residual(spec.network) == residual
        ]

    def of_networks(self, networks: Networks) -> list[str]:
        """Return the studies of networks that a measurement or table is about."""
        if networks == "all":
            return list(self.config["studies"])
        if networks == "chains":
            return [name for name in self.config["studies"] if name not in self.residual]
        if networks == "blocks":
            return self.residual
        if networks == "conv or blocks":
            dense = self.of_networks("dense")
            return [name for name in self.config["studies"] if name not in dense]
        return self.of_kind(
            convolutional=networks in ("conv", "conv blocks"),
            residual=networks in ("dense blocks", "conv blocks"),
        )

    def trained_of(self, networks: Networks) -> list[str]:
        """Return the studies of these networks whose chains are trained."""
        return [study for study in self.of_networks(networks) if study in self.trained]

    @cached_property
    def arms(self) -> dict[str, Arm]:
        """Arms that `all` asks for, by name, imp left out."""
        return recipes(self.config)

    @cached_property
    def cells(self) -> list[factorial.Cell]:
        """Combinations of the factorial, those included that cannot be."""
        return factorial.cells(self.config)

    @cached_property
    def with_factorial(self) -> Config:
        """The config with the cells of the factorial among its arms."""
        return factorial.with_factorial(self.config)

    @cached_property
    def all_arms(self) -> dict[str, Arm]:
        """Arms that rules can make: the cells of the factorial as well."""
        return recipes(self.with_factorial)

    def trained_as(self, study: str, arm: str) -> Spec:
        """Return the spec that the tickets of an arm of a study train by."""
        spec = self.specs[study]
        return spec if arm == "imp" else self.all_arms[arm].trains_as(spec)

    def recipe(self, arm: str) -> dict[str, Any]:
        """Return an arm's entry without what is aside: a new round remakes no other."""
        entry = self.with_factorial["arms"][arm]
        return {key: value for key, value in entry.items() if key not in ASIDE}

    @cached_property
    def factorial(self) -> list[str]:
        """The study of the factorial, if there is one."""
        study = factorial.factorial_study(self.config) if self.cells else None
        return [] if study is None else [study]

    def measure(self, study: str) -> dict[str, Any]:
        """Return the config's `measure` with what a study changes."""
        return {**self.config["measure"], **self.config["studies"][study].get("measure", {})}

    def images(self, entry: Measurement, study: str) -> dict[str, int | None]:
        """Return how many images each argument of a measurement has in a study; None: all."""
        numbers = self.measure(study)
        return {
            argument: None if name == "all" else numbers[name]
            for argument, name in entry.images.items()
        }

    def made(self, study: str) -> Iterator[tuple[int, int, str]]:
        """Yield (seed, round, arm) of the arms of a study that `all` asks for, but imp."""
        for arm in arms_of_all(self.config, study):
            for number in arm_rounds(self.config, arm, study):
                for seed in arm_seeds(self.config, arm, study):
                    yield seed, number, arm
