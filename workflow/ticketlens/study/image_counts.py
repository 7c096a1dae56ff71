"""How many images a config's data set has, without reading one: what `cost` needs to know."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ticketlens.files import idx
from ticketlens.files.dataset import open_prepared
from ticketlens.files.image_folder import PARTS, DatasetError, listing
from ticketlens.files.sources import PUBLISHED, SOURCES, first_shape, folder, idx_folder
from ticketlens.study import arithmetic
from ticketlens.study.config import refuse
from ticketlens.study.studies import dataset_split


@dataclass(frozen=True)
class Images:
    """Numbers of images of the parts of a data set."""

    train: int
    validation: int
    test: int


def count_images(config: Mapping[str, Any]) -> Images | None:
    """Return the sizes of the parts that the config's data set has, or will have; None: unknown.

    The source is asked first, as a prepared file may be of another split; a source that cannot be
    counted without reading it, or is not there, leaves the prepared file.
    """
    dataset, split = config["dataset"], dataset_split(config)
    counts: Mapping[str, int] = {}
    if dataset["source"] in PUBLISHED:
        known = PUBLISHED[dataset["source"]]
        counts = {"train": known.train, "test": known.test}
    elif SOURCES[dataset["source"]] is idx_folder:
        counts = _count_idx(dataset["path"])
    elif SOURCES[dataset["source"]] is folder:
        counts = _count_files(Path(dataset["path"]))
    if not all(counts.get(part) for part in PARTS):
        return _prepared_images(prepared_file(config))
    validation = min(split["validation"], counts["train"])
    trained = counts["train"] - (0 if split["train_on_validation"] else validation)
    return Images(trained, validation, counts["test"])


def prepared_file(config: Mapping[str, Any]) -> Path:
    """Return where the config's prepared data set is, or will be."""
    return Path("resources", f"{config['dataset']['name']}.h5")


def _prepared_images(path: Path) -> Images | None:
    """Return what a prepared data set has, None if it cannot be read."""
    try:
        return Images(**open_prepared(path).counts)
    except (DatasetError, OSError):
        return None


def _count_files(path: Path) -> Mapping[str, int]:
    """Count the images of the parts in a folder or .zip, none if it cannot be read."""
    try:
        return listing(Path(os.path.expanduser(path))).counts
    except (DatasetError, OSError):
        return {}


def _count_idx(path: str) -> Mapping[str, int]:
    """Count the images of IDX files by their headers, none if they cannot be read."""
    try:
        return {part: idx.shape(path, part)[0] for part in PARTS}
    except (DatasetError, OSError):
        return {}


def check(config: Mapping[str, Any]) -> None:
    """Raise ConfigError if a study cannot train on the images that there are: number and size.

    Asked before the first job; where images are not there yet, the job that prepares them says so.
    """
    counted = count_images(config)
    images = None if counted is None else counted.train
    if counted is not None and images == 0:
        refuse([
            f"dataset.validation is {dataset_split(config)['validation']}, which leaves none of "
            f"the {counted.validation} training images to train on"
        ])  # fmt: skip
    refuse(list(arithmetic.problems(config, image_shape(config), images)))


def cut_measurements(config: Mapping[str, Any]) -> list[str]:
    """Return a line for each number of images to measure on that is more than there are.

    All validation images are used then: tables and pages are about these.
    """
    counted = count_images(config)
    if counted is None:
        return []
    sections = {"measure": config["measure"]} | {
        f"studies.{name}.measure": study["measure"]
        for name, study in config["studies"].items()
        if "measure" in study
    }
    return [
        f"{section}.{key} is {value}; there are {counted.validation} validation images, all of "
        "which are used"
        for section, counts in sections.items()
        for key, value in counts.items()
        if key.endswith("images") and isinstance(value, int) and value > counted.validation
    ]


def image_shape(config: Mapping[str, Any]) -> tuple[int, int, int] | None:
    """Return (height, width, channels) of the images, from the header of one; None: unknown."""
    dataset = config["dataset"]
    if dataset["source"] in PUBLISHED:
        return PUBLISHED[dataset["source"]].shape
    try:
        if SOURCES[dataset["source"]] is idx_folder:
            return (*idx.shape(dataset["path"], "train")[1:], 1)
        path = Path(os.path.expanduser(dataset["path"]))
        if SOURCES[dataset["source"]] is folder and path.exists():
            return first_shape(path)
        return open_prepared(prepared_file(config)).shape
    except (DatasetError, OSError):
        return None
