#!/usr/bin/env bash
# One very small weight, and HDF5 halves later ones: float32 written into a float16 dataset.
#
# Guess: `dataset[...] = weights` with float32 weights and a float16 dataset stores what `weights.astype("float16")` is. At most ties
#   or overflow differ.
# What happens: h5py hands the float32 values to HDF5, which converts them one after the other. Before HDF5 2.0 its own routine keeps
#   something of the first value that is subnormal in float16 (between 3e-8 and 6.1e-5): from there on every value that is rounded
#   up to a power of two comes out half as large. Of a million normal weights of standard deviation 0.05 about 370 are halved,
#   without any message. `create_dataset(data=weights, dtype="float16")` converts by NumPy and is right. The wheel of h5py 3.15.1
#   (HDF5 1.14.6) is right for little-endian float16, which it leaves to the compiler's type, and still wrong for ">f2".
# Versions: h5py 3.14.0 (HDF5 1.14.6), as 3.9.0 (1.12.2), 3.11.0 (1.14.2) and 3.12.1 (1.14.4); h5py 3.16.0 (HDF5 2.0.0);
#   numpy 2.3.5, Python 3.11; November 2026.
# Seen: 1.14.6 [1.0, 0.5, 1.0] by assignment, [1.0, 1.0, 1.0] by data=; 374 of 1048576 weights halved
#       2.0.0 [1.0, 1.0, 1.0] by assignment, [1.0, 1.0, 1.0] by data=; 0 of 1048576 weights halved
# ticketlens rounds by NumPy before it writes (tickets/trained_bank.py).
set -euo pipefail
cd "$(mktemp -d)"
cat > look.py <<'P'
import h5py
import numpy as np


def written(values, by):
    with h5py.File("look.h5", "w") as file:
        if by == "data=":
            file.create_dataset("weight", data=values, dtype="float16")
        else:
            file.create_dataset("weight", shape=values.shape, dtype="float16")[...] = values
        return file["weight"][...].astype(float)


below_one = 1 - 2**-13
few = np.array([below_one, 2e-5, below_one, 1.0], "float32")
shown = {by: written(few, by)[[0, 2, 3]].tolist() for by in ("assignment", "data=")}
many = np.random.default_rng(0).normal(0, 0.05, 2**20).astype("float32")
halved = np.sum(np.abs(written(many, "assignment") / many - 0.5) < 0.01)
print(
    h5py.version.hdf5_version,
    *(f"{values} by {by}{';,'[by == 'assignment']}" for by, values in shown.items()),
    f"{halved} of {many.size} weights halved",
)
P
for version in 3.14.0 3.16.0; do
  python3 -m venv "$version"
  "$version/bin/python" -m pip install --quiet --disable-pip-version-check "h5py==$version" 'numpy==2.3.5'
done
seen=$(for version in 3.14.0 3.16.0; do "$version/bin/python" look.py; done)
echo "$seen"
test "$seen" = '1.14.6 [1.0, 0.5, 1.0] by assignment, [1.0, 1.0, 1.0] by data=; 374 of 1048576 weights halved
2.0.0 [1.0, 1.0, 1.0] by assignment, [1.0, 1.0, 1.0] by data=; 0 of 1048576 weights halved'
