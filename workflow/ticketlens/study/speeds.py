"""What one CPU core takes for a step and an evaluation, in float32 and bfloat16, dense and sparse.

Time is counted in multiply-adds of a reference product, two float32 matrices of 768 × 768 by
NumPy's BLAS: most of what a training does is bound by the same units, so that counts travel between
machines better than seconds. `measured` times the product on the machine at hand. What a machine
has of AMX and AVX-512 decides how long bfloat16 takes: `way` is what the kernels' own function
chooses (`training.ways`).

Constants: medians on a two-core Intel Xeon with AMX and AVX-512, its other core busy, PyTorch 2.13,
batches of 128, rounds 0, 4, 7, 10 and 15, widths 64 to 1024; ways other than AMX against float32
there, AVX512-BF16 against AVX-512 on an AMD EPYC. `benchmarks/check_cost.py` compares them with
measured steps, and `calibration` takes what it finds on another machine into account.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from statistics import median

import numpy as np

from ticketlens.architecture import is_convolutional, layer_shapes
from ticketlens.spec import Spec

SIDE = 768
"""Rows and columns of the reference product."""


@dataclass(frozen=True)
class Machine:
    """A core: the way that computes bfloat16, and multiply-adds a second of the reference product.

    `is_measured` says whether the product was timed here. `corrections`: kind of step (`step_kind`)
    → what it takes here, over what the constants say; 1 where there is none.
    """

    way: str = "amx"
    product: float = 6.5e10
    is_measured: bool = False
    corrections: Mapping[str, float] = field(default_factory=dict, hash=False)


REFERENCE = Machine()
"""The machine of the constants below, and of the numbers in the documents."""


@dataclass(frozen=True)
class Speed:
    """What layers take, all in multiply-adds of the reference product.

    product: for each multiply-add; small maps take more, by 1 + `small` / pixels.
    element, evaluated: for each activation of a step, and of an evaluation.
    """

    product: float
    element: float
    evaluated: float
    small: float = 0.0


STEP = {"linear": 1.3e8, "conv": 1.3e8, "linear, bfloat16": 5.5e7}
"""For a step, whatever its size."""
WEIGHT = 130.0
"""For each weight that a step updates."""
LINEAR = Speed(1.0, 270, 270)
ATEN = 1.5
"""A product with kernel `aten`, over one with `onednn`; on Intel's CPUs they take the same."""
CONVOLUTIONS = {
    "onednn": Speed(0.8, 720, 180, small=70),
    "onednn-channels-last": Speed(0.55, 500, 180, small=30),
    "skips": Speed(0.8, 1360, 180, small=70),
}
"""Float32, by kernel; networks with skips have one of their own. Evaluation is that of `onednn`."""
SPARSE = {"linear": Speed(2.5, 45, 45), "conv": Speed(1.5, 500, 220)}
"""The same for each weight that is kept."""
FINAL_SPARSE_BELOW = 0.55
"""Density of convolutions below which a bfloat16 training's final evaluations are sparse; that of
`training.evaluation`, which reads torch."""
BFLOAT16_LINEAR = {
    "amx": Speed(0.12, 150, 300),
    "avx512bf16": Speed(0.45, 270, 280),
    "avx512": Speed(1.1, 600, 400),
    "avx2": Speed(3.1, 1000, 800),
    "plain": Speed(58.0, 6000, 6000),
}
"""Linear layers in bfloat16, by way."""
BFLOAT16 = {
    "amx": Speed(0.07, 190, 72, small=100),
    "avx512bf16": Speed(0.40, 160, 65, small=70),
    "avx512": Speed(0.78, 230, 100, small=70),
    "avx2": Speed(2.4, 450, 150, small=70),
    "plain": Speed(48.0, 4500, 1500, small=70),
}
"""Convolutions in bfloat16, by way."""


def measured(way: str, repeats: int = 9) -> Machine:
    """Return this machine, after `repeats` reference products: a tenth of a second."""
    rng = np.random.default_rng(0)
    one, two = (rng.standard_normal((SIDE, SIDE), dtype=np.float32) for _ in range(2))
    seconds = []
    for _ in range(repeats + 2):
        start = time.process_time()
        one @ two
        seconds.append(time.process_time() - start)
    return Machine(way, SIDE**3 / max(median(seconds[2:]), 1e-6), True)


@dataclass(frozen=True)
class Work:
    """What one image costs in one layer: multiply-adds of its forward pass, dense, and outputs."""

    multiply_adds: int
    outputs: int
    pixels: int
    weights: int


