#!/usr/bin/env bash
# A bfloat16 dataset of h5py takes float32 weights without a word and keeps the wrong half of each.
#
# Guess: h5py, which has no bfloat16, refuses a dataset of `ml_dtypes.bfloat16` (NumPy's bfloat16 of JAX and of TensorFlow), or converts
#   float32 weights that are assigned to it.
# What happens: the dataset is made, as two opaque bytes. An assignment of float32 weights copies the first two bytes of each,
#   which on little-endian machines are the low half of the mantissa: read back, 1.0 and -1.63 are 0.0 and a number of the size 1e-17.
#   Weights that are bfloat16 already keep their bytes; what comes back is of type "V2" until the reader says `.view(bfloat16)`.
#   float8_e4m3fn and int4 go the same way, float8_e5m2 is refused with a TypeError.
# Versions: h5py 3.16.0 (HDF5 2.0.0), ml_dtypes 0.5.4, numpy 2.3.5, Python 3.11; November 2026.
# Seen: bfloat16: assigned [0.0, -2.33e-17], stored before [1.0, -1.63], type read |V2
#       float8_e4m3fn: made; int4: made; float8_e5m2: TypeError
# ticketlens writes no bfloat16; of others' .npz files it takes the bytes as they are (files/tensors.py).
set -euo pipefail
cd "$(mktemp -d)"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check \
  'h5py==3.16.0' 'ml_dtypes==0.5.4' 'numpy==2.3.5'
cat > look.py <<'P'
import h5py
import ml_dtypes
import numpy as np

weights = np.array([1.0, -1.63], "float32")
with h5py.File("look.h5", "w") as file:
    assigned = file.create_dataset("assigned", shape=2, dtype=ml_dtypes.bfloat16)
    assigned[...] = weights
    stored = file.create_dataset("stored", data=weights.astype(ml_dtypes.bfloat16))
    read = [data[...].view(ml_dtypes.bfloat16).astype(float) for data in (assigned, stored)]
    shown = ["[" + ", ".join(f"{value:.3}" for value in values) + "]" for values in read]
    print(f"bfloat16: assigned {shown[0]}, stored before {shown[1]}, type read {stored.dtype}")
    outcome = {}
    for name in ("float8_e4m3fn", "int4", "float8_e5m2"):
        try:
            file.create_dataset(name, shape=2, dtype=getattr(ml_dtypes, name))
            outcome[name] = "made"
        except TypeError as error:
            outcome[name] = type(error).__name__
    print("; ".join(f"{name}: {what}" for name, what in outcome.items()))
P
seen=$(venv/bin/python look.py)
echo "$seen"
test "$seen" = 'bfloat16: assigned [0.0, -2.33e-17], stored before [1.0, -1.63], type read |V2
float8_e4m3fn: made; int4: made; float8_e5m2: TypeError'
