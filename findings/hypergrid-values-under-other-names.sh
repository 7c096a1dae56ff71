#!/usr/bin/env bash
# hypergrid: a sum of two grids whose parameters are written in another order, times a third, hands values on under each other's names.
#
# Guess: HyperGrid(width=..., seed=...) + HyperGrid(seed=..., width=...) joins two grids, which is allowed as their names are the
#   same; a product with the arms adds a name, and every combination keeps its width and its seed.
# What happens: a sum passes on the combinations of its grids as they are, each with its own order, and takes the first grid's order as its own.
#   A product (and a zip, and their samples) puts combinations together by place, not by name, and labels them by that order: all of
#   the second grid have their seed as width and their width as seed. The sum alone, filter, map and select go by name and are right,
#   so a look at the sum shows nothing. Numbers for numbers: a network of two units is trained, with seed 100.
# Versions: hypergrid 0.0.1, Python 3.11; December 2026.
# Seen: 0.0.1 sum: width 300 seed 1, width 100 seed 2; sum * arms: width 300 seed 1, width 2 seed 100; arms * sum: width 300 seed 1, width 2 seed 100
# The settings of a ticketlens study are YAML mappings checked against a schema: a value has its name beside it, in any order.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check 'hypergrid==0.0.1' 2>/dev/null
cat > look.py <<'P'
from importlib.metadata import version

from hypergrid.dsl import HyperGrid

runs = HyperGrid(width=[300], seed=[1]) + HyperGrid(seed=[2], width=[100])
arms = HyperGrid(arm=["imp"])
seen = {
    "sum": runs,
    "sum * arms": runs * arms,
    "arms * sum": arms * runs,
}
print(
    version("hypergrid"),
    "; ".join(f"{name}: " + ", ".join(f"width {run.width} seed {run.seed}" for run in grid) for name, grid in seen.items()),
)
P
seen=$(venv/bin/python look.py)
echo "$seen"
test "$seen" = '0.0.1 sum: width 300 seed 1, width 100 seed 2; sum * arms: width 300 seed 1, width 2 seed 100; arms * sum: width 300 seed 1, width 2 seed 100'
