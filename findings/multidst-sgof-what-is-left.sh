#!/usr/bin/env bash
# multidst's SGoF returns what chance explains, not the rest: of 20 clear differences it finds 2, and where there are none it corrects nothing.
#
# Guess: sgof_test(p_values, alpha) is the correction SGoF (Carvajal-Rodriguez et al. 2009): it asks whether more p-values are below alpha
#   than chance puts there, and declares significant as many of the smallest as are too many. Of 20 comparisons that all have p below
#   1e-6 that is nearly all; of 20 comparisons of equal arms it is none, but for one study in twenty.
# What happens: the loop takes p-values away from those below alpha, one by one, until the rest is no more than chance explains. What it
#   took away is SGoF's answer. The function returns the rest. So it finds at most as many differences as chance would, however many
#   there are (2 of 20, where Bonferroni in the same package finds 20), and where nothing is too many the loop does nothing and
#   every p below alpha counts as significant: 639 of 1000 studies of equal arms report a difference, the same as uncorrected. `multitest`,
#   the package's summary of all its methods, shows the same. Nothing is said.
# Versions: multidst 0.1.11, numpy 2.4.6, scipy 1.17.1, Python 3.11; November 2026. (The whole package needs matplotlib; this needs two files.)
# Seen: 0.1.11 of 20 differences SGoF finds 2, Bonferroni 20; of 1000 studies of equal arms SGoF calls 639, Bonferroni 45, no correction 639
# ticketlens adjusts the p-values of its arms by Holm's method in statsmodels (verdicts/inference.py).
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check --no-compile 'numpy==2.4.6' 'scipy==1.17.1' 2>/dev/null
venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps 'multidst==0.1.11' 2>/dev/null
cat > look.py <<'P'
import importlib.util
from importlib.metadata import files, version

import numpy as np


def method(name):  # its file alone: the package draws figures when it is imported
    path = next(str(file.locate()) for file in files("multidst") if str(file).endswith(f"methods/{name}.py"))
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


sgof_test, bonferroni = method("sgof").sgof_test, method("bonf").bonferroni


def found(test, p_values):
    return len(test(list(p_values), alpha=0.05)[1])


different = np.linspace(1e-9, 1e-6, 20)
equal = np.random.default_rng(0).uniform(size=(1000, 20))
calls = [sum(found(test, p) > 0 for p in equal) for test in (sgof_test, bonferroni)]
print(
    f"{version('multidst')} of 20 differences SGoF finds {found(sgof_test, different)}, Bonferroni {found(bonferroni, different)};",
    f"of 1000 studies of equal arms SGoF calls {calls[0]}, Bonferroni {calls[1]}, no correction {(equal.min(1) < 0.05).sum()}",
)  # fmt: skip
P
seen=$(OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 venv/bin/python look.py)
echo "$seen"
test "$seen" = '0.1.11 of 20 differences SGoF finds 2, Bonferroni 20; of 1000 studies of equal arms SGoF calls 639, Bonferroni 45, no correction 639'
