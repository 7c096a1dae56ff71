#!/usr/bin/env bash
# sparselab's SET and RigL hand weights the momentum of others, and a saved layer has the weights but not their places.
#
# Guess: SparseLinear works with torch.optim and state_dict as usual, as its documentation says: after an update of SET each weight that
#   stays keeps its momentum, a new one starts from 0; a state_dict, loaded into a layer built with the same seed, gives the same outputs.
# What happens: the parameter is the list of slots of a padded CSR matrix. An update writes each row anew, sorted by column, so that a weight
#   moves to another slot when others of its row come or go. The optimizer knows slots only: momentum stays where it was, whosever
#   it was, and what a dropped weight had pushes its successor. The column indices are in no buffer. A state_dict holds the values alone:
#   every key matches, and the values land on whatever connections the layer has at the time, those of its seed in a new
#   program, or, where a run goes back to its best epoch, those of the latest update. Nothing is said.
# Versions: sparselab 0.2.2, torch 2.13.0, numpy 2.4.6, Python 3.11; November 2026.
# Seen: 0.2.2 SET: 322 weights kept, 140 with another's momentum; 132 new, 132 with momentum; saved and loaded, outputs differ by 1.0 of their norm
# A ticket of ticketlens stays on its mask while it trains, and its file holds the mask beside the weights.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check --no-compile 'torch==2.13.0' 'numpy==2.4.6' 2>/dev/null
venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps 'sparselab==0.2.2' 2>/dev/null
cat > look.py <<'P'
from importlib.metadata import version

import sparselab
import torch

inputs = torch.randn(64, 100, generator=torch.Generator().manual_seed(0))
targets = torch.randn(64, 50, generator=torch.Generator().manual_seed(1))


def layer():
    torch.manual_seed(2)
    return sparselab.SparseLinear(100, 50, sparsity=0.9, bias=False)


def matrix(of, slots):
    """What is in the slots, at the places of their connections."""
    dense = torch.zeros(50, 100)
    for row in range(50):
        first, count = int(of._csr.row_start[row]), int(of._csr.row_nnz[row])
        columns = torch.as_tensor(of._csr.col_indices[first : first + count].tolist())
        dense[row, columns] = slots[first : first + count]
    return dense


trained = layer()
optimizer = torch.optim.SGD(trained.parameters(), lr=1.0, momentum=0.9)
method = sparselab.SET(sparsity=0.9, drop_fraction=0.3, update_freq=100, seed=0)
trained.apply(method)
for step in range(100):
    optimizer.zero_grad()
    (trained(inputs) - targets).square().mean().backward()
    optimizer.step()
    momentum = optimizer.state[trained._values]["momentum_buffer"]
    before, old = matrix(trained, momentum), matrix(trained, torch.ones(len(momentum))) > 0
    method.step()  # the hundredth moves connections
after, new = matrix(trained, momentum), matrix(trained, torch.ones(len(momentum))) > 0
kept, grown = old & new, new & ~old
torch.save(trained.state_dict(), "layer.pt")
loaded = layer()
loaded.load_state_dict(torch.load("layer.pt"))
outputs, others = trained(inputs).detach(), loaded(inputs).detach()
print(
    f"{version('sparselab')} SET: {kept.sum()} weights kept, {(before != after)[kept].sum()} with another's momentum;",
    f"{grown.sum()} new, {(after != 0)[grown].sum()} with momentum; saved and loaded, outputs differ by",
    f"{(others - outputs).norm() / outputs.norm():.1f} of their norm",
)
P
seen=$(OMP_NUM_THREADS=1 venv/bin/python -W ignore look.py)
echo "$seen"
test "$seen" = "0.2.2 SET: 322 weights kept, 140 with another's momentum; 132 new, 132 with momentum; saved and loaded, outputs differ by 1.0 of their norm"
