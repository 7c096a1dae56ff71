#!/usr/bin/env bash
# loss-landscapes' line between two networks leaves out the first, and turns it into a copy of the second.
#
# Guess: linear_interpolation(start, end, metric, steps) returns the metric at `steps` places from start to end, both ends among them,
#   and leaves the two models as they are, so that the height above the ends is the error barrier between two tickets.
# What happens: it steps first and evaluates then, so that start itself is never evaluated (the first value is 1 / steps along). It steps in the
#   weights of `start` (deepcopy_model=False is the default), which end up at those of `end`: called again, every value is that of `end`,
#   and a barrier of 0 is what the second call of a notebook's cell says.
# Versions: loss-landscapes 3.0.6, torch 2.13.0, numpy 2.4.6, Python 3.11; November 2026.
# Seen: 3.0.6 start 1.658, end 1.782; first 1.613, last 1.782; again 1.782 to 1.782; the models differ by 0.00
# ticketlens interpolates copies, both ends included (measure/connectivity.py, tested).
set -euo pipefail
cd "$(mktemp -d)"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check \
  'loss-landscapes==3.0.6' 'torch==2.13.0' 'numpy==2.4.6' 2>/dev/null
cat > look.py <<'P'
from importlib.metadata import version

import loss_landscapes
import torch
from loss_landscapes.metrics import Loss
from torch import nn

torch.manual_seed(0)


def network():
    return nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 1))


start, end = network(), network()
error = Loss(nn.MSELoss(), torch.randn(50, 5), torch.randn(50, 1))
ends = [loss_landscapes.point(model, error) for model in (start, end)]
first, again = (loss_landscapes.linear_interpolation(start, end, error, steps=10) for _ in "12")
off = max((one - other).abs().max() for one, other in zip(start.parameters(), end.parameters()))
print(
    f"{version('loss_landscapes')} start {ends[0]:.3f}, end {ends[1]:.3f}; first {first[0]:.3f}, "
    f"last {first[-1]:.3f}; again {again.min():.3f} to {again.max():.3f}; the models differ by {off:.2f}"
)
P
seen=$(venv/bin/python -W ignore look.py)
echo "$seen"
test "$seen" = '3.0.6 start 1.658, end 1.782; first 1.613, last 1.782; again 1.782 to 1.782; the models differ by 0.00'
