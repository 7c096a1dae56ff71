#!/usr/bin/env bash
# NumPy and ml_dtypes: an .npz of float8 weights is written without a word and cannot be read again.
#
# Guess: numpy.savez keeps the narrow types of ml_dtypes (JAX's), or loses their names alike: arrays
#   of bytes come back that can be viewed as the type again.
# Seen (NumPy 2.4.1, ml_dtypes 0.5.4, November 2026): it differs from type to type. bfloat16 and
#   float8_e4m3fn come back as bytes without a name (|V2, |V1). float8_e5m2 is written with the header
#   '<f1', which no NumPy knows: numpy.savez succeeds, numpy.load of that file fails, also with
#   ml_dtypes imported. Save `array.view("u1")` and the type's name beside it.
# Output seen:
#   bfloat16       written, read as |V2
#   float8_e4m3fn  written, read as |V1
#   float8_e5m2    written, not read: descr is not a valid dtype descriptor: '<f1'
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check 'numpy==2.4.1' 'ml_dtypes==0.5.4' 2>/dev/null
venv/bin/python - <<'P'
import ml_dtypes
import numpy as np

assert (np.__version__, ml_dtypes.__version__) == ("2.4.1", "0.5.4")
found = {}
for name in ("bfloat16", "float8_e4m3fn", "float8_e5m2"):
    weights = np.linspace(-1, 1, 6, dtype=np.float32).astype(getattr(ml_dtypes, name))
    np.savez("weights.npz", w=weights)
    try:
        back = np.load("weights.npz")["w"]
        assert back.view(weights.dtype).tobytes() == weights.tobytes()
        found[name] = f"read as {back.dtype.str}"
    except ValueError as error:
        found[name] = f"not read: {error}"
    print(f"{name:14s} written, {found[name]}")
assert found["bfloat16"] == "read as |V2" and found["float8_e4m3fn"] == "read as |V1"
assert "'<f1'" in found["float8_e5m2"]
P
