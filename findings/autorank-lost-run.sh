#!/usr/bin/env bash
# With one lost run autorank reports that two arms differ significantly, whatever they are.
#
# Guess: where a seed has no value in one arm (a run that was lost), `autorank` refuses the table or leaves the seed out.
# What happens: the test's p is NaN, and `create_report`, which asks whether p is at least alpha, writes that the null
#   hypothesis is rejected (p=nan) and one arm is significantly larger. Below are two arms of one distribution.
#   Nothing is printed but the text; `result.pvalue` is the NaN.
# Versions: autorank 1.3.0, numpy 2.4.6, scipy 1.17.1, pandas 3.1.1, statsmodels 0.15.0, Python 3.11; November 2026.
# Seen: 1.3.0 complete: p 0.38, failed to reject; one value lost: p nan, significantly larger
# ticketlens pairs the seeds that both arms have and says how many there were (column n of tables/contrasts.csv).
set -euo pipefail
cd "$(mktemp -d)"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check \
  'autorank==1.3.0' 'numpy==2.4.6' 'scipy==1.17.1' 'pandas==3.1.1' 'statsmodels==0.15.0'
cat > look.py <<'P'
import contextlib
import io
from importlib.metadata import version

import numpy as np
import pandas as pd
from autorank import autorank, create_report

rng = np.random.default_rng(0)
arms = pd.DataFrame(rng.normal(50, 0.5, (8, 2)), columns=["one", "other"])


def said(table):
    with contextlib.redirect_stdout(io.StringIO()) as text:
        result = autorank(table, alpha=0.05, verbose=False)
        create_report(result)
    words = ("failed to reject the null hypothesis (p", "significantly larger")
    (found,) = [word for word in words if word in text.getvalue()]
    return f"p {result.pvalue:.2f}, {found.removesuffix(' the null hypothesis (p')}"


lost = arms.copy()
lost.iloc[2, 1] = np.nan
print(version("autorank"), f"complete: {said(arms)}; one value lost: {said(lost)}")
P
seen=$(venv/bin/python -W ignore look.py)
echo "$seen"
test "$seen" = '1.3.0 complete: p 0.38, failed to reject; one value lost: p nan, significantly larger'
