"""What rules need besides paths: patterns of names, and what a training demands of a machine."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from ticketlens.architecture import READOUT, is_convolutional, layer_shapes
from ticketlens.files import idx
from ticketlens.files.image_folder import images_digest
from ticketlens.files.sources import PUBLISHED
from ticketlens.spec import Spec


def any_of(names: Iterable[str]) -> str:
    """Return a regular expression that matches exactly these names (nothing if there are none)."""
    return "|".join(names) or "(?!)"


def any_arm_of(names: Collection[str], arms: Collection[str]) -> str:
    """Return the same for arms; `arms` are those of the config, others cells of the factorial.

    Cells share a prefix: most matches fail at its letter.
    """
    cells = [name.removeprefix("f-") for name in names if name not in arms]
    own = any_of(name for name in names if name in arms)
    return f"{own}|f-(?:{any_of(cells)})" if cells else own


def memory_to_train(spec: Spec) -> int:
    """Return the memory of one training in MB: data and PyTorch, and activations of channels."""
    if not is_convolutional(spec):
        return 2500
    return 2500 + 30 * max(shape.shape[0] for shape in layer_shapes(spec) if shape.name != READOUT)


def minutes_to_train(spec: Spec) -> int:
    """Return the time limit of one training on a cluster; a GPU is assumed for convolutions."""
    return 240 if is_convolutional(spec) else 60


def source_digest(dataset: Mapping[str, Any]) -> str:
    """Return a digest of the images or their archive of the config's `dataset`; "" if not there."""
    path, source = dataset["path"], dataset["source"]
    if not os.path.exists(path) or source in PUBLISHED:
        return ""
    return idx.digest(path) if source == "idx" else images_digest(path)
