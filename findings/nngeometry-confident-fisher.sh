#!/usr/bin/env bash
# nngeometry's Fisher information of a classifier is NaN as soon as one image is classified with confidence.
#
# Guess: FIM(..., variant="classif_logits"), the exact expectation over the labels, goes to 0 where a network is sure of its label, as
#   p (1 - p) does; a trained network, which is sure of most training images, has a small Fisher matrix.
# What happens: it takes the square root of p_k q_k / q_(k-1), with q_k = 1 - (p_1 + ... + p_k) in float32. Where the first labels hold all
#   the probability but its rounding, the sum ends above 1, q below 0, and one image's NaN is the whole matrix's. Nothing is said.
# Versions: nngeometry 0.4, torch 2.13.0, numpy 2.4.6, Python 3.11; November 2026.
# Seen: 0.4 logits of size 2: trace 17.93 (exact 17.93); 5: trace 115.8 (exact 115.8); 17: trace nan (exact 494.7)
# ticketlens measures tangent kernels of logits (measure/ntk.py), in which no probability stands.
set -euo pipefail
cd "$(mktemp -d)"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check \
  'nngeometry==0.4' 'torch==2.13.0' 'numpy==2.4.6' 2>/dev/null
cat > look.py <<'P'
from importlib.metadata import version

import torch
from nngeometry.metrics import FIM
from nngeometry.object import PMatDense
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

found = []
for scale in (1, 3, 10):
    torch.manual_seed(0)
    network, images = nn.Linear(20, 10), scale * torch.randn(500, 20)
    loader = DataLoader(TensorDataset(images, torch.zeros(500)), batch_size=100)
    fisher = FIM(network, loader, PMatDense, variant="classif_logits").trace().item()
    # Of one linear layer: the mean of (|x|^2 + 1) sum_k p_k (1 - p_k).
    logits = network(images).double().detach()
    p = torch.softmax(logits, 1)
    exact = ((images.double().square().sum(1) + 1) * (p * (1 - p)).sum(1)).mean().item()
    size = (logits.max(1).values - logits.min(1).values).median()
    found.append(f"{size:.0f}: trace {fisher:.4g} (exact {exact:.4g})")
print(version("nngeometry"), "logits of size", "; ".join(found))
P
seen=$(venv/bin/python -W ignore look.py)
echo "$seen"
test "$seen" = '0.4 logits of size 2: trace 17.93 (exact 17.93); 5: trace 115.8 (exact 115.8); 17: trace nan (exact 494.7)'