def works(spec: Spec) -> list[Work]:
    """Return the work of every layer, in forward order."""
    height, width, _ = spec.dataset.shape
    of_layers = []
    for layer in layer_shapes(spec):
        if layer.kind == "conv":
            height, width = (-(-side // layer.stride) for side in (height, width))
        pixels = height * width if layer.kind == "conv" else 1
        weights = prod(layer.shape)
        of_layers.append(Work(weights * pixels, layer.shape[0] * pixels, pixels, weights))
    return of_layers


def step_seconds(
    spec: Spec, densities: Sequence[float], machine: Machine = REFERENCE, images: int | None = None
) -> float:
    """Return the core-seconds of one training step on `images` (None: a batch).

    Three products for each layer, less the first one's gradient by the images, which nobody asks
    for. `densities`, one per layer, count where layers train sparse.
    """
    batch = spec.training.batch_size if images is None else images
    is_short = spec.training.precision == "bfloat16" and not is_convolutional(spec)
    cost = STEP["linear, bfloat16" if is_short else "conv" if is_convolutional(spec) else "linear"]
    for number, (work, density) in enumerate(zip(works(spec), densities, strict=True)):
        speed, kept = _speed(spec, work, densities, density, machine.way)
        each = speed.product * (1 + speed.small / work.pixels) * kept * work.multiply_adds
        cost += batch * ((3 if number else 2) * each + speed.element * work.outputs)
        cost += WEIGHT * kept * work.weights
    return cost / machine.product * _correction(machine, spec, densities)


def image_seconds(
    spec: Spec,
    densities: Sequence[float],
    machine: Machine = REFERENCE,
    is_final: bool = False,
) -> float:
    """Return the core-seconds of evaluating one image; final evaluations are in float32."""
    cost = 0.0
    for work, density in zip(works(spec), densities, strict=True):
        speed, kept = _speed(spec, work, densities, density, machine.way, True, is_final)
        each = speed.product * (1 + speed.small / work.pixels) * kept * work.multiply_adds
        cost += each + speed.evaluated * work.outputs
    return cost / machine.product * _correction(machine, spec, densities, is_final)


def _correction(
    machine: Machine, spec: Spec, densities: Sequence[float], is_final: bool = False
) -> float:
    """Return a machine's factor for a network's steps. Without any their kind is not asked for."""
    if not machine.corrections:
        return 1.0
    return machine.corrections.get(step_kind(spec, densities, is_final), 1.0)


def step_kind(spec: Spec, densities: Sequence[float], is_final: bool = False) -> str:
    """Return what decides how the constants carry over to another machine.

    "linear" or "conv", and ", bfloat16" or, where some layers train sparse, ", sparse".
    """
    speeds = [
        _speed(spec, work, densities, density, REFERENCE.way, is_final, is_final)[0]
        for work, density in zip(works(spec), densities, strict=True)
    ]
    name = "conv" if is_convolutional(spec) else "linear"
    if BFLOAT16["amx"] in speeds or BFLOAT16_LINEAR["amx"] in speeds:
        return f"{name}, bfloat16"
    return f"{name}, sparse" if SPARSE[name] in speeds else name


def _speed(
    spec: Spec,
    work: Work,
    densities: Sequence[float],
    density: float,
    way: str,
    is_evaluated: bool = False,
    is_final: bool = False,
) -> tuple[Speed, float]:
    """Return the speed of a layer, and the share of its multiply-adds that it computes."""
    training = spec.training
    if not is_convolutional(spec):
        if training.precision == "bfloat16" and not is_final:
            return BFLOAT16_LINEAR[way], 1.0
        if density < training.sparse_below:
            return SPARSE["linear"], density
        factor = ATEN if training.kernel == "aten" else 1.0
        return Speed(factor * LINEAR.product, LINEAR.element, LINEAR.evaluated), 1.0
    if training.precision == "bfloat16" and not is_final:
        return BFLOAT16[way], 1.0
    # Convolutions are sparse together, by their density together.
    hidden = works(spec)[:-1]
    weights = sum(layer.weights for layer in hidden)
    kept = sum(layer.weights * d for layer, d in zip(hidden, densities, strict=False)) / weights
    below = FINAL_SPARSE_BELOW if training.precision == "bfloat16" else training.sparse_below
    if kept < below and work.pixels > 1:
        return SPARSE["conv"], density
    if spec.network.family == "resnet-conv":
        return CONVOLUTIONS["skips"], 1.0
    return CONVOLUTIONS["onednn" if is_evaluated else _kernel(training.kernel)], 1.0


def _kernel(name: str) -> str:
    return name if name in CONVOLUTIONS else "onednn"
