"""Prepared data sets: one HDF5 file with a fixed stratified split, in shuffled order.

`/{train,validation,test}/{images,labels}`: images uint8 (n, height, width, channels), labels int64;
root attributes mean, std (per channel, of pixels scaled to [0, 1], from the training part alone),
classes, sha256 (over all arrays), source, name, left_out (JSON: how many files were not
read, by reason). Networks see channel-first float32 images,
(pixel/255 − mean)/std; a fully connected layer sees them flattened in that order.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import h5py
import numpy as np

from ticketlens.files import hdf5, places
from ticketlens.files.damaged import DamagedError, damage, remake
from ticketlens.files.image_folder import HOW_TO_GET, DatasetError
from ticketlens.files.sources import SOURCES, RawImages
from ticketlens.seeds import stream
from ticketlens.spec import DatasetSpec

log = logging.getLogger(__name__)
PARTS = ("train", "validation", "test")
MEASUREMENT_IMAGES = 500


@dataclass(frozen=True)
class PreparedDataset:
    """The identity of a prepared data set; `read_part` loads its images."""

    path: Path
    name: str
    classes: tuple[str, ...]
    mean: np.ndarray
    std: np.ndarray
    sha256: str
    shape: tuple[int, int, int]
    counts: dict[str, int]

    @property
    def spec(self) -> DatasetSpec:
        """Return what a checkpoint repeats of the data set."""
        return DatasetSpec(self.name, self.sha256, self.shape, len(self.classes))


def prepare(
    output: str | os.PathLike[str],
    name: str,
    source: str,
    path: str | os.PathLike[str],
    validation: int,
    split_seed: int = 0,
    train_on_validation: bool = False,
) -> PreparedDataset:
    """Make the prepared file `output` from `source` (see `sources`) and return its identity.

    `validation` images are set apart from the training images, stratified by class (as equal as
    the counts allow), by the stream (split_seed, "split"); with `train_on_validation` they are
    in the training part as well, and what is validated is no longer unseen.
    Raises DatasetError, saying how to get data, if images are missing, damaged or too few.
    """
    if source not in SOURCES:
        raise DatasetError(f"dataset.source is {source!r}; allowed: {sorted(SOURCES)}")
    raw = SOURCES[source](path)
    parts = split(raw, validation, split_seed, train_on_validation)
    pixels = parts["train"][0]
    mean, std = channel_moments(pixels)
    digest = fingerprint(parts, raw.classes)
    for reason, count in raw.left_out.items():
        log.warning("%s: left out: %d %s", path, count, reason)
    with hdf5.writing(output, is_sealed=False) as file:
        file.attrs.update(
            name=name, source=source, mean=mean, std=std, classes=list(raw.classes), sha256=digest,
            left_out=json.dumps(dict(raw.left_out)),
        )  # fmt: skip
        for part, (images, labels) in parts.items():
            chunk = (min(len(images), 256), *images.shape[1:])
            group = hdf5.new_group(file, part)
            group.create_dataset("images", data=images, chunks=chunk, fletcher32=True)
            group.create_dataset("labels", data=labels, chunks=True, fletcher32=True)
    return open_prepared(output)


def split(
    raw: RawImages, validation: int, split_seed: int, train_on_validation: bool = False
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return {part: (images, labels)}: stratified, every part in shuffled order; see `prepare`.

    Raises DatasetError if a class would be left without training images.
    """
    rng = stream(split_seed, "split")
    counts = np.bincount(raw.train_labels, minlength=len(raw.classes))
    if validation < 1:
        raise DatasetError(f"dataset.validation is {validation}; allowed: at least 1 image")
    shares = _apportion(counts, validation)
    if (shares >= counts).any():
        raise DatasetError(
            f"dataset.validation is {validation} of {len(raw.train_labels)} training images; class "
            f"{raw.classes[int(np.argmax(shares >= counts))]!r} would have none left to train on"
        )
    held_out = np.zeros(len(raw.train_labels), dtype=bool)
    for label, share in enumerate(shares):
        members = np.flatnonzero(raw.train_labels == label)
        held_out[rng.permutation(members)[:share]] = True
    chosen = {
        "train": rng.permutation(np.flatnonzero(~held_out | train_on_validation)),
        "validation": rng.permutation(np.flatnonzero(held_out)),
    }
    test = rng.permutation(len(raw.test_labels))
    return {
        **{part: (raw.train_images[i], raw.train_labels[i]) for part, i in chosen.items()},
        "test": (raw.test_images[test], raw.test_labels[test]),
    }


