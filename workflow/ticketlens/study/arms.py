"""Arms in the config: which are made where, and what cannot work, said before anything runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from ticketlens.architecture import is_convolutional, is_residual_family
from ticketlens.study import foreign_files
from ticketlens.study.hints import did_you_mean
from ticketlens.study.studies import is_filed, round_numbers, rounds, study_spec
from ticketlens.study.training_problems import training_problems
from ticketlens.tickets.mask_sources import MASKS, SMALL, keeps_layers
from ticketlens.tickets.recipe import SALIENCIES, Arm, properties
from ticketlens.tickets.spectral_weights import EXACT
from ticketlens.tickets.weight_sources import WEIGHTS

Config = Mapping[str, Any]
DONOR_OFFSET = 1000
SIGNED = ("sign-kept", "sign-redrawn")


def mask_names() -> list[str]:
    """Return the names that an arm's `mask` may have."""
    return [*MASKS, *SALIENCIES]


def shuffled_names() -> list[str]:
    """Return the mask sources that use an arm's `shuffle`."""
    shuffled = [name for name, entry in MASKS.items() if "shuffle" in properties(entry).options]
    return [*shuffled, *SALIENCIES]


def weight_names() -> list[str]:
    """Return the names that an arm's `weights` may have."""
    return list(WEIGHTS)


def recipes(config: Config) -> dict[str, Arm]:
    """Return the arms by name, `imp` left out."""
    return {name: Arm.from_config(entry) for name, entry in config["arms"].items() if name != "imp"}


def arm_studies(config: Config, name: str) -> list[str]:
    """Return the studies that an arm is made in: of those of `interventions`, its own.

    Without `studies` in either place these are all but those of residual networks, which are a
    check of the theory, those of tickets from files, of which not every arm can be made, and those
    whose rounds start from trained weights (pruning.rewind), which have none.
    """
    places = config.get("interventions", {})
    allowed = places.get("studies", list(config["studies"]))
    default = allowed if "studies" in places else _chains(config)
    chosen = config["arms"][name].get("studies", default)
    return [study for study in allowed if study in chosen]


def _chains(config: Config) -> list[str]:
    """Return the studies without skips whose tickets are initial networks, and not from files."""
    families = {name: network["family"] for name, network in config["networks"].items()}
    return [
        name
        for name, study in config["studies"].items()
        if not is_residual_family(families[study["network"]])
        and not is_filed(study)
        and _rewinds(config, study)
    ]


def _rewinds(config: Config, study: Mapping[str, Any]) -> bool:
    pruning = {**config["pruning"], **study.get("pruning", {})}
    return is_filed(study) or bool(pruning.get("rewind", "weights") == "weights")


def arm_rounds(config: Config, name: str, study: str) -> list[int]:
    """Return the rounds of a study at which an arm is made, in ascending order.

    They are the arm's own `rounds`, or those of `interventions`, as far as the study goes. Of the
    latter, round 0 is left out for all masks but IMP's: see `not_applicable`.
    """
    if study not in arm_studies(config, name):
        return []
    entry = config["arms"][name]
    shared = config.get("interventions", {}).get("rounds", [])
    wanted = entry.get("rounds", [own for own in shared if own or entry["mask"] == "imp"])
    there = set(round_numbers(config, study))
    return sorted(number for number in wanted if number in there)


def arms_of_all(config: Config, study: str) -> list[str]:
    """Return the arms of a study that `all` asks for: those of fully connected networks.

    Convolutional arms are a target of their own, `conv_arms`.
    """
    return [] if is_convolutional(study_spec(config, study)) else list(recipes(config))


def not_applicable(config: Config) -> list[tuple[str, int, str]]:
    """Return (study, round, arm) where `interventions` asks for an arm that cannot exist.

    At round 0 every weight is kept, and no other mask keeps as many.
    """
    if 0 not in config.get("interventions", {}).get("rounds", []):
        return []
    return [
        (study, 0, name)
        for name, entry in recipes(config).items()
        if config["arms"][name]["mask"] != "imp" and "rounds" not in config["arms"][name]
        for study in arm_studies(config, name)
    ]


