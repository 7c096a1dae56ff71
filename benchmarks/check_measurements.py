"""Measurements of tickets and trained networks against what `snakemake cost` counts for them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib import import_module
from itertools import product
from statistics import median
from typing import Any

from measuring import table  # sets the library's path

# isort: split
import numpy as np
import torch

from ticketlens.checkpoint import Checkpoint
from ticketlens.spec import NetworkSpec
from ticketlens.study.calibration import MEASUREMENTS_KEY, corrections
from ticketlens.study.catalogue.measurements import MEASUREMENTS
from ticketlens.study.cost import measurement_kind, measurement_seconds
from ticketlens.study.speeds import REFERENCE, SIDE, Machine
from training_step import ticket

IMAGES = {"images": 500, "ladder_images": 200, "spectrum_images": 4, "isometry_images": 100}
CONV_IMAGES = {"images": 50, "ladder_images": 50, "spectrum_images": 4, "isometry_images": 4}
VALIDATION = 5_000
ROUND = 7
Case = tuple[NetworkSpec, Mapping[str, int], tuple[str, ...]]
DENSE = ("signal", "weights", "degrees", "ladder", "jacobian", "gradients", "ntk", "change")
CONV = ("signal_conv", "weights", "ladder", "jacobian_conv", "gradients_conv", "ntk_conv")
CASES: dict[str, Case] = {
    "8 x 256": (NetworkSpec(), IMAGES, DENSE),
    "8 x 64": (NetworkSpec(width=64), IMAGES, DENSE),
    "8 x 1024": (NetworkSpec(width=1024), IMAGES, DENSE),
    "convnet": (
        NetworkSpec("convolutional", width=128, stride=(1, 2, 2, 1, 1, 1, 1, 1)), CONV_IMAGES, CONV
    ),
    "resnet-conv": (
        NetworkSpec("resnet-conv", hidden_layers=9, width=64), CONV_IMAGES, ("gradients_conv",)
    ),
}  # fmt: skip
QUICK: dict[str, Case] = {"narrow": (NetworkSpec(hidden_layers=2, width=16), IMAGES, DENSE)}


def trained(own: Checkpoint) -> Checkpoint:
    """A ticket whose kept weights have moved by a third of their size, as training moves them."""
    rng = np.random.default_rng(1)
    moved = tuple(
        replace(
            layer,
            weight=layer.weight
            + layer.mask
            * (0.3 * layer.weight.std() * rng.standard_normal(layer.weight.shape)).astype(
                np.float32
            ),
        )
        for layer in own.layers
    )
    return replace(own, kind="trained", layers=moved)


def job(
    kind: str, of: Checkpoint, start: Checkpoint, counts: Mapping[str, int]
) -> Callable[[], object]:
    """One measurement of a checkpoint on random images."""
    entry = MEASUREMENTS[kind]
    module, _, name = entry.function.partition(":")
    measure = getattr(import_module(module), name)
    rng = np.random.default_rng(0)
    given: dict[str, Any] = {}
    for argument, key in entry.images.items():
        count = counts.get(str(key), VALIDATION)
        given[argument] = rng.standard_normal((count, 3, 32, 32), dtype=np.float32)
        if entry.with_labels:
            given["labels"] = np.arange(count) % 10
    if entry.with_ticket:
        given["ticket"] = start
    return lambda: measure(of, **given)


def measure(quick: bool = False) -> tuple[dict[str, Any], str]:
    """Values for latest.json, and a table: counted over measured, by network and kind.

    A reference product before and after each job says how fast the machine is meanwhile.
    """
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    one, two = (rng.standard_normal((SIDE, SIDE), dtype=np.float32) for _ in range(2))

    def products() -> list[float]:
        found = []
        for _ in range(5):
            start = time.thread_time()
            one @ two
            found.append(time.thread_time() - start)
        return found

    rows, values, ratios = [], {}, []
    for name, (network, counts, kinds) in (QUICK if quick else CASES).items():
        start = ticket(1 if quick else ROUND, network)
        for kind, state in product(kinds, ("init", "trained")):
            if MEASUREMENTS[kind].state not in ("both", state):
                continue
            own = start if state == "init" else trained(start)
            run = job(kind, own, start, counts)
            before = products()
            began = time.thread_time()
            run()
            seconds = time.thread_time() - began
            machine = Machine("amx", SIDE**3 / median(before + products()), True)
            plain = kind.removesuffix("_conv")
            counted = measurement_seconds(own.spec, plain, counts, machine, state, start_up=False)
            ratio = values.setdefault(name, {}).setdefault(plain, {})[state] = counted / seconds
            ratios.append((measurement_kind(own.spec, plain, state), ratio))
            rows.append(
                {"network": name, "kind": plain, "state": state, "s": seconds,
                 "at the documents' speed": seconds * machine.product / REFERENCE.product,
                 "counted": counted, "counted over measured": ratio}
            )  # fmt: skip
    found = {} if quick else corrections(ratios)
    return {"measurement_cost_over_measured": values, MEASUREMENTS_KEY: found}, table(rows)
