"""What determines a run: frozen specifications with their defaults, and their canonical JSON.

The spec of a checkpoint says how to make it again: network, initial weights, training, pruning and
the data set's fingerprint. The number of rounds is not part of it, so that adding a round leaves
the rounds that exist untouched. Anything that can change bits is part of it.

Finished files keep their digests: a key that was added later stands in the JSON only where it is
not at its default, and so does a list that says what one number can say.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Real
from typing import Any, cast

LATER: dict[str, tuple[str, ...]] = {
    "network": ("widths",),
    "training": ("precision", "bfloat16_kernel", "data_order"),
    "pruning": ("rewind",),
}
"""Keys by part that were added after files existed: left out of the JSON at their defaults."""
PER_LAYER = {"per_layer": True}
"""Metadata of a key that takes a number, or a list with a number for each hidden layer."""
BFLOAT16_KERNEL = 1
"""The version of docs/precision.md by which new runs in bfloat16 compute."""


def _word(default: str, *others: str) -> Any:
    """Return a key that takes one of a few words.

    Names of registries, to which plugins add, are no such words: they are refused where they are
    looked up, so that a file can be read without the plugin that it was made with.
    """
    return field(default=default, metadata={"words": (default, *others)})


def _coerced(where: str, value: Any, default: Any) -> Any:
    """Give `value` the type of the default: 1 and 1.0 must not make two different specs."""
    if isinstance(default, tuple):
        if isinstance(value, (list, tuple)) and len(value) == len(default):
            return tuple(_coerced(where, item, default[0]) for item in value)
    elif isinstance(default, bool) or isinstance(value, bool):
        if type(value) is type(default):
            return value
    elif isinstance(default, float):
        if _is_finite(value):
            return float(value)
    elif isinstance(default, int):
        if _is_finite(value) and value == int(value):
            return int(value)
    elif isinstance(value, type(default)):
        return value
    allowed = "a finite float" if isinstance(default, float) else f"a {type(default).__name__}"
    raise ValueError(f"spec key {where} is {value!r}; allowed: {allowed}")


def _is_finite(value: Any) -> bool:
    """Whether a number is finite as a float, too: JSON can hold integers of 400 digits."""
    try:
        return isinstance(value, Real) and math.isfinite(value)
    except OverflowError:
        return False


class _Part:
    """One part of a spec: every value takes the type of its key's default.

    Raises ValueError for another type, and for a word that is not one of its key's.
    """

    def __post_init__(self) -> None:
        part = type(self).__name__.removesuffix("Spec").lower()
        for key in dataclasses.fields(cast(Any, self)):
            where, value = f"{part}.{key.name}", getattr(self, key.name)
            if "per_layer" in key.metadata and isinstance(value, (list, tuple)):
                value = tuple(_coerced(where, item, 1) for item in value)
            else:
                value = _coerced(where, value, key.default)
            words = key.metadata.get("words", (value,))
            if value not in words:
                allowed = ", ".join(words)
                raise ValueError(f"spec key {where} is {value!r}; allowed: {allowed}")
            object.__setattr__(self, key.name, value)


@dataclass(frozen=True)
class NetworkSpec(_Part):
    """A network family and its sizes. Kernel, padding and stride concern convolutions only.

    `kernel` and `stride` are numbers, or lists with one for each hidden layer. `widths`, where
    there is one, says the width of each hidden layer; `hidden_layers` and `width` (the largest)
    then follow from it. A list of equal numbers becomes the number: two ways to write one network
    are one spec. Raises ValueError for a list that has not one number for each hidden layer.
    """

    family: str = "fully-connected"
    hidden_layers: int = 8
    width: int = 256
    activation: str = "tanh"
    kernel: int | tuple[int, ...] = field(default=3, metadata=PER_LAYER)
    padding: str = _word("circular", "zeros")
    stride: int | tuple[int, ...] = field(default=1, metadata=PER_LAYER)
    widths: tuple[int, ...] = field(default=(), metadata=PER_LAYER)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.widths:
            object.__setattr__(self, "hidden_layers", len(self.widths))
            object.__setattr__(self, "width", max(self.widths))
            if len(set(self.widths)) == 1:
                object.__setattr__(self, "widths", ())
        for key in ("kernel", "stride"):
            value = getattr(self, key)
            if isinstance(value, int):
                continue
            if len(value) != self.hidden_layers:
                raise ValueError(
                    f"{key} is {list(value)}; allowed: a number, or a list with one for each of "
                    f"the {self.hidden_layers} hidden layers"
                )
            if len(set(value)) == 1:
                object.__setattr__(self, key, value[0])

    @property
    def strides(self) -> tuple[int, ...]:
        """Return the stride of each hidden layer."""
        return self._of_each(self.stride)

    @property
    def kernels(self) -> tuple[int, ...]:
        """Return the side of the kernel of each hidden layer."""
        return self._of_each(self.kernel)

    @property
    def layer_widths(self) -> tuple[int, ...]:
        """Return the neurons or channels of each hidden layer."""
        return self.widths or self._of_each(self.width)

    def _of_each(self, value: int | tuple[int, ...]) -> tuple[int, ...]:
        return (value,) * self.hidden_layers if isinstance(value, int) else value


@dataclass(frozen=True)
class InitSpec(_Part):
    """Initial weights: `sigma_w`, `sigma_b` are standard deviations in mean-field scale."""

    scheme: str = "gaussian"
    sigma_w: float = 1.4
    sigma_b: float = 0.3


@dataclass(frozen=True)
class TrainingSpec(_Part):
    """How a ticket is trained. What can change bits is part of it.

    That is `device`, `kernel`, `threads`, `sparse_below`, `sparse_kernel` and `precision`.
    `data_order` 0 is the seed's own order of the data, every other number another order. With
    precision "bfloat16", `bfloat16_kernel` is the version of its definition (docs/precision.md);
    0 becomes the newest; `threads`, which change none of its bits, are 1 here whatever is given.
    """

    epochs: int = 50
    batch_size: int = 128
    optimizer: str = "sgd"
    learning_rate: float = 0.01
    momentum: float = 0.9
    weight_decay: float = 0.0
    schedule: str = _word("constant", "cosine")
    warmup_epochs: int = 0
    device: str = _word("auto", "cpu", "cuda")
    tf32: bool = False
    kernel: str = "onednn"
    threads: int = 1
    sparse_below: float = 0.0
    sparse_kernel: str = "c"
    precision: str = "float32"
    bfloat16_kernel: int = 0
    data_order: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.precision == "bfloat16":
            object.__setattr__(self, "bfloat16_kernel", self.bfloat16_kernel or BFLOAT16_KERNEL)
            object.__setattr__(self, "threads", 1)


@dataclass(frozen=True)
class PruningSpec(_Part):
    """How a trained network is pruned: the share of the kept weights that one round removes.

    `rewind` says what the next round starts from: "weights" of theta_0, or of theta_k after
    `rewind_epoch` epochs; "schedule": the trained weights, with the whole learning-rate schedule;
    "none": the trained weights, at its final rate.
    """

    rate: float = 0.2
    readout_rate: float = 0.1
    scope: str = _word("layer", "global")
    criterion: str = "magnitude"
    rewind_epoch: int = 0
    rewind: str = _word("weights", "schedule", "none")


@dataclass(frozen=True)
class DatasetSpec(_Part):
    """The prepared data set: its name, fingerprint, image shape (height, width, channels)."""

    name: str = ""
    sha256: str = ""
    shape: tuple[int, int, int] = (32, 32, 3)
    classes: int = 10


PARTS: dict[str, type] = {
    "network": NetworkSpec,
    "init": InitSpec,
    "training": TrainingSpec,
    "pruning": PruningSpec,
    "dataset": DatasetSpec,
}


@dataclass(frozen=True)
class Spec:
    """Everything that determines a checkpoint, apart from study, seed, round and arm."""

    network: NetworkSpec = NetworkSpec()
    init: InitSpec = InitSpec()
    training: TrainingSpec = TrainingSpec()
    pruning: PruningSpec = PruningSpec()
    dataset: DatasetSpec = DatasetSpec()

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> Spec:
        """Build from nested mappings; missing keys take their defaults.

        Raises ValueError for an unknown part or key, or a value of the wrong type.
        """
        unknown = sorted(set(mapping) - set(PARTS))
        if unknown:
            raise ValueError(f"spec has unknown part {unknown[0]!r}; allowed: {sorted(PARTS)}")
        return cls(**{part: _part(part, mapping.get(part, {})) for part in PARTS})

    @classmethod
    def from_json(cls, text: str) -> Spec:
        """Build from canonical JSON. Raises ValueError if it is not valid."""
        try:
            parsed = json.loads(text)
        except RecursionError as error:
            raise ValueError("spec is nested too deeply") from error
        if not isinstance(parsed, dict):
            raise ValueError("spec is not a JSON object")
        return cls.from_mapping(parsed)

    def to_json(self) -> str:
        """Return canonical JSON: sorted, no white space; keys of `LATER` unless at default."""
        parts = dataclasses.asdict(self)
        for part, keys in LATER.items():
            for key in keys:
                if parts[part][key] == getattr(PARTS[part], key):
                    del parts[part][key]
        return json.dumps(parts, sort_keys=True, separators=(",", ":"))

    @property
    def sha256(self) -> str:
        """Return the SHA-256 of the canonical JSON."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def of_round(self, number: int) -> Spec:
        """Return what of the spec can reach a file of the main chain's round `number`.

        Nothing is pruned before round 1: of `pruning`, round 0 has `rewind_epoch` alone.
        """
        if number:
            return self
        return self.replace(pruning=PruningSpec(rewind_epoch=self.pruning.rewind_epoch))

    def replace(self, **parts: Any) -> Spec:
        """Return a copy with some parts replaced."""
        return dataclasses.replace(self, **parts)


def _part(name: str, values: Any) -> Any:
    if not isinstance(values, Mapping):
        raise ValueError(f"spec part {name!r} is {values!r}; allowed: a mapping")
    fields = {key.name for key in dataclasses.fields(PARTS[name])}
    unknown = sorted(set(values) - fields)
    if unknown:
        raise ValueError(f"spec has unknown key {name}.{unknown[0]}; allowed: {sorted(fields)}")
    return PARTS[name](**values)
