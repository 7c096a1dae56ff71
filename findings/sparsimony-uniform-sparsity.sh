#!/usr/bin/env bash
# sparsimony: asked for 90 % zeros with one layer excluded, its uniform distribution gives 80 %; `skip_first_layer` skips none.
#
# Guess: UniformDistribution (dynamic sparse training, magnitude pruning) with excluded layers makes the others sparser, so that
#   the network has the sparsity asked for; `skip_first_layer=True` and `skip_last_layer=True` leave those layers dense.
# What happens: it takes the number of the excluded weights off the number of zeros, (s N - excluded) / others: the more is excluded
#   the denser the rest becomes, and negative where the excluded layer is large. The two `skip_` arguments are stored and read nowhere.
# Versions: sparsimony 0.1.0, torch 2.13.0, numpy 1.26.4, Python 3.11; November 2026.
# Seen: 0.1.0 excluded 10 %: 80.0 % zeros; excluded 94 %: -66.2 % of the rest; first and last skipped: 0.90 0.90 0.90
# ticketlens' masks keep the counts of their recipe, layer by layer (tests of masks by hypothesis); a layer is left dense by its own rate.
set -euo pipefail
cd "$(mktemp -d)"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check \
  'sparsimony==0.1.0' 'torch==2.13.0' 'numpy==1.26.4' 2>/dev/null
cat > look.py <<'P'
from importlib.metadata import version

from sparsimony.distributions.base import UniformDistribution
from torch import nn


def asked(distribution, *layers, sparsity=0.9):
    """The sparsity of each layer, and of all together, by a distribution."""
    groups = [
        {"module": layer, "tensor_name": "weight", "module_fqn": f"layer{number}"}
        for number, layer in enumerate(layers)
    ]
    found = [group["sparsity"] for group in distribution(sparsity, groups)]
    sizes = [layer.weight.numel() for layer in layers]
    return found, sum(s * n for s, n in zip(found, sizes)) / sum(sizes)


class Readout(nn.Linear):
    """A layer that stays dense."""


def excluding():
    return UniformDistribution(excluded_types=[Readout])


_, overall = asked(excluding(), nn.Linear(90, 100), Readout(100, 10))
rest, _ = asked(excluding(), nn.Linear(16, 10), Readout(250, 10))
skipping = UniformDistribution(skip_first_layer=True, skip_last_layer=True)
skipped, _ = asked(skipping, nn.Linear(90, 100), nn.Linear(100, 100), nn.Linear(100, 10))
print(
    f"{version('sparsimony')} excluded 10 %: {100 * overall:.1f} % zeros; excluded 94 %: {100 * rest[0]:.1f} % of the rest; "
    f"first and last skipped: {' '.join(f'{s:.2f}' for s in skipped)}"
)
P
seen=$(venv/bin/python -W ignore look.py)
echo "$seen"
test "$seen" = '0.1.0 excluded 10 %: 80.0 % zeros; excluded 94 %: -66.2 % of the rest; first and last skipped: 0.90 0.90 0.90'