def arm_seeds(config: Config, name: str, study: str) -> list[int]:
    """Return the seeds of a study for which an arm is made.

    They are the arm's own `seeds`, or those of `interventions`, as far as the study has them, or
    all.
    """
    seeds = config["studies"][study]["seeds"]
    default = config.get("interventions", {}).get("seeds", seeds)
    wanted = config["arms"][name].get("seeds", default)
    return [seed for seed in seeds if seed in wanted]


def donor_seed(config: Config, seed: int) -> int:
    """Return the seed of the chain that lends its masks to the arms of `seed`.

    It is `seed` plus the config's `donor_offset`, modulo its `donor_modulo` if it has one.
    """
    places = config.get("interventions", {})
    donor = seed + int(places.get("donor_offset", DONOR_OFFSET))
    return donor % places["donor_modulo"] if "donor_modulo" in places else donor


def problems(config: Config) -> Iterator[str]:
    """Yield what the schema cannot say about arms, one line per problem."""
    places = [("interventions", config.get("interventions", {})), *_entries(config)]
    unknown = [line for place, entry in places for line in _unknown_studies(config, place, entry)]
    if unknown:
        yield from unknown
        return
    for name in recipes(config):
        yield from arm_problems(config, name)
    yield from _problems_of_inheriting(config)
    yield from _contrast_problems(config)
    for experiment, entry in config.get("experiments", {}).items():
        yield from _experiment_problems(config, f"experiments.{experiment}", entry)


def _problems_of_inheriting(config: Config) -> Iterator[str]:
    """Yield studies whose tickets start from trained weights, and have arms."""
    for study, entry in config["studies"].items():
        made = [name for name in recipes(config) if arm_rounds(config, name, study)]
        if made and not _rewinds(config, entry):
            rewind = study_spec(config, study).pruning.rewind
            yield (
                f"studies.{study}: pruning.rewind is {rewind!r}, and it has arms ({made[0]}, "
                f"{len(made)} in all): its tickets start from trained weights, which no initial "
                "weights rival; allowed: other studies in interventions.studies and arms.*.studies"
            )


def _experiment_problems(config: Config, where: str, entry: Mapping[str, Any]) -> Iterator[str]:
    """Yield names in an experiment that nothing defines."""
    names = [("study", entry["study"], config["studies"])]
    names += [("arms", name, config["arms"]) for name in entry["arms"]]
    for key, name, known in names:
        if name not in known:
            hint = did_you_mean(name, known)
            yield f"{where}.{key} has {name!r}, which is not defined{hint}"


def shown_arms(config: Config, experiment: str) -> list[str]:
    """Return the arms of an experiment that are made in its study, at its round if it has one.

    `imp` is always made. Without the experiment in the config there are none.
    """
    entry = config.get("experiments", {}).get(experiment)
    if entry is None:
        return []

    def is_made(name: str) -> bool:
        made_in = arm_rounds(config, name, entry["study"])
        return name == "imp" or (entry["round"] in made_in if "round" in entry else bool(made_in))

    return [name for name in entry["arms"] if is_made(name)]


