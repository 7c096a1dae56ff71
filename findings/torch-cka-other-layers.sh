#!/usr/bin/env bash
# torch-cka puts the similarities of other layers beside a layer's name, and takes what stands before an in-place ReLU for the ReLU.
#
# Guess: row n of export()["CKA"] belongs to layer n of export()["model1_layers"], be it a single layer, a block or the whole network, and is the
#   same whether the layer is asked for alone or with others. A layer's output is what that layer returns.
# What happens: the names are in the order of named_modules(), where a block stands before its parts. The rows are in the order in which the
#   layers return, where a block comes after its parts. A block and its first layer so change places; with all layers, the default, the row
#   named after the whole network is that of its first layer. And outputs are kept until the batch is through, not copied: an in-place
#   ReLU, as in torchvision's networks, has by then put its own output in the place of the layer's before it. Nothing is said.
# Versions: torch-cka 0.21, torch 2.13.0, Python 3.11; November 2026. (pytorch-cka 1.1.3 orders its rows by name, and has the second trouble.)
# Seen: 0.21 named together (alone): '2' 0.31 (0.25), '2.0' 0.25 (0.31), '3' 0.08 (0.08); whole network among all 0.64 (0.08); layer before a ReLU 0.64, before one in place 0.42, the ReLU 0.42
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check --no-compile \
  'torch==2.13.0' 'numpy==2.4.6' 'matplotlib==3.11.2' 'tqdm==4.70.1' 2>/dev/null
venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps \
  'torch-cka==0.21' 2>/dev/null
cat > look.py <<'P'
import warnings
from importlib.metadata import version

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from torch_cka import CKA

warnings.simplefilter("ignore")  # it says that one loader serves both networks
images = torch.randn(64, 20, generator=torch.Generator().manual_seed(0))


def net(seed, inplace=False):
    torch.manual_seed(seed)
    block = nn.Sequential(nn.Linear(32, 32), nn.ReLU(inplace))
    return nn.Sequential(nn.Linear(20, 32), nn.ReLU(inplace), block, nn.Linear(32, 5))


def cka(inplace=False, layers=None):
    compare = CKA(net(0, inplace), net(1, inplace), "one", "two", model1_layers=layers, model2_layers=layers)
    compare.compare(DataLoader(TensorDataset(images), batch_size=16))
    found = compare.export()
    return {name: f"{float(found['CKA'][n, n]):.2f}" for n, name in enumerate(found["model1_layers"])}


together = cka(layers=["2", "2.0", "3"])
alone = {name: cka(layers=[name])[name] for name in together}
rows = ", ".join(f"{name!r} {value} ({alone[name]})" for name, value in together.items())
every = cka()
first = f"{every['']} ({cka(layers=[''])['']})"
print(
    f"{version('torch-cka')} named together (alone): {rows}; whole network among all {first};",
    f"layer before a ReLU {cka(layers=['0'])['0']}, before one in place {cka(True, ['0'])['0']}, the ReLU {cka(layers=['1'])['1']}",
)
P
seen=$(OMP_NUM_THREADS=1 venv/bin/python look.py 2>/dev/null)
echo "$seen"
test "$seen" = '0.21 named together (alone): '\''2'\'' 0.31 (0.25), '\''2.0'\'' 0.25 (0.31), '\''3'\'' 0.08 (0.08); whole network among all 0.64 (0.08); layer before a ReLU 0.64, before one in place 0.42, the ReLU 0.42'
