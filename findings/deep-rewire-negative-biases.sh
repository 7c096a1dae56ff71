#!/usr/bin/env bash
# deep-rewire trains no negative bias: an output that begins at -0.1 and should become -3 stays there, its mirror image learns +3.
#
# Guess: convert(network) splits each bias in two halves, a positive and a negative one, both above zero ("second_bias", the default), and
#   returns the parameters in two lists, for the rewiring optimiser and for an ordinary one. The two optimisers, as its page shows them,
#   train every parameter of the network.
# What happens: the negative half of a bias is registered in the network, has a gradient, and is in neither list. A bias below zero is
#   all negative half: about half of a network's biases under the usual initialisation keep their values to the last bit, whatever the
#   loss says. Weights, and biases above zero, are trained. Nothing shows afterwards: converted back, the network has biases of both
#   signs, as before.
# Versions: deep_rewire 1.0.5, torch 2.13.0, numpy 2.4.6, Python 3.11; December 2026.
# Seen: 1.0.5 a bias of +0.1 becomes +3.00 where +3 is wanted, one of -0.1 becomes -0.10 where -3 is wanted; of a network's 39 other biases 39 changed, of its 35 negative ones 0; in neither list: 0.bias_negative, 2.bias_negative
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check 'torch==2.13.0' 'numpy==2.4.6' 2>/dev/null
venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps 'deep_rewire==1.0.5' 2>/dev/null
cat > look.py <<'P'
from importlib.metadata import version

import torch
from deep_rewire import SoftDEEPR, convert, reconvert
from torch import nn


def train(net, points, answers):
    """As on its page: convert, the rewiring optimiser with lr 0.05 and l1 1e-5, convert back."""
    rewired, others = convert(net)
    listed = {id(parameter) for parameter in rewired + others}
    forgotten = [name for name, p in net.named_parameters() if p.requires_grad and id(p) not in listed]
    optimiser = SoftDEEPR(rewired, lr=0.05, l1=1e-5)
    for _ in range(500):
        optimiser.zero_grad()
        nn.functional.mse_loss(net(points), answers).backward()
        optimiser.step()
    reconvert(net)
    return forgotten


learned = []
for sign in (1, -1):
    torch.manual_seed(0)
    output = nn.Linear(4, 1)
    nn.init.constant_(output.bias, sign * 0.1)
    train(output, torch.randn(256, 4), torch.full((256, 1), sign * 3.0))
    learned.append(f"{sign * 0.1:+.1f} becomes {output.bias.item():+.2f} where {sign * 3:+} is wanted")

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 10))
before = torch.cat([net[0].bias, net[2].bias]).detach().clone()
forgotten = train(net, torch.randn(512, 16), torch.randn(512, 10))
changed = before != torch.cat([net[0].bias, net[2].bias]).detach()
print(
    f"{version('deep_rewire')} a bias of {', one of '.join(learned)}; of a network's {(before >= 0).sum()} other biases",
    f"{changed[before >= 0].sum()} changed, of its {(before < 0).sum()} negative ones {changed[before < 0].sum()};",
    f"in neither list: {', '.join(forgotten)}",
)
P
seen=$(OMP_NUM_THREADS=1 venv/bin/python look.py)
echo "$seen"
test "$seen" = "1.0.5 a bias of +0.1 becomes +3.00 where +3 is wanted, one of -0.1 becomes -0.10 where -3 is wanted; of a network's 39 other biases 39 changed, of its 35 negative ones 0; in neither list: 0.bias_negative, 2.bias_negative"
