"""What a config makes: files, tables and figures (`selection` has its studies and arms).

The rules, `cost` and `progress` ask here and in `trainings`, so that they cannot disagree. A `Plan`
reads nothing but a checked config and, of chains that continue from the bank, how far its files
go; its paths begin with `root`, the results folder (or what stands for it).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from ticketlens.files.folded import folded
from ticketlens.study.arms import arm_rounds, arm_seeds, arms_of_all, shown_arms
from ticketlens.study.catalogue import tables
from ticketlens.study.catalogue.figures import EXPERIMENTS, FIGURES
from ticketlens.study.catalogue.kinds import Figure, Table
from ticketlens.study.selection import Selection
from ticketlens.study.studies import round_numbers, rounds

STATES = ("init", "trained")


@dataclass(frozen=True)
class Plan(Selection):
    """What a checked config makes; `root` is what the paths of results begin with.

    `bank` is the folder of the ticket bank that chains are rebuilt from.
    """

    root: str
    bank: str = "resources/tickets"

    @cached_property
    def entries(self) -> dict[str, Table]:
        """Entries of all tables that there can be."""
        return tables.tables()

    # --- files -----------------------------------------------------------------------------------

    def checkpoint(
        self, study: str, seed: int | str, number: int | str, arm: str, file: str
    ) -> str:
        """Return the path of a file of one checkpoint."""
        return f"{self.root}/checkpoints/{study}/seed{seed}/round{int(number):02d}/{arm}/{file}"

    def chain(self, file: str, study: str, seed: int | str, first: int = 0) -> list[str]:
        """Return the paths of `file` on the imp arm of one chain, from round `first` on."""
        numbers = [number for number in round_numbers(self.config, study) if number >= first]
        return [self.checkpoint(study, seed, number, "imp", file) for number in numbers]

    def chains(self, file: str, studies: Iterable[str]) -> list[str]:
        """Return the paths of `file` on the imp arm over studies, seeds and rounds trained here."""
        return [
            path
            for study in studies
            for seed in self.config["studies"][study]["seeds"]
            for path in self.chain(file, study, seed, self.first(study, seed))
        ]

    def of_arms(self, file: str, studies: Iterable[str]) -> list[str]:
        """Return the paths of `file` on all arms but imp, over studies, seeds and rounds."""
        return [
            self.checkpoint(study, seed, number, arm, file)
            for study in studies
            for seed, number, arm in self.made(study)
        ]

    def of_filed(self, file: str, studies: Iterable[str] | None = None) -> list[str]:
        """Return the paths of `file` on foreign tickets that have arms: what these stand beside."""
        return [
            self.checkpoint(study, seed, number, "imp", file)
            for study in self.filed
            if studies is None or study in studies
            for seed, number in dict.fromkeys((seed, at) for seed, at, _ in self.made(study))
        ]

    def of_conv_arms(self, file: str) -> list[str]:
        """Return the paths of `file` on the arms that convolutional studies would have."""
        return [
            self.checkpoint(study, seed, number, arm, file)
            for study in self.config["studies"]
            for arm in self.arms
            if arm not in arms_of_all(self.config, study)
            for number in arm_rounds(self.config, arm, study)
            for seed in arm_seeds(self.config, arm, study)
        ]

    def of_factorial(self, file: str) -> list[str]:
        """Return the paths of `file` of the factorial's cells, and of IMP tickets if trained."""
        arms = [(cell.round, cell.arm) for cell in self.cells if not cell.reason]
        imp = [
            (cell.round, "imp") for cell in self.cells if set(self.factorial) <= set(self.trained)
        ]
        return [
            self.checkpoint(study, seed, number, arm, file)
            for study in self.factorial
            for number, arm in dict.fromkeys(imp + arms)
            for seed in self.config["studies"][study]["seeds"]
            if arm != "imp" or number >= self.first(study, seed)
        ]

    def banks(self, studies: Iterable[str], folder: str) -> list[str]:
        """Return the ticket bank files of studies in `folder`."""
        return [
            f"{folder}/{study}/seed{seed}.h5"
            for study in studies
            for seed in self.config["studies"][study]["seeds"]
        ]

    def bank_chains(self, studies: Iterable[str]) -> list[tuple[str, int, int, str]]:
        """Return study, seed, last round and spec of chains, for what reads their bank files.

        Of a chain that goes on, the last round is the one before the first that is trained here.
        """
        return [
            (study, seed, last, self.specs[study].to_json())
            for study in studies
            for seed in self.config["studies"][study]["seeds"]
            for last in (self.firsts.get((study, seed), rounds(self.config, study) + 1) - 1,)
        ]

    def measurement(
        self, table: str, study: str, seed: int, number: int, arm: str, state: str
    ) -> str:
        """Return the path of one checkpoint's rows of a table."""
        suffix = self.entries[table].suffix
        place = f"{study}/seed{seed}/round{number:02d}/{arm}/{state}.{suffix}"
        return f"{self.root}/measurements/{table}/{place}"

    def measured_on_imp(self, table: str, studies: Iterable[str] | None = None) -> list[str]:
        """Return the measurement files of a table on the IMP chains: of tickets and trained."""
        files = []
        for study in self.studies_of(table) if studies is None else studies:
            states = [
                state
                for state in STATES
                if self.entries[table].state in ("both", state)
                and (state == "init" or study in self.trained)
            ]
            files += [
                self.measurement(table, study, seed, number, "imp", state)
                for seed in self.config["studies"][study]["seeds"]
                for number in round_numbers(self.config, study)
                for state in states
                if state == "init" or number >= self.first(study, seed)
            ]
        return files

    def measured_on_arms(self, table: str, studies: Iterable[str] | None = None) -> list[str]:
        """Return the measurement files of a table on arms but imp.

        They are of the arms' tickets, and of trained networks where only these are measured.
        """
        own = self.with_arms(table)
        state = "trained" if self.entries[table].state == "trained" else "init"
        return [
            self.measurement(table, study, seed, number, arm, state)
            for study in own
            if studies is None or study in studies
            for seed, number, arm in self.made(study)
        ]

    def measured(self, table: str) -> list[str]:
        """Return the measurement files of a table: every ticket, every trained network."""
        return self.measured_on_imp(table) + self.measured_on_arms(table)

    @property
    def foundations(self) -> list[str]:
        """Return the trained networks and measurements that `all`'s tables and figures rest on.

        As paths within the results folder, folded (see `files.folded`): a job's parameter.
        """
        files = self.chains("trained.h5", self.trained)
        files += self.of_arms("trained.h5", self.config["studies"])
        files += [path for table in self.over_checkpoints for path in self.measured(table)]
        return folded(sorted({path.removeprefix(f"{self.root}/") for path in files}))

    # --- tables and figures ----------------------------------------------------------------------

    def studies_of(self, table: str) -> list[str]:
        """Return the studies that a table over checkpoints has rows of."""
        entry = self.entries[table]
        if entry.state == "trained":
            return self.trained_of(entry.networks)
        return self.of_networks(entry.networks)

    def with_arms(self, table: str) -> list[str]:
        """Return the studies whose arms a table over checkpoints has rows of."""
        kind = self.entries[table].kind
        return [
            study
            for study in self.studies_of(table)
            if kind in self.measure(study).get("arms", ["signal"]) and any(self.made(study))
        ]

    @cached_property
    def has_arms(self) -> bool:
        """Whether any arm but imp is made."""
        return any(any(self.made(study)) for study in self.config["studies"])

    @cached_property
    def over_checkpoints(self) -> list[str]:
        """Tables over all checkpoints that have rows."""
        entries = self.entries.items()
        return [name for name, table in entries if table.kind and self.studies_of(name)]

    @cached_property
    def shown(self) -> dict[str, list[str]]:
        """Arms of each experiment that are made, by experiment."""
        return {name: shown_arms(self.config, name) for name in EXPERIMENTS}

    @cached_property
    def bimodal(self) -> list[str]:
        """Arms of the bimodal experiment whose weights follow the survivors' law."""
        arms = self.config["arms"]
        return [name for name in self.shown["bimodal"] if arms[name]["weights"] == "inverse-cdf"]

    @cached_property
    def ranking(self) -> list[str]:
        """Tables of properties that rank arms, or the rounds of chains, where there are enough."""
        chains = {
            study
            for study in self.with_accuracy
            if len(round_numbers(self.config, study)) >= tables.MIN_ARMS
        }
        return [
            table
            for table in self.over_checkpoints
            if table in tables.PREDICTORS
            and (
                chains & set(self.studies_of(table))
                or any(self._can_rank(study) for study in self.with_arms(table))
            )
        ]

    def _can_rank(self, study: str) -> bool:
        """Whether some round of a study has enough arms, IMP among them, to rank."""
        made = Counter((number, seed) for seed, number, _ in self.made(study))
        return any(1 + count >= tables.MIN_ARMS for count in made.values())

    @cached_property
    def with_accuracy(self) -> list[str]:
        """Studies whose IMP chains have accuracies: trained, from the bank, or beside arms."""
        with_arms = [study for study in self.filed if any(self.made(study))]
        return [
            name for name in self.config["studies"] if name not in self.filed or name in with_arms
        ]

    @cached_property
    def has_accuracy(self) -> bool:
        """Whether any network of the config is trained, or was."""
        return bool(self.with_accuracy) or self.has_arms

    @cached_property
    def tables(self) -> list[str]:
        """Tidy tables that `all` asks for."""
        conditions = {
            "accuracy": self.has_accuracy,
            "training_curves": self.has_accuracy,
            "contrasts": self.has_arms,
            "bimodal_law": bool(self.bimodal),
            "predictors": bool(self.ranking),
        }
        return [
            name
            for name, table in self.entries.items()
            if not table.by_request
            and conditions.get(name, not table.kind or name in self.over_checkpoints)
        ]

    @property
    def compact(self) -> list[str]:
        """Tables that are small enough to keep in a repository, `accuracy` apart."""
        small = [name for name in self.tables if not self.entries[name].is_large]
        return [name for name in small if name != "accuracy"]

    @cached_property
    def outputs(self) -> dict[str, list[str]]:
        """Paths of all `tables` and all `figures` (PNG) that `all` asks for."""
        return {
            "tables": [f"{self.root}/tables/{name}.csv" for name in self.tables],
            "figures": [f"{self.root}/{name}.png" for name in self.figures],
        }

    @cached_property
    def claim_tables(self) -> dict[str, str]:
        """Tables that the claims are judged by, as far as there are studies that fill them."""
        names = ("accuracy", "weight_statistics", "qmap", "ladder", "chi", "gradients")
        return {name: self.table(name) for name in names if name in self.tables}

    @cached_property
    def contrasts(self) -> dict[str, Any]:
        """The planned contrasts with IMP: arms, round, margin of equivalence."""
        return {"arms": [], "round": 0, "margin": 0.5, **self.config.get("contrasts", {})}

    def table(self, name: str, imp_alone: bool = False) -> str:
        """Return the path of a table; of IMP chains alone, for what needs no arms, if asked for."""
        entry = self.entries[name]
        has_arms = bool(self.with_arms(name)) if entry.kind else self.has_arms
        return f"{self.root}/tables/{'imp/' if imp_alone and has_arms else ''}{name}.csv"

    @cached_property
    def figures(self) -> list[str]:
        """Figures that `all` asks for, by the names of their files."""
        return [
            name
            for key, figure in FIGURES.items()
            if self._is_drawn(figure)
            for name in self.pictures(key)
        ]

    def alone(self, study: str) -> Plan:
        """Return the plan of one study's IMP chains alone."""
        studies = {study: self.config["studies"][study]}
        rest = {key: self.config[key] for key in self.config if key != "experiments"}
        arms = {"imp": self.config["arms"]["imp"]}
        config = {**rest, "studies": studies, "arms": arms, "factorial": {}, "contrasts": {}}
        return replace(self, config=config, root=f"{self.root}/{study}")

    def studies_of_figure(self, key: str) -> list[str]:
        """Return the studies of which a figure can be drawn alone, `results/{study}/{key}.png`.

        Figures of arms compare them, and those of one study and state have it in their names.
        """
        figure = FIGURES[key]
        if figure.per_study or figure.experiment or figure.arm != "imp" or figure.by_request:
            return []
        return [study for study in self.config["studies"] if self.alone(study)._is_drawn(figure)]

    def _is_drawn(self, figure: Figure) -> bool:
        if figure.by_request or not set(figure.reads.values()) <= set(self.tables):
            return False
        studies = set(self.of_networks(figure.networks))
        if figure.fixed.get("state") == "trained":
            studies &= set(self.trained)
        if {"accuracy", "training_curves"} & set(figure.reads.values()):
            studies &= set(self.with_accuracy)
        experiment = figure.experiment
        is_compared = experiment is None or "arms" not in figure.options
        return bool(studies) and (is_compared or len(self.shown[str(experiment)]) > 1)

    def pictures(self, key: str) -> list[str]:
        """Return the names of the files of a figure: one, or one a study and state."""
        figure = FIGURES[key]
        if not figure.per_study:
            return [key]
        return [
            f"{key}-{study}-{state}"
            for state in STATES
            for study in (self.config["studies"] if state == "init" else self.trained)
        ]
