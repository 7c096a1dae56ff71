#!/usr/bin/env bash
# torch.optim.SGD(fused=True) on a CPU: do equal weights with equal gradients stay equal?
#
# Guess: yes. The update of a weight reads that weight, its gradient and its momentum, nothing else.
# Seen (torch 2.13.0, CPU build, one thread, Intel Xeon; November 2026): no. A tensor whose elements are all
#   the same has two values after seven steps: of 1,003 elements the last 3, which fill no vector of 8, are
#   computed by other code, rounded elsewhere, with AVX-512 as with AVX2. So the same weights in a tensor of
#   another length, or in another place of one, get other bits; without `fused` all stay equal.
# Output seen, elements of 1,003 that differ from the first one:
#   fused, avx512: the last 3
#   fused, avx2: the last 3
#   not fused: none
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check 'torch==2.13.0' 'numpy==2.4.1' 2>/dev/null
cat > look.py <<'P'
import sys

import torch

assert torch.__version__.split("+")[0] == "2.13.0", torch.__version__
torch.set_num_threads(1)
fused = sys.argv[1] == "fused"
weight = torch.nn.Parameter(torch.full((1003,), 0.3))
optimizer = torch.optim.SGD([weight], lr=0.1, momentum=0.9, fused=fused)
for step in range(7):
    weight.grad = torch.full((1003,), 0.1 * (step + 1) / 3)
    optimizer.step()
others = (weight.detach() != weight.detach()[0]).nonzero().ravel().tolist()
capability = torch.backends.cpu.get_cpu_capability().lower()
assert others == ([1000, 1001, 1002] if fused else []), others
print(f"{'fused, ' + capability if fused else 'not fused'}: {'the last 3' if fused else 'none'}")
P
ATEN_CPU_CAPABILITY=avx512 venv/bin/python look.py fused
ATEN_CPU_CAPABILITY=avx2 venv/bin/python look.py fused
venv/bin/python look.py other
