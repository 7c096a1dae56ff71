#!/usr/bin/env bash
# ckatorch compares two networks by the last batch alone: whatever the others hold, the CKA is the same.
#
# Guess: CKA(first, second, layers)(dataloader, epochs=1) is the minibatch CKA of Nguyen et al. (2021), as its documentation writes it out:
#   the mean of HSIC over all batches, divided by the roots of two such means. Other images in the first batches give another value.
# What happens: each batch writes its own CKA over that of the batch before; nothing is summed. What is left is that of the last batch,
#   which is the smallest one (a loader with drop_last=True is refused, since that would change the values): four sequences of 36 here.
#   `epochs` averages over the last batches of so many passes, the same one each time unless the loader shuffles. Its bars count every batch.
# Versions: ckatorch 1.0.3, torch 2.13.0, Python 3.11; November 2026.
# Seen: 1.0.3 36 sequences by 16: 0.537 0.521 0.487; the last 4 alone: 0.537 0.521 0.487; noise for the first 32: 0.537 0.521 0.487; 36 at once: 0.572 0.445 0.413
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check --no-compile \
  'torch==2.13.0' 'numpy==2.4.6' 'matplotlib==3.11.2' 'seaborn==0.13.2' 'PyYAML==6.0.4' 'safetensors==0.8.0' 'tqdm==4.70.1' 2>/dev/null
venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps \
  'ckatorch==1.0.3' 2>/dev/null
cat > look.py <<'P'
import warnings
from importlib.metadata import version

import torch
from ckatorch import CKA
from torch import nn
from torch.utils.data import DataLoader

warnings.simplefilter("ignore")  # it would like the loader to shuffle
random = torch.Generator().manual_seed(0)
sequences = torch.randn(36, 10, 12, generator=random)
noise = torch.randn(32, 10, 12, generator=random)


class Net(nn.Module):
    def __init__(self, seed):
        super().__init__()
        torch.manual_seed(seed)
        self.embed, self.mix = nn.Linear(12, 16), nn.Linear(16, 16)

    def forward(self, x):
        return self.mix(torch.relu(self.embed(x)))


def cka(data, batch_size=16):
    compare = CKA(Net(0), Net(1), layers=["embed", "mix"], first_name="one", second_name="two")
    found = compare(DataLoader([{"x": x} for x in data], batch_size=batch_size), epochs=1)
    return " ".join(f"{float(value):.3f}" for value in found.flatten()[:3])


print(
    f"{version('ckatorch')} 36 sequences by 16: {cka(sequences)}; the last 4 alone: {cka(sequences[32:])};",
    f"noise for the first 32: {cka(torch.cat([noise, sequences[32:]]))}; 36 at once: {cka(sequences, 36)}",
)
P
seen=$(OMP_NUM_THREADS=1 venv/bin/python look.py 2>/dev/null)
echo "$seen"
test "$seen" = '1.0.3 36 sequences by 16: 0.537 0.521 0.487; the last 4 alone: 0.537 0.521 0.487; noise for the first 32: 0.537 0.521 0.487; 36 at once: 0.572 0.445 0.413'
