#!/usr/bin/env bash
# PyTorch on a CPU: bfloat16 numbers below 1.2e-38 count in a product of matrix and vector and not in one of matrices.
#
# Guess: bfloat16 has the exponents of float32 and products are summed in float32, so 64 products
#   1e-39 * 1 sum to 6.5e-38, a normal number, by whatever function and on whatever CPU.
# Seen (torch 2.13.0, oneDNN inside it, November 2026, Intel Xeon with AMX): mm and bmm give 0.0, mv and a linear
#   layer of one sample give 6.5e-38, on the same CPU. The instructions for bfloat16 (AMX and AVX512_BF16)
#   take such operands as zeros, by definition; mv does not use them, and a CPU without them
#   (or ONEDNN_MAX_CPU_ISA=AVX512_CORE) gives 6.5e-38 everywhere. So results below 1e-38 depend on CPU and function.
#   What must have the same bits everywhere rounds such numbers to zero itself: ticketlens' docs/precision.md does.
# Output seen:
#   as the CPU has it:   mm 0  bmm 0  mv 6.47e-38  linear of one sample 6.47e-38
#   AVX512_CORE at most: mm 6.47e-38  bmm 6.47e-38  mv 6.47e-38  linear of one sample 6.47e-38
#   (a CPU without avx512_bf16 prints the second line twice)
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check 'torch==2.13.0' 'numpy==2.4.1' 2>/dev/null
cat > program.py <<'P'
import sys

import torch

assert torch.__version__.split("+")[0] == "2.13.0", torch.__version__
small, ones = torch.full((32, 64), 1e-39).bfloat16(), torch.ones(64, 32).bfloat16()
products = {
    "mm": torch.mm(small, ones),
    "bmm": torch.bmm(small[None], ones[None]),
    "mv": torch.mv(small, ones[:, 0].contiguous()),
    "linear of one sample": torch.nn.functional.linear(small[:1], ones.t().contiguous()),
}
values = {name: float(found.float().unique()) for name, found in products.items()}
print(f"{sys.argv[1]:20s} " + "  ".join(f"{name} {value:.3g}" for name, value in values.items()))
flushed = {"mm", "bmm"} if sys.argv[2] == "yes" else set()
assert {name for name, value in values.items() if value == 0.0} == flushed, "the behaviour has changed"
P
has=no; if grep -qw avx512_bf16 /proc/cpuinfo; then has=yes; fi
venv/bin/python program.py "as the CPU has it:" $has
ONEDNN_MAX_CPU_ISA=AVX512_CORE venv/bin/python program.py "AVX512_CORE at most:" no
