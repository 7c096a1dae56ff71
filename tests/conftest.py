"""Small fixtures that tests share: generated images, a tiny prepared data set, tickets made for it.

Nothing here needs a network or a real data set. Property tests are deterministic by default, so
that a failure is a change; `pytest --hypothesis-profile explore` looks further.
"""

from __future__ import annotations

import os
import sys

# Before any library starts its threads: tests run side by side, one thread each.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from core_tools import write_images
from ticketlens.checkpoint import Checkpoint, Layer
from ticketlens.files.dataset import PreparedDataset, prepare
from ticketlens.spec import Spec
from ticketlens.tickets.initialization import initial_layers
from ticketlens.tickets.random_weights import rewind

QUIET = (HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large)
settings.register_profile(
    "ticketlens", deadline=None, derandomize=True, max_examples=25, suppress_health_check=QUIET
)
settings.register_profile("explore", deadline=None, max_examples=500, suppress_health_check=QUIET)
settings.load_profile("ticketlens")

TINY: dict[str, dict[str, Any]] = {
    "network": {"hidden_layers": 2, "width": 8},
    "training": {
        "epochs": 3,
        "batch_size": 16,
        "learning_rate": 0.05,
        "device": "cpu",
        "kernel": "aten",
    },
}


@pytest.fixture(autouse=True)
def figures_are_closed() -> Iterator[None]:
    """Leave no figure open: matplotlib warns from the 21st on, whichever test that is."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20260101)


@pytest.fixture(scope="session")
def image_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of 3 classes, 40 train and 8 test images each. Read only."""
    return write_images(tmp_path_factory.mktemp("images") / "tiny", train=40, test=8)


@pytest.fixture(scope="session")
def prepared(image_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    """Return the tiny prepared data set: 96 train, 24 validation, 24 test images. Read only."""
    path = tmp_path_factory.mktemp("prepared") / "tiny.h5"
    return prepare(path, "tiny", "folder", image_folder, validation=24)


@pytest.fixture(scope="session")
def make_spec(prepared: PreparedDataset) -> Callable[..., Spec]:
    """Return a function from parts, e.g. training={"epochs": 2}, to a tiny spec."""

    def make(**parts: dict[str, Any]) -> Spec:
        names = {*TINY, *parts}
        mapping = {name: {**TINY.get(name, {}), **parts.get(name, {})} for name in names}
        return Spec.from_mapping(mapping).replace(dataset=prepared.spec)

    return make


@pytest.fixture(scope="session")
def make_ticket(make_spec: Callable[..., Spec]) -> Callable[..., Checkpoint]:
    """Return a function that makes a ticket on a random mask of about the given density."""

    def make(
        density: float = 1.0,
        seed: int = 0,
        round_: int = 0,
        arm: str = "imp",
        study: str = "tiny-normal",
        **parts: dict[str, Any],
    ) -> Checkpoint:
        spec = make_spec(**parts)
        layers = initial_layers(spec, seed)
        if density < 1:
            rng = np.random.default_rng(seed)
            layers = rewind([rng.random(layer.mask.shape) < density for layer in layers], layers)
        return Checkpoint("ticket", study, seed, round_, arm, spec, layers)

    return make


@pytest.fixture(scope="session")
def make_trained() -> Callable[[Checkpoint], Checkpoint]:
    """Return a function that makes a trained network of a ticket, without any training."""

    def make(ticket: Checkpoint, seed: int = 0) -> Checkpoint:
        rng = np.random.default_rng(seed)

        def moved(layer: Layer) -> Layer:
            step = rng.normal(0, 0.1, layer.weight.shape).astype(np.float32)
            weight = np.where(layer.mask, layer.weight + step, np.float32(0))
            return replace(layer, weight=weight, bias=layer.bias + np.float32(0.01))

        layers = tuple(moved(layer) for layer in ticket.layers)
        epochs = ticket.spec.training.epochs
        curves = ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy")
        history = {name: rng.random(epochs) for name in curves}
        for part in ("train", "validation", "test"):
            for suffix in ("", "_best_validation"):
                for quantity in ("loss", "accuracy"):
                    history[f"final_{part}_{quantity}{suffix}"] = np.asarray(rng.random())
        history |= {f"untrained_{name}": np.asarray(rng.random()) for name in ("loss", "accuracy")}
        history |= {"best_epoch": np.asarray(1.0), "diverged": np.asarray(0.0)}
        best = tuple((layer.weight, layer.bias) for layer in ticket.layers)
        return replace(ticket, kind="trained", layers=layers, history=history, best_validation=best)

    return make
