#!/usr/bin/env bash
# With momentum, the eigenvalues of hessian-eigenthings are too small by just that momentum, and are said to have converged.
#
# Guess: power iteration with `momentum` gets to the same leading eigenvalues of the Hessian, in fewer steps.
# What happens: the vectors are right. The eigenvalue, however, is read off the product from which momentum times the last vector has been
#   taken away already. Near the end the last vector and this one are the same, and what comes out is the eigenvalue minus `momentum`.
#   The residual is formed from the same product, and so is small: `converged` is True. Each leading eigenvalue is off alike.
# Versions: hessian-eigenthings 1.0.0a5, torch 2.13.0, numpy 2.4.6, Python 3.11; November 2026.
# Seen: 1.0.0a5 exact 0.6390 0.5133; momentum 0: 0.6390 0.5133, converged True; 0.1: 0.5390 0.4133, converged True; 0.2: 0.4390 0.3133, converged True; cosine to the exact vector 1.000
# ticketlens leaves leading eigenvalues to ARPACK and LAPACK, by way of SciPy (tables/large_spectra.py).
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check \
  'hessian-eigenthings==1.0.0a5' 'torch==2.13.0' 'numpy==2.4.6' 2>/dev/null
cat > look.py <<'P'
from importlib.metadata import version

import torch
from hessian_eigenthings import HessianOperator, deflated_power_iteration
from torch import nn

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
batch = (torch.randn(256, 10), torch.randint(0, 3, (256,)))
network = nn.Sequential(nn.Linear(10, 20), nn.Tanh(), nn.Linear(20, 3))
hessian = HessianOperator(
    network, [batch], lambda model, b: nn.functional.cross_entropy(model(b[0]), b[1])
)
matrix = torch.stack([hessian.matvec(row) for row in torch.eye(hessian.size)])
exact, vectors = torch.linalg.eigh(matrix)
said, cosines = [], []
for momentum in (0, 0.1, 0.2):
    found = deflated_power_iteration(
        hessian, k=2, max_iter=2000, tol=1e-6, momentum=momentum, seed=0
    )
    first, second = found.eigenvalues
    cosines.append((found.eigenvectors[0] @ vectors[:, -1]).abs().item())
    said.append(f"{momentum}: {first:.4f} {second:.4f}, converged {bool(found.converged.all())}")
print(
    f"{version('hessian-eigenthings')} exact {exact[-1]:.4f} {exact[-2]:.4f}; momentum",
    "; ".join(said) + f"; cosine to the exact vector {min(cosines):.3f}",
)
P
seen=$(OMP_NUM_THREADS=1 venv/bin/python -W ignore look.py)
echo "$seen"
test "$seen" = '1.0.0a5 exact 0.6390 0.5133; momentum 0: 0.6390 0.5133, converged True; 0.1: 0.5390 0.4133, converged True; 0.2: 0.4390 0.3133, converged True; cosine to the exact vector 1.000'
