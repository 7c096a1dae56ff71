#!/usr/bin/env bash
# loss-landscape-3d moves the mask of a pruned network along with its weights: away from the middle no ticket is left.
#
# Guess: generate_random_directions(model) draws two directions in the space of the parameters, and the calculator moves the parameters
#   along them. A network pruned with torch.nn.utils.prune keeps its mask, so that its landscape is that of the ticket.
# What happens: directions are drawn for every floating-point entry of state_dict(). Buffers are among them, and so is `weight_mask`. Away from
#   the middle the mask holds random numbers, and every pruned weight is back, times one of them. (Of batch norm it moves the running
#   variances, too.) Without the masks' entries, which the calculator allows to be missing, the directions are the ones guessed.
# Versions: loss-landscape-3d 0.1.3, torch 2.13.0, numpy 2.4.6, Python 3.11; November 2026.
# Seen: 0.1.3 loss (share of zeros) at 0, 0.5 and 1; mask moved: 0.01 (0.9) 0.12 (0.0) 2.69 (0.0); mask kept: 0.01 (0.9) 0.08 (0.9) 1.38 (0.9)
# ticketlens' line between two networks holds their mask, and refuses networks of different masks (measure/connectivity.py).
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check 'torch==2.13.0' 'numpy==2.4.6' 2>/dev/null
venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps 'loss-landscape-3d==0.1.3' 2>/dev/null
cat > look.py <<'P'
from importlib.metadata import version

import torch
from loss_landscape_3d import LossLandscapeCalculator, generate_random_directions
from torch import nn
from torch.nn.utils import prune
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
images = torch.randn(300, 50)
labels = (images @ torch.randn(50, 3)).argmax(1)
network = nn.Sequential(nn.Linear(50, 100), nn.Tanh(), nn.Linear(100, 3))
prune.l1_unstructured(network[0], "weight", 0.9)
optimizer = torch.optim.Adam(network.parameters(), 0.01)
for _ in range(100):
    optimizer.zero_grad()
    nn.functional.cross_entropy(network(images), labels).backward()
    optimizer.step()


def zeros(*_):
    return (network[0].weight == 0).float().mean().item()


data = DataLoader(TensorDataset(images, labels), batch_size=300)
calculator = LossLandscapeCalculator(network, data, nn.CrossEntropyLoss())
one, other = generate_random_directions(network)
found = []
for mask in ("mask moved", "mask kept"):
    losses, shares = calculator.calculate([0, 0.5, 1], [0], one, other, network.state_dict(), metric_fn=zeros)
    each = (f"{loss:.2f} ({share:.1f})" for loss, share in zip(losses[:, 0], shares[:, 0]))
    found.append(f"{mask}: " + " ".join(each))
    one.pop("0.weight_mask", None)
print(version("loss-landscape-3d"), "loss (share of zeros) at 0, 0.5 and 1;", "; ".join(found))
P
seen=$(OMP_NUM_THREADS=1 venv/bin/python -W ignore look.py)
echo "$seen"
# Losses after a training differ in their last digits between CPUs; the zeros do not.
test "$(sed -E 's/ [0-9.]+ \(/ (/g' <<< "$seen")" = \
  '0.1.3 loss (share of zeros) at 0, 0.5 and 1; mask moved: (0.9) (0.0) (0.0); mask kept: (0.9) (0.9) (0.9)'
