#!/usr/bin/env bash
# PyTorch on a CPU, float32: do the bits of an image's logits depend on how many images are beside it?
#
# Guess: no. Each image, or row, is summed over its own inputs; what is beside it decides at most the speed.
# Seen (torch 2.13.0, CPU build, one thread, Intel Xeon; AVX2 alone alike; November 2026): an image alone
#   has other bits. A convolution of one small image goes to another library than that of two images (one
#   of more than 20,480 numbers does not), a linear layer of one row to another kernel, by oneDNN and by
#   the default product alike; more than half of the values differ. Within batches of 25 to 200 all is as
#   guessed. So one image at a time, or a last batch of one, gives slightly other logits than the batch.
# Output seen, values that differ from those within a batch:
#   convolution, 1 small image: more than half
#   convolution, 1 large image: none
#   convolution, 25 images:     none
#   linear, 1 row:              more than half
#   linear, 25 rows, oneDNN:    none
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check 'torch==2.13.0' 'numpy==2.4.1' 2>/dev/null
venv/bin/python - <<'P'
import torch
from torch import nn

assert torch.__version__.split("+")[0] == "2.13.0", torch.__version__
torch.set_num_threads(1)
torch.manual_seed(0)


def share(function, x, rows):
    """Share of values that differ between pieces of so many rows and one pass."""
    pieces = torch.cat([function(piece) for piece in x.split(rows)])
    return (pieces != function(x)).double().mean().item()


with torch.inference_mode():
    convolution = nn.Conv2d(16, 32, 3, padding=1)
    small, large = torch.randn(200, 16, 16, 16), torch.randn(8, 16, 64, 64)
    rows, weight, bias = torch.randn(200, 256), torch.randn(64, 256) / 16, torch.randn(64)

    def onednn(x):
        return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")

    def default(x):
        return nn.functional.linear(x, weight, bias)

    seen = {
        "convolution, 1 small image": share(convolution, small, 1),
        "convolution, 1 large image": share(convolution, large, 1),
        "convolution, 25 images": share(convolution, small, 25),
        "linear, 1 row": min(share(onednn, rows, 1), share(default, rows, 1)),
        "linear, 25 rows, oneDNN": share(onednn, rows, 25),
    }
for name, value in seen.items():
    print(f"{name + ':':27} {'none' if value == 0 else 'more than half' if value > 0.5 else value}")
assert [value > 0.5 for value in seen.values()] == [True, False, False, True, False], seen
assert sum(value == 0 for value in seen.values()) == 3, seen
P
