"""What rules need besides paths: rerun triggers, patterns of names, needs of a training."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import cache
from typing import Any

from ticketlens.architecture import READOUT, is_convolutional, layer_shapes
from ticketlens.files import idx
from ticketlens.files.image_folder import DatasetError, images_digest
from ticketlens.files.sources import PUBLISHED
from ticketlens.spec import Spec
from ticketlens.study.catalogue.kinds import Networks
from ticketlens.study.catalogue.tables import made_as
from ticketlens.study.entries import Entries, entries
from ticketlens.study.plan import Plan

Wildcards = Mapping[str, str]

TARGETS: dict[str, tuple[Networks, str]] = {
    "fcnet": ("dense", "fully connected"),
    "convnet": ("conv", "convolutional"),
    "resnet": ("blocks", "residual"),
}
"""Targets that train the chains of one kind of network, and the kind in words."""


class Code:
    """Params functions: the digest of a script and of what it reaches, the trigger of a rerun.

    `fingerprint` makes it (see `jobs.fingerprint.Fingerprints`). Registries count by the entries
    that the study's spec and the arm name, all of them where a job has no study or arm.
    """

    def __init__(self, plan: Plan, fingerprint: Callable[[str, Entries], str]) -> None:
        self.plan, self.fingerprint = plan, fingerprint
        self.entries = cache(self._entries)

    def __call__(
        self, script: str, of_study: str | None = None, **chosen: list[str]
    ) -> Callable[[Wildcards], str]:
        """Return the function of a script; `chosen` are its entries of the catalogue.

        An entry "{table}" is that of the table that the wildcards name. `of_study` is the study of
        a rule without wildcards.
        """

        @cache
        def digest(study: str | None, arm: str | None, table: str | None) -> str:
            named = {"{table}": made_as(table)} if table else {}
            of_catalogue = {
                registry: frozenset(named.get(key, key) for key in keys)
                for registry, keys in chosen.items()
            }
            return self.fingerprint(script, {**self.entries(study, arm), **of_catalogue})

        if of_study is not None:
            return lambda wildcards: digest(of_study, None, None)
        return lambda wildcards: digest(*map(wildcards.get, ("study", "arm", "table")))

    def _entries(self, study: str | None, arm: str | None) -> Entries:
        source = self.plan.config["dataset"]["source"]
        return entries(self.plan.specs, self.plan.all_arms, source, study, arm)


def any_of(names: Iterable[str]) -> str:
    """Return a regular expression that matches exactly these names (nothing if there are none)."""
    return "|".join(names) or "(?!)"


def any_arm_of(names: Collection[str], arms: Collection[str]) -> str:
    """Return the same for arms; `arms` are those of the config, others cells of the factorial.

    Cells share a prefix: most matches fail at its letter.
    """
    cells = [name.removeprefix("f-") for name in names if name not in arms]
    arms_of_config = any_of(name for name in names if name in arms)
    return f"{arms_of_config}|f-(?:{any_of(cells)})" if cells else arms_of_config


def memory_to_train(spec: Spec) -> int:
    """Return the memory of one training in MB: data and PyTorch, and activations of channels."""
    if not is_convolutional(spec):
        return 2500
    return 1500 + 15 * max(shape.shape[0] for shape in layer_shapes(spec) if shape.name != READOUT)


def minutes_to_train(spec: Spec) -> int:
    """Return the time limit of one training on a cluster; a GPU is assumed for convolutions."""
    return 240 if is_convolutional(spec) else 60


def source_digest(dataset: Mapping[str, Any]) -> str:
    """Return a digest of the images or their archive of the config's `dataset`; "" if not there.

    Of images that cannot be listed, what is wrong with them: the job that prepares them says it.
    """
    path, source = dataset["path"], dataset["source"]
    if not os.path.exists(path) or source in PUBLISHED:
        return ""
    try:
        return idx.digest(path) if source == "idx" else images_digest(path)
    except DatasetError as error:
        return str(error)
