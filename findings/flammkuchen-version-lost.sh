#!/usr/bin/env bash
# flammkuchen (a fork of deepdish) loads a dictionary from HDF5 without its numbers and texts named VERSION, CLASS, TITLE or FIELD_...
#
# Guess: load(path) gives back what save(path, dictionary) was given, whatever the keys are; a key that cannot be kept is refused.
# What happens: arrays become datasets, single numbers and texts become attributes of a group, by PyTables. PyTables has names of its own
#   for attributes (CLASS, VERSION, TITLE, FILTERS, FLAVOR, DIRTY, NODE_TYPE and some more, and all that begin with FIELD_). It writes
#   one of these like any other, over its own where there is one, but leaves all of them out of the list of a user's attributes, and
#   load follows that list. The value is in the file and comes back if it is asked for by its path; in the dictionary it is missing,
#   at every level, and nothing is said. An array under the same key comes back.
# Versions: flammkuchen 1.0.3, tables 3.9.2, numpy 1.23.5, scipy 1.11.4, blosc2 2.7.1, numexpr 2.14.1, Python 3.11; November 2026.
# Seen: 1.0.3 saved VERSION CLASS TITLE FIELD_OF_VIEW seed arm/VERSION arm/round, loaded seed arm/round; /VERSION by name: 3; an array VERSION: kept
# ticketlens writes its attributes by h5py, which reserves no names, and a lost one would change `content_sha256` (docs/checkpoint-format.md).
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check --no-compile \
  'flammkuchen==1.0.3' 'tables==3.9.2' 'numpy==1.23.5' 'scipy==1.11.4' 'blosc2==2.7.1' 'numexpr==2.14.1' 2>/dev/null
cat > look.py <<'P'
from importlib.metadata import version

import flammkuchen
import numpy as np


def keys(run):
    arm = [f"arm/{key}" for key in ("VERSION", "round") if key in run["arm"]]
    return [key for key in ("VERSION", "CLASS", "TITLE", "FIELD_OF_VIEW", "seed") if key in run] + arm


run = {"VERSION": 3, "CLASS": 10, "TITLE": "imp", "FIELD_OF_VIEW": 32, "seed": 0, "arm": {"VERSION": 2, "round": 1}}
flammkuchen.save("run.h5", run)
loaded, by_name = flammkuchen.load("run.h5"), flammkuchen.load("run.h5", "/VERSION")
flammkuchen.save("array.h5", {"VERSION": np.arange(3)})
array = "kept" if "VERSION" in flammkuchen.load("array.h5") else "lost"
print(
    f"{version('flammkuchen')} saved {' '.join(keys(run))}, loaded {' '.join(keys(loaded))};",
    f"/VERSION by name: {by_name}; an array VERSION: {array}",
)
P
seen=$(OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 venv/bin/python look.py)
echo "$seen"
test "$seen" = '1.0.3 saved VERSION CLASS TITLE FIELD_OF_VIEW seed arm/VERSION arm/round, loaded seed arm/round; /VERSION by name: 3; an array VERSION: kept'
