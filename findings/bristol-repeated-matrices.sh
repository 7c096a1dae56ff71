#!/usr/bin/env bash
# bristol's ensembles of random matrices hold one matrix per chunk, over and over: 400 spectra are 4 different ones.
#
# Guess: eigen_circular_ensemble(N, cSize=100, nchunks=4, seeds=[...]) draws cSize matrices for each of the four seeds, 400 in all, as its
#   documentation says. The more matrices, the closer is a mean over them to that of the ensemble.
# What happens: the seed of a chunk is handed on to the function that draws a single matrix, which sets NumPy's generator to it each time.
#   All matrices of a chunk are the same one. cSize does nothing but repeat it: the spread over the ensemble, from which the package
#   measures spectral ergodicity, stays that of four matrices, whatever cSize is. Nothing is said.
# Versions: bristol 0.2.14, numpy 2.4.6, Python 3.11; November 2026. (Its modules on networks need torchvision; this one needs NumPy.)
# Seen: 0.2.14 CUE: 400 matrices, 4 different; 4 matrices, 4 different; distance of the two ergodicity measures 0.000
# A random stream of ticketlens is made once for a seed and a purpose (seeds.py); the draws of one purpose follow one another in it.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check 'numpy==2.4.6' 2>/dev/null
venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps 'bristol==0.2.14' 2>/dev/null
cat > look.py <<'P'
from importlib.metadata import version

import numpy as np
from bristol.ensembles import Circular
from bristol.spectral import Ergodicity

found, measures = [], []
for repeats in (100, 1):
    ensemble = Circular().eigen_circular_ensemble(
        8, cSize=repeats, nchunks=4, ensemble="CUE", seeds=[1, 2, 3, 4], parallel=False
    )
    spectra = ensemble["c_eigen"].reshape(4 * repeats, 8)
    different = len(np.unique(spectra.round(6), axis=0))
    found.append(f"{len(spectra)} matrices, {different} different")
    measures.append(Ergodicity().thirumalai_mountain(spectra.ravel(), len(spectra), 8))
distance = float(np.abs(measures[0] - measures[1]).max())
print(f"{version('bristol')} CUE: {'; '.join(found)}; distance of the two ergodicity measures {distance:.3f}")
P
seen=$(OMP_NUM_THREADS=1 venv/bin/python look.py)
echo "$seen"
test "$seen" = '0.2.14 CUE: 400 matrices, 4 different; 4 matrices, 4 different; distance of the two ergodicity measures 0.000'
