#!/usr/bin/env bash
# The Tracy-Widom quantiles that a strict test of spikes needs are NaN, for real matrices alone.
#
# Guess: `TracyWidom(beta=1).cdfinv(p)` inverts `cdf` for every p below 1, beyond its table by the same asymptotic law as `cdf`.
# What happens: beyond the table's end, x = 4 or p = 0.9998, the inverse law starts its iteration at x = 1, where with the constants of
#   beta = 1 it takes log1p of a number below -1: NaN, with a RuntimeWarning. Beta 2 and 4 are right, and `cdf` is right for
#   all three. Weights are real matrices, beta 1; a level of 0.05 shared among 9 layers, 16 rounds and 3 seeds asks for
#   p = 0.99988. `eigenvalue > NaN` is False: no spike is ever found, which looks like a result.
# Versions: TracyWidom 0.4.0, numpy 2.3.5, scipy 1.16.3, Python 3.11; November 2026.
# Seen: p = 0.9996: beta 1 3.724, beta 2 1.612, beta 4 0.314
#       p = 0.9999: beta 1 nan, beta 2 2.035, beta 4 0.632
#       p = 0.999999: beta 1 nan, beta 2 3.212, beta 4 1.477
#       1 - cdf(4.5), beta 1: 7.6e-05
# ticketlens has no Tracy-Widom quantiles: spikes are judged by draws of the null.
set -euo pipefail
cd "$(mktemp -d)"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check \
  'TracyWidom==0.4.0' 'numpy==2.3.5' 'scipy==1.16.3'
cat > look.py <<'P'
from TracyWidom import TracyWidom

laws = {beta: TracyWidom(beta=beta) for beta in (1, 2, 4)}
for p in (0.9996, 0.9999, 0.999999):
    shown = ", ".join(f"beta {beta} {law.cdfinv(p):.3f}" for beta, law in laws.items())
    print(f"p = {p}: {shown}")
print(f"1 - cdf(4.5), beta 1: {1 - laws[1].cdf(4.5):.1e}")
P
seen=$(venv/bin/python look.py 2> messages)
grep -q "invalid value encountered in log1p" messages
echo "$seen"
test "$seen" = 'p = 0.9996: beta 1 3.724, beta 2 1.612, beta 4 0.314
p = 0.9999: beta 1 nan, beta 2 2.035, beta 4 0.632
p = 0.999999: beta 1 nan, beta 2 3.212, beta 4 1.477
1 - cdf(4.5), beta 1: 7.6e-05'
