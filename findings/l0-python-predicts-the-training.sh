#!/usr/bin/env bash
# l0-python predicts new data by the training data: a matrix of the same shape and as many stored numbers as the one it has learned from is not looked at.
#
# Guess: SparseL0Linear(20).fit(X, y) learns a sparse regression by hard concrete gates, and predict(X_new) applies it to other rows. How
#   many rows X_new has does not matter: each prediction is one row times the weights.
# What happens: a SciPy matrix is turned into one of PyTorch, which the model keeps. Whenever a matrix comes with the shape of the kept one
#   and the same number of stored values, it is taken for the same, and the kept one is used. Dense numbers in a sparse format, one-hot
#   columns, or images from which a fixed number of pixels is left always agree in both. So 200 validation rows after 200 training rows
#   are given the 200 predictions of the training rows, bit for bit, and R^2 is below zero; with one row less it is 0.999. Folds of
#   equal size, as in a cross-validation, are such a case. Nothing is said. SparseCalibrationWeights keeps its matrix in the same way.
# Versions: l0-python 0.6.2, torch 2.13.0, numpy 2.4.6, scipy 1.17.1, Python 3.11; December 2026.
# Seen: 0.6.2 R2 of 199 new rows 0.999, of 200 new rows below zero; largest difference of the 200 from the predictions of the training rows 0.0
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check 'torch==2.13.0' 'numpy==2.4.6' 'scipy==1.17.1' 2>/dev/null
venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps 'l0-python==0.6.2' 2>/dev/null
cat > look.py <<'P'
import warnings
from importlib.metadata import version

import numpy as np
import torch
from l0.sparse import SparseL0Linear
from scipy.sparse import csr_matrix

warnings.simplefilter("ignore", UserWarning)
rng = np.random.default_rng(0)
images = rng.normal(size=(400, 20))
answers = images[:, :3] @ [3.0, -2.0, 1.0] + rng.normal(0, 0.1, size=400)
train, train_answers = images[:200], answers[:200]

scores = {}
for rows in (199, 200):
    torch.manual_seed(0)
    model = SparseL0Linear(20, seed=0)
    model.fit(csr_matrix(train), train_answers, lambda_reg=0.01, lr=0.05, epochs=400)
    of_train = model.predict(csr_matrix(train)).numpy()
    predicted = model.predict(csr_matrix(images[200 : 200 + rows])).numpy()
    wanted = answers[200 : 200 + rows]
    scores[rows] = 1 - np.mean((wanted - predicted) ** 2) / np.var(wanted)
difference = np.abs(predicted - of_train).max()
print(
    f"{version('l0-python')} R2 of 199 new rows {scores[199]:.3f}, of 200 new rows",
    f"{'below zero' if scores[200] < 0 else 'above zero'}; largest difference of the 200 from the",
    f"predictions of the training rows {difference:.1f}",
)
P
seen=$(OMP_NUM_THREADS=1 venv/bin/python look.py)
echo "$seen"
test "$seen" = '0.6.2 R2 of 199 new rows 0.999, of 200 new rows below zero; largest difference of the 200 from the predictions of the training rows 0.0'
