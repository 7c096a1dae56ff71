"""The optimisers of training in bfloat16: PyTorch's updates, the same bits by every way."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from bfloat16_tools import WAYS
from core_tools import same_bits
from ticketlens.spec import TrainingSpec
from ticketlens.training.bfloat16_optimizer import optimizer

OPTIONS = [
    {"momentum": 0.0}, {"momentum": 0.9, "weight_decay": 0.01},
    {"optimizer": "adam", "momentum": 0.9, "weight_decay": 0.01},
]  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("options", OPTIONS)
def test_optimisers_are_pytorchs_with_the_same_bits_by_every_way(way, options):
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(1000, generator=generator)
    gradients = [torch.randn(1000, generator=generator) for _ in range(5)]
    spec = TrainingSpec(**options)

    def moved(way):
        parameter = start.clone()
        descent = optimizer(spec, [parameter], way, {})
        for gradient in gradients:
            descent.update([gradient.clone()], 0.01)
        return parameter

    true = nn.Parameter(start.double())
    if spec.optimizer == "adam":
        book = torch.optim.Adam([true], lr=0.01, betas=(0.9, 0.999), weight_decay=0.01)
    else:
        book = torch.optim.SGD([true], 0.01, spec.momentum, weight_decay=spec.weight_decay)
    for gradient in gradients:
        true.grad = gradient.double()
        book.step()
    assert torch.equal(moved(way), moved("plain"))
    torch.testing.assert_close(moved(way).double(), true.detach(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("options", OPTIONS)
def test_an_optimiser_holds_what_a_mask_holds(way, options):
    """The bits are those of gradients times the mask; an infinite gradient off it is nothing."""
    generator = torch.Generator().manual_seed(0)
    mask = torch.rand(1003, generator=generator) < 0.3
    start = torch.randn(1003, generator=generator).where(mask, 0.0)
    gradients = [torch.randn(1003, generator=generator) for _ in range(4)]

    def moved(masks, factor):
        parameters = [start.clone(), start[:5].clone()]
        descent = optimizer(TrainingSpec(**options), parameters, way, masks)
        for gradient in gradients:
            descent.update([gradient * factor, gradient[:5]], 0.01)
        return [*parameters, *(slot for slots in descent.slots.values() for slot in slots)]

    held = moved({0: mask}, 1)
    assert all(map(same_bits, map(torch.Tensor.numpy, held),
                   map(torch.Tensor.numpy, moved({}, mask.float()))))  # fmt: skip
    gradients[0][~mask] = torch.inf
    assert torch.equal(moved({0: mask}, 1)[0], held[0])
