#!/usr/bin/env bash
# cka-pytorch: a network's logits have a similarity of 0.03 with themselves, 0.31 if the same images are shown ten times.
#
# Guess: calculate_cka_matrix(dataloader) of a network with itself has ones on its diagonal, for CKA does not change with the size of the
#   activations; showing the same images again changes nothing, and a second call is about the second loader.
# What happens: 0.0001 is added to the product of the two HSICs, not to a number of size 1. That product goes with the eighth power of the
#   activations: the logits of an untrained network of 784-300-100-10 (PyTorch's own initial weights) have one far below it. The sums
#   over batches and epochs are not divided by their number, so that `num_epochs` decides how much it weighs. The sums are not set to 0
#   either: a second call returns a mixture of both loaders. reset() clears them, but takes the hooks away too, and the next call fails.
# Versions: cka-pytorch 1.1.3, torch 2.13.0, lightning 2.6.6, torchmetrics 1.9.0, Python 3.11; November 2026.
# Seen: 1.1.3 a network with itself, 1 epoch: 1.00 1.00 0.03; 10 epochs: 1.00 1.00 0.31; two networks on other images: 1.00 0.95 0.61; the same asked second: 0.99 0.91 0.46
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check --no-compile \
  'torch==2.13.0' 'numpy==2.4.6' 'lightning==2.6.6' 'torchmetrics==1.9.0' 'matplotlib==3.11.2' 'seaborn==0.13.2' 2>/dev/null
venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps \
  'cka-pytorch==1.1.3' 2>/dev/null
cat > look.py <<'P'
import warnings
from importlib.metadata import version

import torch
from cka_pytorch.cka import CKACalculator
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

warnings.simplefilter("ignore")
random = torch.Generator().manual_seed(0)
images = torch.randn(64, 784, generator=random)
others = torch.randn(64, 1, generator=random) + 0.1 * images


def net(seed):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(784, 300), nn.ReLU(), nn.Linear(300, 100), nn.ReLU(), nn.Linear(100, 10))


def loader(data):
    return DataLoader(TensorDataset(data, torch.zeros(64)), batch_size=32)


def calculator(one, two):
    return CKACalculator(net(one), net(two), model1_layers=["0", "2", "4"], verbose=False)


def text(matrix):
    return " ".join(f"{float(value):.2f}" for value in matrix.diagonal())


itself = [text(calculator(0, 0).calculate_cka_matrix(loader(images), num_epochs=n)) for n in (1, 10)]
twice = calculator(0, 1)
seen = [text(twice.calculate_cka_matrix(loader(data))) for data in (images, others)]
fresh = text(calculator(0, 1).calculate_cka_matrix(loader(others)))
print(
    f"{version('cka-pytorch')} a network with itself, 1 epoch: {itself[0]}; 10 epochs: {itself[1]};",
    f"two networks on other images: {fresh}; the same asked second: {seen[1]}",
)
P
seen=$(OMP_NUM_THREADS=1 venv/bin/python look.py 2>/dev/null)
echo "$seen"
test "$seen" = '1.1.3 a network with itself, 1 epoch: 1.00 1.00 0.03; 10 epochs: 1.00 1.00 0.31; two networks on other images: 1.00 0.95 0.61; the same asked second: 0.99 0.91 0.46'
