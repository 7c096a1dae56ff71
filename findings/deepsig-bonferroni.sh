#!/usr/bin/env bash
# deepsig's correction for several comparisons fades the more comparisons there are, and for two arms nothing can win.
#
# Guess: `aso(a, b, num_comparisons=n)` (almost stochastic order of scores over seeds, Dror et al. 2019) tests at a level of
#   1 - 0.05 / n, as Bonferroni's correction does, and `multi_aso` of two arms, one comparison, says what `aso` says.
# What happens: the level becomes 0.95 + 0.05 / n. That is right for n = 2 alone: with 10 arms (45 comparisons) it is 0.951, as good
#   as no correction. `multi_aso` of two arms has n = 1, hence level 1: its bound is 1 in both directions, which says that
#   neither is better, however far they are apart (NaN where the bootstrap has no spread).
# Versions: deepsig 1.2.8, numpy 2.4.6, scipy 1.17.1, pandas 3.1.1, Python 3.11; November 2026.
# Seen: 1.2.8 as level 0.975 0.9667 0.9511, not 0.975 0.9833 0.9989; two arms: aso 0.14, multi_aso 1.0 and 1.0
# ticketlens corrects by Holm and Dunnett (verdicts/contrasts.py); tests compare both with closed forms and SciPy.
set -euo pipefail
cd "$(mktemp -d)"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check \
  'deepsig==1.2.8' 'numpy==2.4.6' 'scipy==1.17.1' 'pandas==3.1.1'
cat > look.py <<'P'
from importlib.metadata import version

import numpy as np
from deepsig import aso, multi_aso

rng = np.random.default_rng(1)
better, worse = rng.normal(50.3, 0.5, 8), rng.normal(50, 0.5, 8)
rest = {"show_progress": False, "num_bootstrap_iterations": 200, "seed": 1}
# By which level of one comparison does it test, of the two candidates?
comparisons = (2, 3, 45)
used = [0.95 + 0.05 / n for n in comparisons]
wanted = [1 - 0.05 / n for n in comparisons]
for n, as_used, as_wanted in zip(comparisons, used, wanted):
    bound = aso(better, worse, num_comparisons=n, **rest)
    assert np.isclose(bound, aso(better, worse, confidence_level=as_used, **rest))
    if n > 2:
        assert bound < aso(better, worse, confidence_level=as_wanted, **rest)
alone = aso(better, worse, **rest)
both = multi_aso({"better": better, "worse": worse}, **rest)
assert alone < 0.5
used, wanted = (" ".join(f"{level:.4g}" for level in levels) for levels in (used, wanted))
print(
    f"{version('deepsig')} as level {used}, not {wanted}; "
    f"two arms: aso {alone:.2f}, multi_aso {both[0, 1]} and {both[1, 0]}"
)
P
seen=$(venv/bin/python -W ignore look.py)
echo "$seen"
test "$seen" = '1.2.8 as level 0.975 0.9667 0.9511, not 0.975 0.9833 0.9989; two arms: aso 0.14, multi_aso 1.0 and 1.0'
