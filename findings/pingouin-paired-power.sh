#!/usr/bin/env bash
# The power that pingouin prints beside a paired t-test is that of another effect.
#
# Guess: `pingouin.ttest(x, y, paired=True)` prints the power of that test at the effect seen. The paired test's effect is
#   the mean difference over the standard deviation of the differences, and power then follows from the same noncentral t as
#   the p-value; the closer p is to 0.05, the closer power is to one half.
# What happens: power is worked out from the column beside it, `cohen_d`, which divides by the spread of the values, not of their
#   differences. Where pairs resemble each other (seeds that share initial weights and data order), that is a
#   much smaller effect: 0.10 is printed beside p = 0.07, where the test's own power is 0.45. How many seeds a plan needs is
#   overstated by as much: `power_ttest(contrast="paired")` wants the effect of the differences, and this column is not it.
# Versions: pingouin 0.6.1, numpy 2.3.5, scipy 1.16.3, pandas 2.3.3, Python 3.11; November 2026.
# Seen: 0.6.1 p 0.072 d 0.25 power 0.10, of the differences: d 0.75 power 0.45
# ticketlens states power from the standard deviation of the differences (verdicts/inference.py).
set -euo pipefail
cd "$(mktemp -d)"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check \
  'pingouin==0.6.1' 'numpy==2.3.5' 'scipy==1.16.3' 'pandas==2.3.3'
cat > look.py <<'P'
import numpy as np
import pingouin
from scipy import stats

rng = np.random.default_rng(0)
x = rng.normal(0, 1, 8)
y = x + rng.normal(0.1, 0.3, 8)
row = pingouin.ttest(x, y, paired=True).iloc[0]
p, d, printed = (float(row[name]) for name in ("p_val", "cohen_d", "power"))
own = (x - y).mean() / (x - y).std(ddof=1)
power = pingouin.power_ttest(d=own, n=8, contrast="paired")
# The same from SciPy's noncentral t, so that power_ttest itself is not in doubt.
edge, shift = stats.t.ppf(0.975, 7), own * 8**0.5
assert abs(power - stats.nct.sf(edge, 7, shift) - stats.nct.cdf(-edge, 7, shift)) < 1e-6
assert abs(pingouin.power_ttest(d=d, n=8, contrast="paired") - printed) < 1e-6
print(
    f"{pingouin.__version__} p {p:.3f} d {d:.2f} power {printed:.2f}, "
    f"of the differences: d {own:.2f} power {power:.2f}"
)
P
seen=$(venv/bin/python look.py)
echo "$seen"
test "$seen" = '0.6.1 p 0.072 d 0.25 power 0.10, of the differences: d 0.75 power 0.45'
