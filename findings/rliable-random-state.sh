#!/usr/bin/env bash
# rliable's `random_state` does nothing: the same call gives other intervals each time.
#
# Guess: get_interval_estimates(scores, func, random_state=RandomState(1)) gives the same bootstrap intervals at every call, as its
#   documentation says of `random_state`; NumPy's global generator is left alone.
# What happens: the argument gets as far as arch, whose bootstrap keeps it. The two classes of rliable, however, draw their own indices, runs
#   within tasks, by numpy.random.choice, from the global generator. numpy.random.seed decides, `random_state` does not. A verdict
#   whether an interval holds a value may change from run to run of one script. arch warns that the argument is deprecated, not
#   that it has no effect. create_performance_profile draws the same way, and has no such argument.
# Versions: rliable 1.2.0, arch 7.2.0, numpy 2.4.6, scipy 1.17.1, pandas 2.3.3, statsmodels 0.15.0, Python 3.11; November 2026.
# Seen: 1.2.0 random_state 1, four times: 60.09 60.16 60.13 60.13; states 2 to 5 after the same numpy.random.seed: 60.09 60.16 60.13 60.13 (upper ends)
# The bootstrap interval of ticketlens hands its generator on to SciPy (verdicts/inference.py); a test compares two calls.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check \
  'rliable==1.2.0' 'arch==7.2.0' 'numpy==2.4.6' 'scipy==1.17.1' 'pandas==2.3.3' 'statsmodels==0.15.0' 2>/dev/null
cat > look.py <<'P'
import warnings
from importlib.metadata import version

import numpy as np
from rliable import library, metrics

warnings.simplefilter("ignore", FutureWarning)
scores = {"ticket": np.random.default_rng(0).normal(60, 1, size=(8, 4))}  # 8 seeds, 4 data sets


def upper_end(state):
    _, intervals = library.get_interval_estimates(
        scores,
        lambda runs: np.array([metrics.aggregate_iqm(runs)]),
        reps=200,
        random_state=np.random.RandomState(state),
    )
    return f"{intervals['ticket'][1, 0]:.2f}"


np.random.seed(0)
same_state = [upper_end(1) for _ in range(4)]
np.random.seed(0)
other_state = [upper_end(2 + n) for n in range(4)]
print(
    version("rliable"), "random_state 1, four times:", " ".join(same_state) + ";",
    "states 2 to 5 after the same numpy.random.seed:", *other_state,
)  # fmt: skip
P
seen=$(OMP_NUM_THREADS=1 venv/bin/python look.py)
echo "$seen"
test "$seen" = '1.2.0 random_state 1, four times: 60.09 60.16 60.13 60.13; states 2 to 5 after the same numpy.random.seed: 60.09 60.16 60.13 60.13'
