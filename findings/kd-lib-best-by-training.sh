#!/usr/bin/env bash
# KD-Lib's lottery tickets keep the weights of an early epoch: test accuracies are compared with a training accuracy.
#
# Guess: LotteryTicketsPruner.prune(train_epochs=30) trains, tests after every epoch, and goes on with (and saves) the weights of the epoch
#   with the best test accuracy. So its code reads: a copy is taken whenever the test accuracy exceeds the best one so far.
# What happens: what is then remembered as the best is that epoch's training accuracy. Later epochs must beat it on the test set. As soon as
#   the network fits its training images better than it will ever do the others, no later epoch is kept, however much better it is.
#   pruned_model_iteration_N.pt is that early epoch's, and so are the weights by whose size the next level prunes: masks are chosen
#   after a few epochs of the thirty that were paid for. What is printed are the right accuracies, of weights that are thrown away.
# Versions: KD-Lib 0.0.32 (without the pins of its metadata, of 2021; its pruners need NumPy and PyTorch), torch 2.13.0, numpy 2.4.6,
#   Python 3.11; November 2026.
# Seen: 0.0.32 of 30 epochs keeps: 6 (68 %), best 29 (73 %); 4 (67 %), best 30 (72 %); 7 (68 %), best 29 (71 %)
# ticketlens prunes by the weights of the last epoch; those of the best one, by validation accuracy throughout, are stored beside them.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check --no-compile 'torch==2.13.0' 'numpy==2.4.6' 2>/dev/null
venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps 'KD-Lib==0.0.32' 2>/dev/null
cat > look.py <<'P'
import contextlib
import io
import re
from importlib.metadata import version

import torch
from KD_Lib.Pruning import LotteryTicketsPruner
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)


def images(count):
    inputs = torch.randn(count, 50, dtype=torch.float64)
    noise = torch.randn(count, dtype=torch.float64)
    return TensorDataset(inputs, (inputs[:, :8].sum(1) + noise > 0).long())


training, test = DataLoader(images(100), 50, shuffle=True), DataLoader(images(2000), 500)
network = nn.Sequential(nn.Linear(50, 100), nn.ReLU(), nn.Linear(100, 2)).double()
pruner = LotteryTicketsPruner(network, training, test)
printed = io.StringIO()
with contextlib.redirect_stdout(printed):
    pruner.prune(num_iterations=3, train_epochs=30, prune_percent=20)
tested = re.findall(r"Test Loss: ([\d.]+), Test Accuracy: ([\d.]+)", printed.getvalue())
found = []
for level in range(3):
    losses, right = zip(*[(float(a), float(b)) for a, b in tested[30 * level : 30 * level + 30]])
    kept = losses.index(pruner.evaluate_model(f"pruned_model_iteration_{level}.pt")[0])
    best = right.index(max(right))
    found.append(f"{kept + 1} ({right[kept]:.0f} %), best {best + 1} ({right[best]:.0f} %)")
print(version("KD-Lib"), "of 30 epochs keeps:", "; ".join(found))
P
seen=$(OMP_NUM_THREADS=1 venv/bin/python look.py)
echo "$seen"
test "$seen" = '0.0.32 of 30 epochs keeps: 6 (68 %), best 29 (73 %); 4 (67 %), best 30 (72 %); 7 (68 %), best 29 (71 %)'
