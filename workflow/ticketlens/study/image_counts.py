"""How many images a config's data set has, without reading one: what `cost` needs to know."""

from __future__ import annotations

import zipfile
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from ticketlens.files.dataset import open_prepared
from ticketlens.files.sources import PARTS, SOURCES, SUFFIXES, DatasetError, folder, is_hidden
from ticketlens.study.studies import dataset_split

CIFAR10 = {"train": 50_000, "test": 10_000}


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
    if dataset["source"] == "torchvision":
        counts = CIFAR10
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


def _count_files(path: Path) -> Counter[str]:
    """Count the images of the parts in a folder or .zip, none if it is neither."""
    try:
        names = [PurePosixPath(name) for name in _names(path)]
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError):
        return Counter()
    return Counter(
        name.parts[0]
        for name in names
        if len(name.parts) == 3 and name.suffix.lower() in SUFFIXES and not is_hidden(name)
    )


def _names(path: Path) -> Iterable[str]:
    """Return the names of the files of a folder or a .zip."""
    if path.is_dir():
        return [file.relative_to(path).as_posix() for file in path.rglob("*.*")]
    with zipfile.ZipFile(path) as archive:
        return archive.namelist()
