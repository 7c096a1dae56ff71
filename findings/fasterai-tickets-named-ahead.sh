#!/usr/bin/env bash
# fasterai saves every intermediate winning ticket under the sparsity that comes next: winning_ticket_20.00.pth is dense.
#
# Guess: SparsifyCallback(lth=True, save_tickets=True) saves, at each step of the schedule, the weights of theta_0 under the mask
#   whose sparsity is in the file's name.
# What happens: on a change of the schedule it takes the new sparsity into the name, saves, and makes the new mask after that, so that each
#   file holds the mask of the step before: of 60 % in three steps, "20" has no zero and "40" has 20 % of them. The last file is
#   written again at the end of training, and right. A table of accuracy by these names is off by a whole round.
# Versions: fasterai 0.4.1, fastai 2.8.12, torch 2.14.1, torchvision 0.29.1, numpy 2.4.6, Python 3.11; November 2026.
# Seen: 0.4.1 winning_ticket_20.00 has 0.0 %, winning_ticket_40.00 has 19.8 %, winning_ticket_60.00 has 59.9 %
# ticketlens' files carry round and density of the mask they hold, and both are asserted when they are written.
set -euo pipefail
cd "$(mktemp -d)"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check \
  'fasterai==0.4.1' 'fastai==2.8.12' 'torch==2.14.1' 'torchvision==0.29.1' 'numpy==2.4.6' 2>/dev/null
cat > look.py <<'P'
from importlib.metadata import version
from pathlib import Path

import torch
from fastai.data.core import DataLoaders
from fastai.learner import Learner
from fastai.optimizer import SGD
from fasterai.core.all import Schedule, large_final, sched_iterative
from fasterai.sparse.all import SparsifyCallback
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
loader = DataLoader(TensorDataset(torch.randn(640, 20), torch.randn(640, 10)), batch_size=64)
network = nn.Sequential(nn.Linear(20, 50), nn.Tanh(), nn.Linear(50, 10))
learner = Learner(DataLoaders(loader, loader), network, loss_func=nn.MSELoss(), opt_func=SGD)
prune = SparsifyCallback(
    sparsity=0.6, granularity="weight", context="local", criteria=large_final,
    schedule=Schedule(sched_iterative, start_pct=0.25), lth=True, save_tickets=True,
    layer_type=nn.Linear,
)  # fmt: skip
with learner.no_bar():
    learner.fit(12, 0.1, cbs=[prune])
found = []
for path in sorted(Path().glob("winning_ticket_*.pth")):
    weight = torch.load(path, weights_only=False)[0].weight
    found.append(f"{path.stem} has {100 * (weight == 0).float().mean():.1f} %")
print(version("fasterai"), ", ".join(found))
P
seen=$(CUDA_VISIBLE_DEVICES='' venv/bin/python -W ignore look.py 2>/dev/null | tail -n 1)
echo "$seen"
test "$seen" = '0.4.1 winning_ticket_20.00 has 0.0 %, winning_ticket_40.00 has 19.8 %, winning_ticket_60.00 has 59.9 %'
