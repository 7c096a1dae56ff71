#!/usr/bin/env bash
# PyLandscape's loss surfaces are flat: every point of the plane has the loss of the network itself.
#
# Guess: Surface.random_surface(lams, steps), and hessian_surface along the two leading eigenvectors, return the loss of a grid of networks
#   theta + a v1 + b v2, so that a broad minimum can be told from a sharp one.
# What happens: the loop that moves the weights unpacks (parameter, v1, v2) as if the parameter were three items. What it takes for the copy's
#   weight is v2, which it sets to v1; the list of directions is empty, and so is their sum. The copy never moves. Two directions or more
#   give a constant surface, in which every minimum is as flat as can be. One direction (random_line) is a ValueError.
# Versions: pylandscape 0.1.3, PyHessian 0.1, brevitas 0.12.1, torch 2.13.0 (not the 2.10 that it asks for), numpy 2.4.6, Python 3.11; November 2026.
# Seen: 0.1.3 random_surface 1.116 to 1.116, hessian_surface 1.116 to 1.116; the network 1.116, 10 away by hand 1.700
# ticketlens' line between two networks is built anew at every point, the ends included, and is tested (measure/connectivity.py).
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check 'torch==2.13.0' 'numpy==2.4.6' 2>/dev/null
# Its requirements without torchvision and notebooks.
venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps \
  'pylandscape==0.1.3' 'PyHessian==0.1' 'brevitas==0.12.1' 'dependencies==2.0.1' 'setuptools==69.5.1' \
  'unfoldNd==0.2.3' 'tqdm==4.70.1' 'scipy==1.17.1' 'packaging==26.4' 2>/dev/null
cat > look.py <<'P'
from copy import deepcopy
from importlib.metadata import version

import torch
from pylandscape import Surface
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
images, labels = torch.randn(256, 10), torch.randint(0, 3, (256,))
network = nn.Sequential(nn.Linear(10, 20), nn.Tanh(), nn.Linear(20, 3))
error = nn.CrossEntropyLoss()
data = DataLoader(TensorDataset(images, labels), batch_size=256)
surface = Surface(network, error, data, device=torch.device("cpu"))
found = []
for name in ("random_surface", "hessian_surface"):
    losses = getattr(surface, name)((-10, 10), 5)[-1]
    found.append(f"{name} {losses.min():.3f} to {losses.max():.3f}")
# One step of the same length by hand, in a random direction.
direction = torch.randn(sum(weight.numel() for weight in network.parameters()))
moved = deepcopy(network)
theta = nn.utils.parameters_to_vector(moved.parameters())
nn.utils.vector_to_parameters(theta + 10 * direction / direction.norm(), moved.parameters())
here, there = (error(one(images), labels).item() for one in (network, moved))
print(version("pylandscape"), ", ".join(found) + f"; the network {here:.3f}, 10 away by hand {there:.3f}")
P
seen=$(OMP_NUM_THREADS=1 venv/bin/python -W ignore look.py 2>/dev/null)
echo "$seen"
test "$seen" = '0.1.3 random_surface 1.116 to 1.116, hessian_surface 1.116 to 1.116; the network 1.116, 10 away by hand 1.700'
