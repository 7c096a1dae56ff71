#!/usr/bin/env bash
# PyHessian's trace of the Hessian stops after two samples where the trace is negative, whatever tolerance it is asked for.
#
# Guess: hessian(...).trace(maxIter, tol) draws Hutchinson's random vectors until the running mean changes by less than `tol` of itself.
# What happens: it compares |change| / (mean + 1e-6), without the modulus of the mean. Where the mean is negative the quotient is negative,
#   below any tolerance. The same Hessian with the other sign takes all the samples it may for the same tolerance.
# Versions: PyHessian 0.1, torch 2.13.0, numpy 2.4.6, Python 3.11; November 2026.
# Seen: 0.1 trace 505.0: 200 samples, off by 0.1 %; trace -505.0: 2 samples, off by 2.1 %
# ticketlens' estimates by random vectors take a fixed number of them, whose error is in closed form (measure/jacobian.py).
set -euo pipefail
cd "$(mktemp -d)"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check \
  'PyHessian==0.1' 'torch==2.13.0' 'numpy==2.4.6' 2>/dev/null
cat > look.py <<'P'
from importlib.metadata import version

import torch
from pyhessian import hessian
from torch import nn

torch.manual_seed(0)
rotation, _ = torch.linalg.qr(torch.randn(100, 100))
curvatures = torch.linspace(0.1, 10, 100)


class Bowl(nn.Module):
    """Half of w' H w, where H has the eigenvalues `sign` * curvatures."""

    def __init__(self, sign):
        super().__init__()
        self.w = nn.Parameter(torch.zeros(100))
        self.register_buffer("h", sign * rotation @ torch.diag(curvatures) @ rotation.T)

    def forward(self, images):
        return 0.5 * self.w @ self.h @ self.w + 0 * images.sum()


found = []
torch.manual_seed(1)
for sign in (1, -1):
    data = (torch.zeros(1), torch.zeros(1))
    samples = hessian(Bowl(sign), lambda loss, _: loss, data=data, cuda=False).trace(200, 1e-9)
    trace = sign * curvatures.sum().item()
    off = abs(sum(samples) / len(samples) / trace - 1)
    found.append(f"trace {trace:.1f}: {len(samples)} samples, off by {100 * off:.1f} %")
print(version("pyhessian"), "; ".join(found))
P
seen=$(venv/bin/python -W ignore look.py 2>/dev/null)
echo "$seen"
test "$seen" = '0.1 trace 505.0: 200 samples, off by 0.1 %; trace -505.0: 2 samples, off by 2.1 %'
