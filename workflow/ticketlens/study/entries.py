"""Which entries of registries a job uses: those that its spec, its arm and its data set name.

The rerun trigger counts these and no others (see `jobs.fingerprint`), so that an appended family,
criterion or source reruns nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ticketlens.architecture import is_convolutional
from ticketlens.spec import Spec
from ticketlens.tickets.recipe import Arm

Entries = Mapping[str, frozenset[str]]
"""Names of entries by name of the registry."""

IMP = Arm("imp", "rewind")


def entries(
    specs: Mapping[str, Spec],
    arms: Mapping[str, Arm],
    data_source: str,
    study: str | None = None,
    arm: str | None = None,
) -> Entries:
    """Return the entries that a job of one study and arm uses; of all where it has none.

    `specs` are the studies', `arms` the recipes of all arms but `imp`.
    """
    own_specs = list(specs.values()) if study is None else [specs[study]]
    own_arms = [IMP, *arms.values()] if arm is None else [arms.get(arm, IMP)]
    networks = [spec.network for spec in own_specs]
    masks = _names(arm.mask for arm in own_arms)
    return {
        "WRITTEN_OUT": _names([*map(_chain, own_specs), *map(_compressed, own_specs)]),
        "COMPRESSED": _names(map(_compressed, own_specs)),
        "GATHER": _names(map(_compressed, own_specs)),
        "FINAL_NETWORK": _names(map(_compressed, own_specs)),
        "FAMILIES": _names(network.family for network in networks),
        "ACTIVATIONS": _names(network.activation for network in networks),
        "SCHEMES": _names(spec.init.scheme for spec in own_specs),
        "ARITHMETIC": _names(spec.training.precision for spec in own_specs),
        "OPTIMIZERS": _names(spec.training.optimizer for spec in own_specs),
        "KERNELS": _names(spec.training.kernel for spec in own_specs),
        "CRITERIA": _names(spec.pruning.criterion for spec in own_specs),
        # A saliency is none of MASKS; a registry without the names that count counts as a whole.
        "MASKS": masks | {"imp"},
        "SCORES": masks,
        "WEIGHTS": _names(arm.weights for arm in own_arms),
        "SOURCES": frozenset([data_source]),
    }


def _chain(spec: Spec) -> str:
    """Return what `training.step` calls the kind of the hidden layers."""
    return "convolutions" if is_convolutional(spec) else "linear-layers"


def _compressed(spec: Spec) -> str:
    """Return what `training.sparse` calls what it compresses, whether or not the study does."""
    return f"sparse-{_chain(spec)}"


def _names(values: Iterable[str]) -> frozenset[str]:
    return frozenset(values)
