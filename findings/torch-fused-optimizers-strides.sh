#!/usr/bin/env bash
# Fused optimisers of torch.optim on a CPU: a weight with its channels last, and a gradient assigned to it that is
# contiguous (same shape, other strides), as masked gradients that are computed elsewhere are.
#
# Guess: the step subtracts the gradient, whatever the strides; or it refuses them, as it does on a GPU
#   ("params, grads … must have same dtype, device, and layout", pytorch/pytorch issue 106951).
# Seen (torch 2.13.0, CPU build, Intel Xeon; November 2026): neither. `fused=True` reads both as they lie in memory,
#   so that weights get the gradients of other weights, without a word; SGD, Adam and AdamW alike. Without `fused`,
#   and after `backward()`, which lays gradients out as their weights lie, all is right. `weight.grad` assigned by hand
#   needs `.contiguous(memory_format=…)` of the weight. (numpy.stack of transposed arrays makes such weights, too.)
# Output seen, weights of 216 that end more than 1e-3 from where they end without `fused`:
#   SGD, channels last 192, contiguous 0
#   Adam, channels last 150, contiguous 0
#   AdamW, channels last 150, contiguous 0
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check 'torch==2.13.0' 'numpy==2.4.1' 2>/dev/null
cat > look.py <<'P'
import torch

assert torch.__version__.split("+")[0] == "2.13.0", torch.__version__
start = torch.randn(6, 4, 3, 3, generator=torch.Generator().manual_seed(0))
gradients = [torch.linspace(-1, 1, 216).reshape(start.shape), torch.ones_like(start)]


def end(kind, layout, fused):
    weight = torch.nn.Parameter(start.clone().contiguous(memory_format=layout))
    optimizer = kind([weight], lr=0.1, fused=fused)
    for gradient in gradients:
        weight.grad = gradient.clone()
        optimizer.step()
    return weight.detach().contiguous()


for name in ("SGD", "Adam", "AdamW"):
    wrong = []
    for layout in (torch.channels_last, torch.contiguous_format):
        apart = [end(getattr(torch.optim, name), layout, fused) for fused in (True, False)]
        wrong.append(int(((apart[0] - apart[1]).abs() > 1e-3).sum()))
    print(f"{name}, channels last {wrong[0]}, contiguous {wrong[1]}")
    assert wrong[0] > 100 and wrong[1] == 0, wrong
P
venv/bin/python look.py
