#!/usr/bin/env bash
# compactletterdisplay gives arms that differ significantly a letter in common, and tests at 5 % whatever `alpha` it is given.
#
# Guess: arms share a letter if and only if they do not differ significantly, which is all that such letters say; anova_cld(table, alpha=0.01)
#   makes Tukey's test at 1 %.
# What happens: for each pair that differs the method of insertion and absorption has to split every column of letters that holds both arms.
#   The package splits the first such column and goes on to the next pair. With three arms there is no second one; with four and more
#   a pair can keep a letter in common that says they are equal: in 68 of 300 random tables of six arms, in which arms differ that are
#   further apart than a fixed distance. Pairs that do not differ always share one. Which letters go wrong depends on the order of the pairs.
#   `alpha` reaches the analysis of variance before the test, not Tukey's test, where 0.05 is written in; a pair of p = 0.026 is said
#   to differ at 1 %.
# Versions: compactletterdisplay 0.11, statsmodels 0.15.0, scipy 1.17.1, pandas 2.3.3, numpy 2.4.6, Python 3.11; November 2026.
# Seen: 0.11 B and C differ, letters ac ab bc e; wrong in 0 5 30 68 of 300 tables of 3 4 5 6 arms; p = 0.026 at alpha 0.01: A and B differ
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check --no-compile \
  'numpy==2.4.6' 'scipy==1.17.1' 'pandas==2.3.3' 'statsmodels==0.15.0' 2>/dev/null
venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps 'compactletterdisplay==0.11' 2>/dev/null
cat > look.py <<'P'
from importlib.metadata import version
from itertools import combinations

import numpy as np
import pandas as pd
from compactletterdisplay import anova_cld, compact_letter_display
from statsmodels.stats.multicomp import pairwise_tukeyhsd

letters = compact_letter_display([("A", "D"), ("B", "C"), ("B", "D"), ("C", "D")], list("ABCD"))

rng, wrong = np.random.default_rng(0), []
for size in (3, 4, 5, 6):
    tables = 0
    for _ in range(300):
        mean = dict(zip("ABCDEF", rng.normal(0, 1.2, size=size)))
        differ = [(a, b) for a, b in combinations(mean, 2) if abs(mean[a] - mean[b]) > 1.2]
        shown = dict(zip(mean, compact_letter_display(differ, list(mean))))
        tables += any(set(shown[a]) & set(shown[b]) for a, b in differ)
    wrong.append(tables)

seeds = np.linspace(-1, 1, 5)
table = pd.DataFrame({"A": seeds, "B": seeds - 1.6, "C": seeds + 1.6, "D": seeds + 9})
long = table.melt()
p_value = pairwise_tukeyhsd(long["value"], long["variable"]).pvalues[0]
one, other = anova_cld(table, alpha=0.01)["CLD"][:2]
print(
    version("compactletterdisplay"), "B and C differ, letters", " ".join(letters) + "; wrong in", *wrong,
    f"of 300 tables of 3 4 5 6 arms; p = {p_value:.3f} at alpha 0.01: A and B", "are equal" if set(one) & set(other) else "differ",
)  # fmt: skip
P
seen=$(OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 venv/bin/python look.py)
echo "$seen"
test "$seen" = '0.11 B and C differ, letters ac ab bc e; wrong in 0 5 30 68 of 300 tables of 3 4 5 6 arms; p = 0.026 at alpha 0.01: A and B differ'
