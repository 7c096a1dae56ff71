#!/usr/bin/env bash
# The Marchenko-Pastur law of scikit-rmt draws nothing for square matrices, and a law without zeros for wide ones.
#
# Guess: `MarchenkoPasturDistribution(ratio=r).rvs(size=..., random_state=0)` draws eigenvalues of mean 1 for every ratio, the same at
#   every call; at ratio 2 half of them are 0. A square layer has ratio 1.
# What happens: draws come from a table of the bulk's density at 1000 points, scaled to 1. At ratio 1 the density has no value at the
#   lower edge, 0, and every value drawn is NaN, with a log message of "numerical instability" when the law is made and none when it
#   is drawn from. At ratio 2 only the bulk is drawn: no zeros, mean 2. The law's own `mean()` is a third number, 1.09, because
#   `cdf` is 0.25 at the lower edge and 0.5, as it should be, just above it. Below ratio 1 all three agree. A null made of such draws
#   has no spread for a square layer, and the wrong mean for a wide one. `random_state` is taken and not used: two draws
#   with the same one differ, so that a run is repeated by numpy.random.seed alone.
# Versions: scikit-rmt 1.1.0, numpy 1.26.4, scipy 1.12.0, Python 3.11; November 2026.
# Seen: ratio 0.5: 0 NaN, mean drawn 1.0, mean() 1.00, zeros 0.00, cdf 0.00 at the edge, 0.00 above, repeatable no
#       ratio 1.0: 20000 NaN, mean drawn nan, mean() 1.00, zeros 0.00, cdf 0.00 at the edge, 0.00 above, repeatable yes
#       ratio 2.0: 0 NaN, mean drawn 2.0, mean() 1.09, zeros 0.00, cdf 0.25 at the edge, 0.50 above, repeatable no
set -euo pipefail
cd "$(mktemp -d)"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check \
  'scikit-rmt==1.1.0' 'numpy==1.26.4' 'scipy==1.12.0'
cat > look.py <<'P'
import numpy as np
from skrmt.ensemble.spectral_law import MarchenkoPasturDistribution

for ratio in (0.5, 1.0, 2.0):
    law = MarchenkoPasturDistribution(ratio=ratio)
    edge = (1 - ratio**0.5) ** 2
    drawn, again = (law.rvs(size=20_000, random_state=0) for _ in range(2))
    repeatable = "yes" if np.array_equal(drawn, again, equal_nan=True) else "no"
    print(
        f"ratio {ratio}: {np.isnan(drawn).sum()} NaN, mean drawn {drawn.mean():.1f}, "
        f"mean() {law.mean():.2f}, zeros {np.mean(drawn < 1e-9):.2f}, "
        f"cdf {law.cdf(edge):.2f} at the edge, {law.cdf(edge + 1e-6):.2f} above, repeatable {repeatable}"
    )
P
seen=$(venv/bin/python look.py 2> messages)
grep -q "numerical instability" messages
echo "$seen"
test "$seen" = 'ratio 0.5: 0 NaN, mean drawn 1.0, mean() 1.00, zeros 0.00, cdf 0.00 at the edge, 0.00 above, repeatable no
ratio 1.0: 20000 NaN, mean drawn nan, mean() 1.00, zeros 0.00, cdf 0.00 at the edge, 0.00 above, repeatable yes
ratio 2.0: 0 NaN, mean drawn 2.0, mean() 1.09, zeros 0.00, cdf 0.25 at the edge, 0.50 above, repeatable no'
