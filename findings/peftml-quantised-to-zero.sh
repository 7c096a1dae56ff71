#!/usr/bin/env bash
# peftml's 8-bit networks have no weight left: every one is rounded to zero, while the sparsity it reports is the one asked for.
#
# Guess: ModelCompressor(network).quantize_for_qat(bits=8) of a trained network classifies about as well as before, as rounding each layer to
#   8 bits does ("without accuracy loss"); sparse_qat(target_sparsity=0.5) uses half of the weights, as its step_epoch reports.
# What happens: a layer's learned step starts at the value of LSQ (Esser et al. 2020), 2 mean|w| / sqrt(127), some thousandths. That number is
#   stored as a raw parameter; the forward pass takes its softplus, which is meant to keep a step positive, and log(1 + exp(0.005)) is 0.70.
#   Nothing turns the start value the other way. All weights below 0.35, in a network of usual size all there are, become 0; the output is that
#   of the last bias for every image. No gradient gets through such layers, and the step's own is scaled down, so training does not mend it.
#   compute_sparsity counts the zeros of the weights as stored, before they are rounded: the logs show the share that was asked for.
# Versions: peftml 2.0.0, torch 2.13.0, numpy 2.4.6, Python 3.11; November 2026.
# Seen: 2.0.0 784-300-100-10: correct 100 %, by LSQ's own step 100 %, 8 bits of peftml 10 %; sparse_qat reports 50 % zeros, used 100 %, correct 10 %
# ticketlens measures sparsity by the mask that is in force and reports what the network computes with it (it does not quantise).
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet --no-compile --disable-pip-version-check \
  'peftml==2.0.0' 'torch==2.13.0' 'numpy==2.4.6' 2>/dev/null
cat > look.py <<'P'
import copy
import logging
from importlib.metadata import version

import torch
from peftml import ModelCompressor
from torch import nn

logging.disable(logging.CRITICAL)
torch.set_num_threads(1)
torch.manual_seed(0)
labels = torch.arange(2000) % 10
images = torch.rand(10, 784)[labels] + 0.5 * torch.randn(2000, 784)  # ten patterns under noise
images = (images - images.mean()) / images.std()
loss = nn.CrossEntropyLoss()
network = nn.Sequential(nn.Linear(784, 300), nn.ReLU(), nn.Linear(300, 100), nn.ReLU(), nn.Linear(100, 10))
optimiser = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9)
for step in range(100):
    batch = slice(100 * (step % 20), 100 * (step % 20 + 1))
    optimiser.zero_grad()
    loss(network(images[batch]), labels[batch]).backward()
    optimiser.step()


@torch.no_grad()
def correct(model):
    return f"{100 * (model(images).argmax(1) == labels).float().mean():.0f} %"


@torch.no_grad()
def zeros_in_use(model):
    """Share of zeros among the weights as the layers apply them: their answers to unit vectors."""
    used = [layer(torch.eye(layer.in_features)) - layer.bias for layer in model if isinstance(layer, nn.Linear)]
    return f"{100 * sum((w == 0).sum() for w in used) / sum(w.numel() for w in used):.0f} %"


rounded = copy.deepcopy(network)
with torch.no_grad():
    for layer in rounded:
        if isinstance(layer, nn.Linear):
            step_size = 2 * layer.weight.abs().mean() / 127**0.5
            layer.weight.copy_((layer.weight / step_size).round().clamp(-128, 127) * step_size)
eight_bits = ModelCompressor(copy.deepcopy(network)).quantize_for_qat(bits=8)

pipe = ModelCompressor(copy.deepcopy(network)).sparse_qat(bits=8, target_sparsity=0.5, pruning_steps=5)
optimiser = torch.optim.SGD(pipe.model.parameters(), lr=1e-3)
for _ in range(5):
    for first in range(0, 2000, 100):
        batch = images[first : first + 100], labels[first : first + 100]
        pipe.train_step(batch, optimiser, loss, device="cpu")
    reported = pipe.step_epoch()["global_sparsity_pct"]
sparse = pipe.export()
print(
    f"{version('peftml')} 784-300-100-10: correct {correct(network)}, by LSQ's own step {correct(rounded)},",
    f"8 bits of peftml {correct(eight_bits)}; sparse_qat reports {reported:.0f} % zeros,",
    f"used {zeros_in_use(sparse)}, correct {correct(sparse)}",
)  # fmt: skip
P
seen=$(OMP_NUM_THREADS=1 venv/bin/python look.py)
echo "$seen"
test "$seen" = "2.0.0 784-300-100-10: correct 100 %, by LSQ's own step 100 %, 8 bits of peftml 10 %; sparse_qat reports 50 % zeros, used 100 %, correct 10 %"