def arm_labels(config: Config, names: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return what figures need to know of arms, by name.

    `title`, `mask`, `law` (of weights) and `network`: "smaller" where the arm is a smaller network.
    """
    labels = {}
    for name in names:
        entry = config["arms"][name]
        labels[name] = {
            "title": entry.get("title", "IMP ticket" if name == "imp" else name),
            "mask": entry["mask"],
            "law": f"{entry['weights']} {entry.get('sigma_w', '')}".strip(),
            "network": "smaller" if entry["mask"] == SMALL else "same",
        }
    return labels


def arm_problems(config: Config, name: str) -> Iterator[str]:
    """Yield why one arm does not make sense, or not in a study that it is made in."""
    arm = Arm.from_config(config["arms"][name])
    yield from _recipe_problems(name, arm)
    for study in arm_studies(config, name):
        if arm_rounds(config, name, study):
            yield from _study_problems(config, name, arm, study)


def _contrast_problems(config: Config) -> Iterator[str]:
    """Yield planned contrasts that could not be looked at."""
    plan = config.get("contrasts", {"arms": [], "round": 0})
    for name in plan["arms"]:
        if name not in recipes(config):
            hint = did_you_mean(name, recipes(config))
            yield (
                f"contrasts.arms has {name!r}, which is no arm to compare with imp (defined: "
                f"{', '.join(recipes(config)) or 'none'}){hint}"
            )
            return
    made = {
        name: {number for study in config["studies"] for number in arm_rounds(config, name, study)}
        for name in recipes(config)
    }
    unseen = [name for name in plan["arms"] if made[name] and plan["round"] not in made[name]]
    if unseen:
        yield (
            f"contrasts.round is {plan['round']}, at which arm {unseen[0]!r} is not made; allowed: "
            f"{', '.join(map(str, sorted(made[unseen[0]])))}"
        )


def _entries(config: Config) -> list[tuple[str, Mapping[str, Any]]]:
    return [(f"arms.{name}", entry) for name, entry in config["arms"].items()]


def _unknown_studies(config: Config, place: str, entry: Mapping[str, Any]) -> Iterator[str]:
    for study in entry.get("studies", ()):
        if study not in config["studies"]:
            hint = did_you_mean(study, config["studies"])
            yield (
                f"{place}.studies has {study!r}, which studies does not define (defined: "
                f"{', '.join(config['studies'])}){hint}"
            )


def _recipe_problems(name: str, arm: Arm) -> Iterator[str]:
    """Yield what is wrong with a recipe wherever it is made."""
    if replace(arm, sparse_below=None) == Arm("imp", "rewind"):
        yield f"arms.{name} is {{mask: imp, weights: rewind}}, the IMP ticket itself; allowed: imp"
    heeded = {name: properties(entry).options for name, entry in WEIGHTS.items()}
    for option in ("sigma_w", "source_round", "source_state", "signs"):
        is_set = getattr(arm, option) != getattr(Arm("", ""), option)
        if is_set and option not in heeded.get(arm.weights, ()):
            takers = [source for source, options in heeded.items() if option in options]
            yield (
                f"arms.{name}.{option} has no effect with weights {arm.weights!r}; allowed with: "
                f"{', '.join(takers)}"
            )
    if arm.shuffle and arm.mask not in shuffled_names():
        yield (
            f"arms.{name}.shuffle has no effect with mask {arm.mask!r}; allowed with: "
            f"{', '.join(shuffled_names())}"
        )
    if arm.weights == EXACT and arm.mask != EXACT:
        yield (
            f"arms.{name}.weights {EXACT!r} exist on their own masks alone, not on mask "
            f"{arm.mask!r}; allowed: mask {EXACT!r}"
        )
    if arm.weights == "scaled" and arm.sigma_w is None:
        yield f"missing key arms.{name}.sigma_w, which weights 'scaled' needs"


def _study_problems(config: Config, name: str, arm: Arm, study: str) -> Iterator[str]:
    """Yield why an arm does not apply to a study."""
    spec, numbers = study_spec(config, study), arm_rounds(config, name, study)
    where = f"arms.{name} in study {study}"
    pruning = spec.pruning
    if arm.mask != "imp" and 0 in numbers:
        yield f"{where}: mask {arm.mask!r} at round 0, where every weight is kept; allowed: imp"
    if arm.mask == "one-shot" and 1 in numbers and pruning.criterion == "magnitude":
        yield f"{where}: mask 'one-shot' at round 1 is the IMP mask; allowed: rounds from 2"
    if arm.mask == "magnitude-at-init" == pruning.criterion and pruning.scope == "layer":
        yield f"{where}: mask 'magnitude-at-init' is the IMP mask with this pruning.criterion"
    if arm.mask == SMALL and pruning.rewind_epoch:
        yield (
            f"{where}: mask {SMALL!r} with pruning.rewind_epoch {pruning.rewind_epoch}: the small "
            "network has no theta_k; allowed: rewind_epoch 0"
        )
    if arm.weights == "shuffled-values" and not keeps_layers(arm.mask, pruning.scope):
        yield (
            f"{where}: weights 'shuffled-values' need as many places as values in every layer, "
            f"which mask {arm.mask!r} does not keep; allowed: "
            f"{', '.join(mask for mask in MASKS if keeps_layers(mask, pruning.scope))}"
        )
    if arm.mask == EXACT and is_convolutional(spec):
        yield (
            f"{where}: {EXACT!r} is for fully connected networks; list other studies in "
            f"arms.{name}.studies"
        )
    signed = arm.weights in SIGNED or arm.signs == "kept"
    if signed and spec.init.scheme == "orthogonal" and is_convolutional(spec):
        yield (
            f"{where}: weights {arm.weights!r} need a sign for every weight; delta-orthogonal "
            "convolutions are 0 off the kernel's centre; list other studies in "
            f"arms.{name}.studies"
        )
    if arm.biases == "drawn" and spec.init.sigma_b == 0:
        yield f"{where}: biases 'drawn', but sigma_b is 0; allowed: kept"
    if arm.data_order == spec.training.data_order:
        yield (
            f"{where}: data_order {arm.data_order} is the study's own (training.data_order); "
            "allowed: other numbers"
        )
    if arm.sparse_below is not None:
        training = {**asdict(spec.training), "sparse_below": arm.sparse_below}
        if spec.training.device == "auto":
            training["device"] = "cpu"  # where the arm trains, see `tickets.recipe`
        network = asdict(spec.network)
        dense = {**training, "sparse_below": 0.0}
        # What a dense arm could not be either is said of the study.
        of_study = {*training_problems(where, dense, network, off="none")}
        for line in training_problems(where, training, network, off="none"):
            if line not in of_study:
                yield line
    if arm.source_round is not None and arm.source_round > rounds(config, study):
        yield (
            f"{where}: source_round is {arm.source_round}; allowed: at most "
            f"{rounds(config, study)}, the study's last round"
        )
    yield from foreign_files.arm_problems(config, where, study, config["arms"][name], numbers)
    if arm.mask == "imp-other-seed":
        yield from _donor_problems(config, where, arm_seeds(config, name, study))


def _donor_problems(config: Config, where: str, seeds: Sequence[int]) -> Iterator[str]:
    """Yield why the donors of an arm's seeds will not do.

    Donors that wrap may have arms themselves: each chain then lends its mask once and is compared
    once, and over a full circle of seeds what a mask is worth by itself cancels in the mean.
    """
    modulo = config.get("interventions", {}).get("donor_modulo")
    if modulo is not None:
        above = [seed for seed in seeds if seed >= modulo]
        if above:
            yield (
                f"{where}: seed {above[0]} with interventions.donor_modulo {modulo}: two seeds "
                f"could have one donor; allowed: seeds below {modulo}"
            )
        elif any(donor_seed(config, seed) == seed for seed in seeds):
            yield (
                f"{where}: interventions.donor_offset is a multiple of donor_modulo {modulo}: "
                "every seed would be its own donor; allowed: any other"
            )
        return
    inside = sorted({donor_seed(config, seed) for seed in seeds} & set(seeds))
    if inside:
        yield (
            f"{where}: donor seed {inside[0]} has arms itself; allowed: an "
            "interventions.donor_offset that leads outside of the seeds that have arms"
        )
