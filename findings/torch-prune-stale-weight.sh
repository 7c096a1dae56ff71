#!/usr/bin/env bash
# torch.nn.utils.prune: `module.weight` of a pruned layer is an old product until the next forward pass.
#
# Guess: after load_state_dict, an optimiser's step or a change of dtype, `module.weight` is
#   weight_orig * weight_mask, as it was when the layer was pruned.
# Seen (torch 2.13.0, November 2026): `weight` is a plain attribute that a forward hook sets. It keeps
#   the values from before load_state_dict, from before the step, and its dtype after `.to(bfloat16)`.
#   Whoever measures or exports `module.weight` of a network that was just loaded looks at the random
#   numbers it was built with. Read weight_orig and weight_mask.
# Output seen:
#   after load_state_dict: weight is that of before, weight_orig is the loaded one
#   after a step:          weight is that of before
#   after to(bfloat16):    weight torch.float32, weight_orig torch.bfloat16
#   after a forward pass:  weight is weight_orig * weight_mask
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check 'torch==2.13.0' 'numpy==2.4.1' 2>/dev/null
venv/bin/python - <<'P'
import torch
from torch import nn
from torch.nn.utils import prune

assert torch.__version__.split("+")[0] == "2.13.0", torch.__version__
torch.manual_seed(0)


def pruned():
    layer = nn.Linear(4, 3)
    prune.l1_unstructured(layer, "weight", amount=0.5)
    return layer


def product(layer):
    return layer.weight_orig * layer.weight_mask


trained, layer = pruned(), pruned()
before = layer.weight.detach().clone()
layer.load_state_dict(trained.state_dict())
assert torch.equal(layer.weight, before) and not torch.equal(layer.weight, product(layer))
assert torch.equal(layer.weight_orig, trained.weight_orig)
print("after load_state_dict: weight is that of before, weight_orig is the loaded one")

optimizer = torch.optim.SGD(layer.parameters(), lr=1.0)
layer(torch.ones(2, 4)).sum().backward()
before = layer.weight.detach().clone()
optimizer.step()
assert torch.equal(layer.weight, before) and not torch.equal(layer.weight, product(layer))
print("after a step:          weight is that of before")

layer.to(torch.bfloat16)
assert (layer.weight.dtype, layer.weight_orig.dtype) == (torch.float32, torch.bfloat16)
print(f"after to(bfloat16):    weight {layer.weight.dtype}, weight_orig {layer.weight_orig.dtype}")

layer(torch.ones(2, 4, dtype=torch.bfloat16))
assert torch.equal(layer.weight, product(layer))
print("after a forward pass:  weight is weight_orig * weight_mask")
P
