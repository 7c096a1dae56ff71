"""IDX files of noise, in the layout of MNIST."""

from __future__ import annotations

import gzip
import struct

import numpy as np

RNG = np.random.default_rng(0)


def write_idx(folder, train=20, test=10, is_zipped=False, dashes=True):
    """Write four IDX files; return their arrays by part."""
    folder.mkdir(exist_ok=True)
    found = {}
    for part, prefix, count in (("train", "train", train), ("test", "t10k", test)):
        images = RNG.integers(0, 256, (count, 5, 4)).astype(np.uint8)
        labels = (np.arange(count) % 3).astype(np.uint8)
        found[part] = images, labels
        for kind, array in (("images-idx3-ubyte", images), ("labels-idx1-ubyte", labels)):
            header = bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape)
            name = f"{prefix}-{kind}" if dashes else f"{prefix}-{kind.replace('-idx', '.idx')}"
            content = header + array.tobytes()
            if is_zipped:
                (folder / f"{name}.gz").write_bytes(gzip.compress(content))
            else:
                (folder / name).write_bytes(content)
    return found
