#!/usr/bin/env bash
# torch.ao.pruning: a network saved while it is being pruned holds no mask and no zero.
#
# Guess: a sparsifier's masks are buffers of the parametrization, so `model.state_dict()` saves them;
#   or else it saves the masked weights.
# Seen (torch 2.13.0, November 2026): FakeSparsity keeps its mask as a buffer but returns an empty
#   state dict on purpose, and `parametrizations.weight.original` is dense. The file of a half-pruned
#   network reads as a dense one; loading it into a prepared model leaves that model's own masks.
#   The mask is in `sparsifier.state_dict()` alone, or in the weights after `squash_mask()`.
# Output seen:
#   model: 50 % zeros in weight
#   keys saved: ['0.bias', '0.parametrizations.weight.original']
#   zeros in what was saved: 0 %
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check 'torch==2.13.0' 'numpy==2.4.1' 2>/dev/null
venv/bin/python - <<'P' 2>/dev/null
import torch
from torch import nn
from torch.ao.pruning import WeightNormSparsifier

assert torch.__version__.split("+")[0] == "2.13.0", torch.__version__
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(16, 16))
sparsifier = WeightNormSparsifier(sparsity_level=0.5, sparse_block_shape=(1, 1), zeros_per_block=1)
sparsifier.prepare(model, config=[{"tensor_fqn": "0.weight"}])
sparsifier.step()
zeros = float((model[0].weight == 0).double().mean())
print(f"model: {zeros:.0%}".replace("%", " %"), "zeros in weight")
saved = model.state_dict()
print("keys saved:", sorted(saved))
left = float((saved["0.parametrizations.weight.original"] == 0).double().mean())
print(f"zeros in what was saved: {left:.0%}".replace("%", " %"))
assert zeros == 0.5 and left == 0 and not any("mask" in key for key in saved)
assert bool((model[0].parametrizations.weight[0].mask == 0).any())
P