def channel_moments(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and std per channel of uint8 images scaled to [0, 1], exact sums in integers.

    Raises DatasetError if a channel is constant.
    """
    values = np.arange(256) / 255
    histograms = np.stack([np.bincount(images[..., c].ravel(), minlength=256)
                           for c in range(images.shape[-1])])  # fmt: skip
    shares = histograms / histograms.sum(axis=1, keepdims=True)
    mean = shares @ values
    std = np.sqrt((shares * (values - mean[:, None]) ** 2).sum(axis=1))
    if (std == 0).any():
        raise DatasetError(f"channel {int(np.argmin(std))} of the training images is constant")
    return mean, std


def fingerprint(parts: dict[str, tuple[np.ndarray, np.ndarray]], classes: Sequence[str]) -> str:
    """Return the SHA-256 over classes, shapes, images and labels of all parts."""
    digest = hashlib.sha256("\n".join(classes).encode())
    for part in PARTS:
        images, labels = parts[part]
        digest.update(f"{part}{images.shape}".encode())
        digest.update(cast(Any, np.ascontiguousarray(images)))
        digest.update(cast(Any, np.ascontiguousarray(labels, dtype="<i8")))
    return digest.hexdigest()


def open_prepared(path: str | os.PathLike[str]) -> PreparedDataset:
    """Read the identity of a prepared data set, without its images.

    The file has no seal, as SHA-256 over 186 MB would cost every measurement 0.1 s: checksums of
    HDF5 cover all but the texts, and of these name and sha256 are compared with the tickets'.
    Raises DatasetError if the file is missing, damaged or of another layout.
    """
    with _reading(Path(path)) as file:
        return _identity(file, Path(path))


@contextmanager
def _reading(path: Path) -> Iterator[h5py.File]:
    """Open a prepared data set. Raises DatasetError if it is missing or damaged."""
    if not path.is_file():
        raise DatasetError(f"{path}: no such prepared data set. {HOW_TO_GET}")
    with hdf5.reading(path, DatasetError, remake(path)) as file:
        yield file


def _identity(file: h5py.File, path: Path) -> PreparedDataset:
    """Return what `open_prepared` does, of an open file."""
    classes = hdf5.texts(file, "classes")
    images = {part: _images(file, part, path) for part in PARTS}
    shape = images["train"].shape[1:]
    if any(found.shape[1:] != shape for found in images.values()):
        raise DamagedError("images of several sizes")
    mean, std = (hdf5.attribute(file, key, np.ndarray) for key in ("mean", "std"))
    if not mean.shape == std.shape == shape[-1:] or not (np.isfinite(mean) & (std > 0)).all():
        raise DamagedError(f"mean {mean} and std {std} for {shape[-1]} channels")
    name = hdf5.attribute(file, "name", str)
    if wrong := places.other_dataset(path, name):
        raise DatasetError(wrong)
    return PreparedDataset(
        path=path,
        name=name,
        classes=classes,
        mean=mean,
        std=std,
        sha256=hdf5.attribute(file, "sha256", str),
        shape=shape,
        counts={part: len(found) for part, found in images.items()},
    )


def read_part(
    data: PreparedDataset, part: str, limit: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return (images, labels) of a part: normalised float32 (n, channels, height, width), int64.

    Only the first `limit` images if one is given. Raises DatasetError if the file is damaged.
    """
    pixels, labels = read_pixels(data, part, limit)
    return normalise(pixels, data.mean, data.std), labels


def read_pixels(
    data: PreparedDataset, part: str, limit: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return (pixels, labels) of a part: uint8 (n, height, width, channels), int64.

    Arguments and errors as `read_part`.
    """
    with _reading(data.path) as file:
        return _pixels(file, data, part, limit)


def _pixels(
    file: h5py.File, data: PreparedDataset, part: str, limit: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return what `read_pixels` does, of an open file."""
    found = _images(file, part, data.path)
    stored = hdf5.dataset(file[part], "labels", "int64", len(found))
    with damage():
        pixels, labels = found[:limit], stored[:limit]
    if stored.shape != found.shape[:1] or not _within(labels, len(data.classes)):
        raise DamagedError(f"{part}: labels that are not those of {len(found)} images")
    return pixels, labels


def _images(file: h5py.File, part: str, path: Path) -> h5py.Dataset:
    """Return the images of a part: uint8, not compressed, so that the file's size bounds them."""
    group = hdf5.child(file, part, h5py.Group)
    found = hdf5.dataset(group, "images", "uint8", path.stat().st_size)
    if found.ndim != 4 or min(found.shape) < 1:
        raise DamagedError(f"{found.name} has shape {found.shape}")
    return found


def _within(labels: np.ndarray, classes: int) -> bool:
    return bool(((labels >= 0) & (labels < classes)).all())


def images_of(
    spec: DatasetSpec,
    path: str | os.PathLike[str],
    limit: int | None = MEASUREMENT_IMAGES,
    own_only: bool = True,
) -> np.ndarray:
    """Return the images of `labelled_images_of`, without their labels."""
    return labelled_images_of(spec, path, limit, own_only)[0]


def labelled_images_of(
    spec: DatasetSpec,
    path: str | os.PathLike[str],
    limit: int | None = MEASUREMENT_IMAGES,
    own_only: bool = True,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the first `limit` validation images at `path` for a ticket made on `spec`, and labels.

    With `own_only` they must be the images that the ticket was made on; without, as for tickets of
    the bank, images of their shape and number of classes will do. Raises DatasetError otherwise.
    """
    # Opened once: to open a file is to look through all of it for what would lead HDF5 astray.
    with _reading(Path(path)) as file:
        data = _identity(file, Path(path))
        is_alike = (data.spec.shape, data.spec.classes) == (spec.shape, spec.classes)
        if data.spec != spec and (own_only or not is_alike):
            own = f"{spec.classes} classes of {spec.shape} images"
            raise DatasetError(
                f"{path}: data set {data.name} ({data.sha256[:12]}…) is not the one that the "
                f"ticket was made on: {spec.name} ({spec.sha256[:12]}…); it is measured on "
                f"{'its own images' if own_only else own} only"
            )
        pixels, labels = _pixels(file, data, "validation", limit)
    return normalise(pixels, data.mean, data.std), labels


def normalise(pixels: np.ndarray, mean: np.ndarray, std: np.ndarray) -> np.ndarray:
    """Return (pixel/255 − mean)/std as float32 (n, channels, height, width)."""
    count, height, width, channels = pixels.shape
    images = np.empty((count, channels, height, width), dtype=np.float32)
    for channel in range(channels):  # a look-up table: 256 values instead of one division a pixel
        table = ((np.arange(256) / 255 - mean[channel]) / std[channel]).astype(np.float32)
        images[:, channel] = table[pixels[..., channel]]
    return images


def _apportion(counts: np.ndarray, total: int) -> np.ndarray:
    """Share `total` in proportion to `counts` by largest remainders; ties go by index."""
    exact = counts * (total / counts.sum())
    shares = np.floor(exact).astype(int)
    order = np.argsort(-(exact - shares), kind="stable")
    shares[order[: total - shares.sum()]] += 1
    return cast(np.ndarray, shares)
