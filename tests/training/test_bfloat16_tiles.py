"""What is laid out for AMX, with tiles written in C, where a CPU has AVX512-BF16."""

from __future__ import annotations

import ctypes
from dataclasses import replace

import pytest
import torch

from ticketlens.checkpoint import Checkpoint
from ticketlens.networks import build
from ticketlens.spec import DatasetSpec, NetworkSpec, Spec
from ticketlens.tickets.initialization import initial_layers
from ticketlens.training import (
    bfloat16,
    bfloat16_convnet,
    bfloat16_fcnet,
    bfloat16_library,
    compiled,
    ways,
)
from workflow_tools import REPOSITORY

pytestmark = pytest.mark.skipif(
    "avx512bf16" not in ways.available(), reason="this machine lacks avx512bf16"
)
STRIDES = (1, 2, 2, 1)
CONVOLUTIONAL = NetworkSpec("convolutional", hidden_layers=4, width=40, stride=STRIDES)
NETWORKS = {
    "circular, strides": (CONVOLUTIONAL, (32, 32, 3), 3),
    "zeros, strides": (replace(CONVOLUTIONAL, padding="zeros"), (19, 64, 3), 2),
    "zeros, kernel 5": (replace(CONVOLUTIONAL, padding="zeros", kernel=5, stride=1), (9, 32, 1), 2),
    "small maps": (CONVOLUTIONAL, (8, 8, 3), 9),
    "residual": (NetworkSpec("resnet-conv", hidden_layers=5, width=33), (16, 16, 3), 4),
    "fully connected": (NetworkSpec(hidden_layers=3, width=70), (8, 8, 3), 45),
    "residual, fully connected": (NetworkSpec("resnet-fc", 5, 40), (8, 8, 3), 33),
}


@pytest.fixture(scope="module")
def tiles() -> ctypes.CDLL:
    header = REPOSITORY / "tests/tools/tiles_in_c.h"
    found = compiled.library(
        bfloat16_library.SOURCE, (*ways.flags("amx"), "-include", str(header)),
        (*bfloat16_library.HEADERS, header),
    )  # fmt: skip
    return bfloat16_library.declared(found)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("name", NETWORKS)
def test_layouts_for_tiles_have_the_bits_of_the_other_ways(
    name: str, threads: int, tiles: ctypes.CDLL, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, shape, count = NETWORKS[name]
    spec = Spec(dataset=DatasetSpec("synthetic", shape=shape), network=network)
    model = build(Checkpoint("ticket", "", 0, 0, "imp", spec, initial_layers(spec, 0)), "onednn",
                  masked=False)  # fmt: skip
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(count, shape[2], *shape[:2], generator=generator)
    labels = torch.randint(0, 10, (count,), generator=generator)

    def computed(threads: int) -> list[torch.Tensor]:
        own = bfloat16.network(model, "avx512bf16")
        own.share_among(threads)
        loss, logits, gradients = own.gradients(images, labels)
        return [loss, logits, own.logits(images), *(one.clone() for one in gradients)]

    expected = computed(1)
    for module in (bfloat16_convnet, bfloat16_fcnet):
        monkeypatch.setattr(module, "library", lambda way: tiles)
    assert all(map(torch.equal, computed(threads), expected))
