#!/usr/bin/env bash
# rmt-denoise takes most of pure noise for signal as soon as there are no more images than pixels.
#
# Guess: MPLawDenoiser estimates the variance of the noise and keeps the components above the upper edge of Marchenko and Pastur. Of images
#   that are one grey and white noise it keeps none, or one by chance, however many images there are.
# What happens: with more images than pixels the variance comes from the least eigenvalue, and is somewhat too large. From about as many
#   images as pixels on downwards (ratio 0.99) it is the mean of the smaller half of the nonzero eigenvalues, over 1 + p/n. Their mean
#   is p/n times the variance: the smaller half, and the one more in the denominator, both make it too small, nine times at p = n.
#   The edge falls into the middle of the bulk, and about half of the noise is put back as signal. Nothing is said.
# Versions: rmt-denoise 2.3.0, numpy 2.4.6, scipy 1.17.1, Python 3.11; November 2026.
# Seen: 2.3.0, 200 pixels, images: estimate over the true variance, components kept (kept if told the variance)
#       400: 1.07, 0 (0); 250: 1.37, 0 (0); 200: 0.11, 118 (0); 100: 0.28, 50 (0); 50: 0.47, 21 (0)
# ticketlens' edge of a spectrum comes from Gaussian draws of the same shape and mask, scaled to the matrix's norm (theory/spikes.py).
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check 'rmt-denoise==2.3.0' 'numpy==2.4.6' 'scipy==1.17.1' 2>/dev/null
cat > look.py <<'P'
from importlib.metadata import version

import numpy as np
from rmt_denoise import MPLawDenoiser

variance = 0.05**2
found = []
for images in (400, 250, 200, 100, 50):
    noise = 0.5 + 0.05 * np.random.default_rng(0).normal(size=(images, 10, 20))
    own, told = MPLawDenoiser(), MPLawDenoiser(sigma2=variance)
    own.denoise(noise)
    told.denoise(noise)
    found.append(f"{images}: {own.info['sigma2'] / variance:.2f}, {own.info['rank']} ({told.info['rank']})")
print(version("rmt-denoise"), "; ".join(found))
P
seen=$(OMP_NUM_THREADS=1 venv/bin/python look.py)
echo "$seen"
test "$seen" = '2.3.0 400: 1.07, 0 (0); 250: 1.37, 0 (0); 200: 0.11, 118 (0); 100: 0.28, 50 (0); 50: 0.47, 21 (0)'
