#!/usr/bin/env bash
# torch.load(mmap=True) on a checkpoint whose zip members are compressed: other weights, no error.
#
# Guess: a .pt file is a zip, so one that an archiver has written anew, compressed, loads as before,
#   or is refused, whatever `mmap` says.
# Seen (torch 2.13.0, November 2026): without mmap the members are inflated and the weights are right.
#   With mmap=True the storages are mapped where the members begin: the compressed bytes become the
#   weights, of the right shape and type, without a word. weights_only=True changes nothing.
# Output seen:
#   mmap=False: the same weights
#   mmap=True:  other weights, no error
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check 'torch==2.13.0' 'numpy==2.4.1' 2>/dev/null
venv/bin/python - <<'P' 2>/dev/null
import zipfile
import torch
assert torch.__version__.split("+")[0] == "2.13.0", torch.__version__
weight = torch.arange(64.0).reshape(8, 8)
torch.save({"weight": weight}, "stored.pt")
with zipfile.ZipFile("stored.pt") as old, zipfile.ZipFile("packed.pt", "w", zipfile.ZIP_DEFLATED) as new:
    for member in old.infolist():
        new.writestr(member.filename, old.read(member))
whole = torch.load("packed.pt", weights_only=True)["weight"]
mapped = torch.load("packed.pt", weights_only=True, mmap=True)["weight"]
print("mmap=False:", "the same weights" if torch.equal(whole, weight) else "other weights")
print("mmap=True: ", "the same weights" if torch.equal(mapped, weight) else "other weights, no error")
assert torch.equal(whole, weight) and mapped.shape == weight.shape
assert not torch.equal(mapped, weight), "behaviour has changed"
P
