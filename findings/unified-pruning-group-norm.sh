#!/usr/bin/env bash
# Unified-Pruning turns group normalisation into one group per channel, at any ratio: asked to prune nothing, it leaves a network at chance.
#
# Guess: BasePruner(network, example).prune(ratio) takes that share of the channels out and leaves the rest of the network as it was: a GroupNorm
#   of four groups keeps its four groups, or is refused where the channels left do not divide. At ratio 0 the network computes the same.
# What happens: group normalisation is on its list of supported layers. Pruning one sets the number of groups to the number of channels left, and it
#   goes through all layers, those that lose no channel among them. Every channel is then normalised by itself. Where the feature map is one
#   pixel large a channel minus its own mean is 0, so that the network gives the same answer for every image; on larger maps the outputs
#   are merely other ones. Nothing is said, and the counts of parameters are right.
# Versions: Unified-Pruning 1.0.5, torch 2.13.0, numpy 2.4.6, Python 3.11; November 2026.
# Seen: 1.0.5 trained: groups 4 and 4, correct 100 %; pruned by 0%: channels 16 and 32, parameters the same True, groups 16 and 32, correct 10 %; pruned by 25%: channels 12 and 24, parameters the same False, groups 12 and 24, correct 10 %
# ticketlens masks weights and leaves normalisation layers as they are.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet --no-compile --disable-pip-version-check 'torch==2.13.0' 'numpy==2.4.6' 'tqdm==4.70.1' 2>/dev/null
venv/bin/python -m pip install --quiet --no-compile --disable-pip-version-check --no-deps 'Unified-Pruning==1.0.5' 2>/dev/null
cat > look.py <<'P'
import copy
from importlib.metadata import version

import torch
from torch import nn
from unip.core.pruner import BasePruner

torch.set_num_threads(1)
torch.manual_seed(0)
labels = torch.arange(500) % 10
images = torch.rand(10, 1, 8, 8)[labels] + 0.1 * torch.randn(500, 1, 8, 8)  # ten patterns under noise
network = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding=1), nn.GroupNorm(4, 16), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(16, 32, 4), nn.GroupNorm(4, 32), nn.ReLU(), nn.Flatten(), nn.Linear(32, 10),
)  # fmt: skip
optimiser = torch.optim.Adam(network.parameters(), lr=1e-2)
for _ in range(30):
    optimiser.zero_grad()
    nn.functional.cross_entropy(network(images), labels).backward()
    optimiser.step()


@torch.no_grad()
def correct(model):
    return f"{100 * (model(images).argmax(1) == labels).float().mean():.0f} %"


found = [f"trained: groups {network[1].num_groups} and {network[5].num_groups}, correct {correct(network)}"]
for ratio in (0.0, 0.25):
    pruned = copy.deepcopy(network)
    example = torch.rand(1, 1, 8, 8, requires_grad=True)
    BasePruner(pruned, example, "UniformRatio", algo_args={"score_fn": "weight_sum_l1_out"}).prune(ratio)
    same = all(torch.equal(a, b) for a, b in zip(pruned.parameters(), network.parameters(), strict=True))
    found.append(
        f"pruned by {ratio:.0%}: channels {pruned[0].out_channels} and {pruned[4].out_channels}, parameters the same {same}, "
        f"groups {pruned[1].num_groups} and {pruned[5].num_groups}, correct {correct(pruned)}"
    )
print(version("Unified-Pruning"), "; ".join(found))
P
seen=$(OMP_NUM_THREADS=1 venv/bin/python look.py)
echo "$seen"
test "$seen" = '1.0.5 trained: groups 4 and 4, correct 100 %; pruned by 0%: channels 16 and 32, parameters the same True, groups 16 and 32, correct 10 %; pruned by 25%: channels 12 and 24, parameters the same False, groups 12 and 24, correct 10 %'
