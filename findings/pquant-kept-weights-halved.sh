#!/usr/bin/env bash
# pquant-ml's continuous sparsification halves every kept weight when training ends: a network validated at 94 % comes back at 72 %.
#
# Guess: with the method "cs" the soft masks harden while the network trains, so that replacing them by 0 and 1 at the end (before fine-tuning,
#   or as the result where no fine-tuning is asked for) changes next to nothing.
# What happens: the soft mask is a sigmoid divided by its value at the start, as in Savarese et al. (2020), whose own code divides the hard mask
#   by the same number. Here only the soft one is divided: with the default threshold_init of 0 it starts at 1 and hardens to 0 or 2. The hard
#   mask that takes its place is 0 or 1, so that each layer's kept weights are half of what was trained. Biases and the running statistics of
#   batch normalisation stay. The last validation, in the same call, was of another network than the one that comes back, and fine-tuning
#   begins with a damaged one. Twice the hard mask gives back what was trained, but for the last hardening.
# Versions: pquant-ml 0.1.0, torch 2.13.0, keras 3.15.1, hgq2 0.2.0, quantizers 1.2.2, numpy 2.4.6, Python 3.11; November 2026.
# Seen: 0.1.0 first epoch: largest mask 1.0, correct 29 %; validated last: largest mask 2.0, correct 94 %; returned: largest mask 1.0, correct 72 %; doubled: largest mask 2.0, correct 93 %
# The masks of ticketlens are 0 or 1 from the start.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet --no-compile --disable-pip-version-check 'pquant-ml==0.1.0' 'torch==2.13.0' 'keras==3.15.1' \
  'hgq2==0.2.0' 'quantizers==1.2.2' 'numpy==2.4.6' 'optuna==5.0.0' 'pydantic==2.14.4' 2>/dev/null
cat > look.py <<'P'
import os
from importlib.metadata import version

os.environ["KERAS_BACKEND"] = "torch"

import torch
from pquant import add_compression_layers, cs_config, get_model_losses, train_model
from torch import nn

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)
torch.manual_seed(0)
labels = torch.arange(1000) % 10
patterns = torch.randn(10, 64)[labels]
images, fresh = (patterns + 2 * torch.randn(1000, 64) for _ in range(2))  # ten patterns under noise
layers = [layer for _ in range(3) for layer in (nn.Linear(64, 64), nn.BatchNorm1d(64), nn.ReLU())]
config = cs_config()
config.quantization_parameters.enable_quantization = False
plan = config.training_parameters
plan.pretraining_epochs, plan.epochs, plan.fine_tuning_epochs, plan.rounds, plan.rewind = 0, 20, 0, 1, "never"
network = add_compression_layers(nn.Sequential(*layers, nn.Linear(64, 10)), config, (2, 64))
optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)
pruned = [layer.pruning_layer for layer in network if hasattr(layer, "pruning_layer")]


def train(model, epoch, **_):
    for first in range(0, 1000, 100):
        optimiser.zero_grad()
        loss = nn.functional.cross_entropy(model(images[first : first + 100]), labels[first : first + 100])
        get_model_losses(model, loss).backward()
        optimiser.step()


@torch.no_grad()
def look(model, epoch=None, **_):
    model.eval()
    correct = 100 * float((model(fresh).argmax(1) == labels).double().mean())
    top = max(float(layer.mask.max()) for layer in pruned)
    log.append(f"largest mask {top:.1f}, correct {correct:.0f} %")


log = []
train_model(network, config, train, look)
validated = f"{log[0]}; validated last: {log[-1]}"
look(network)
returned = log[-1]
for layer in pruned:
    layer.mask *= 2
look(network)
print(version("pquant-ml"), f"first epoch: {validated}; returned: {returned}; doubled: {log[-1]}")
P
seen=$(OMP_NUM_THREADS=1 KERAS_HOME="$work" venv/bin/python look.py 2>/dev/null)
echo "$seen"
test "$seen" = '0.1.0 first epoch: largest mask 1.0, correct 29 %; validated last: largest mask 2.0, correct 94 %; returned: largest mask 1.0, correct 72 %; doubled: largest mask 2.0, correct 93 %'
