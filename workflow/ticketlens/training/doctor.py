"""Ten lines about this machine for a bug report: `make doctor`, or this module with `python -m`.

Nothing is trained, downloaded or changed; what cannot be found out is said in its line.
"""

from __future__ import annotations

import fcntl
import importlib.metadata
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import h5py
import torch
import yaml

from ticketlens.files import hdf5
from ticketlens.training import compiled, cpu

PACKAGES = ("ticketlens", "snakemake", "torch", "numpy", "scipy", "h5py", "pandas")
SUFFIXES = (".h5", ".zip", ".png", ".jpg", ".jpeg")


def lines(config: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return (what, finding) of this machine; `config` says where results and images are."""
    results = Path(config.get("results", "results"))
    dataset = config.get("dataset") or {}
    checks: list[tuple[str, Callable[[], str]]] = [
        ("system", lambda: f"{platform.platform()}, Python {platform.python_version()}"),
        ("packages", _packages),
        ("HDF5", lambda: f"{h5py.version.hdf5_version} (files are written for 1.10 and later)"),
        ("files", lambda: _written_and_read(_existing(results))),
        ("locks", lambda: _locks(_existing(results))),
        ("space", lambda: _space(_existing(results))),
        ("CPU", lambda: f"{cpu.capability()}, {os.cpu_count()} cores"),
        ("GPU", _gpus),
        ("compiler", lambda: " ".join(compiled.compiler())),
        ("images", lambda: _images(Path(str(dataset.get("path", ""))).expanduser(), dataset)),
    ]
    return [(what, _said(check)) for what, check in checks]


def _said(check: Callable[[], str]) -> str:
    """Return a finding, or the error that took its place: a doctor never fails."""
    try:
        return check()
    except Exception as error:
        return f"{type(error).__name__}: {error}".splitlines()[0]


def _packages() -> str:
    versions = []
    for name in PACKAGES:
        try:
            versions.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            versions.append(f"{name} (not installed)")
    return ", ".join(versions)


def _existing(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that is there."""
    return next(part for part in (folder.absolute(), *folder.absolute().parents) if part.is_dir())


def _written_and_read(folder: Path) -> str:
    with tempfile.TemporaryDirectory(dir=folder, prefix=".doctor") as name:
        with hdf5.writing(Path(name, "file.h5")) as file:
            file.attrs["text"] = "doctor"
        with hdf5.reading(Path(name, "file.h5"), ValueError, "try again") as file:
            hdf5.attribute(file, "text", str)
    return f"written and read in {folder}"


def _locks(folder: Path) -> str:
    with tempfile.TemporaryFile(dir=folder) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            return f"none ({error.strerror}); ticketlens needs none for results"
    return f"work in {folder}"


def _space(folder: Path) -> str:
    usage = shutil.disk_usage(folder)
    return f"{usage.free / 2**30:.1f} of {usage.total / 2**30:.1f} GiB free in {folder}"


def _gpus() -> str:
    if not torch.cuda.is_available():
        return "none that PyTorch sees"
    return ", ".join(torch.cuda.get_device_name(n) for n in range(torch.cuda.device_count()))


def _images(path: Path, dataset: Mapping[str, Any]) -> str:
    source = f"dataset.source {dataset.get('source')!r}, path {str(path)!r}"
    if path.is_dir():
        count = sum(file.suffix.lower() in SUFFIXES for file in path.rglob("*"))
        return f"{source}: a folder, {count} image files"
    return f"{source}: {'a file' if path.is_file() else 'not there'}"


def merged(paths: Sequence[str]) -> dict[str, Any]:
    """Return the config of several files, the later ones over the earlier, two levels deep."""
    config: dict[str, Any] = {}
    for path in paths:
        for key, value in (yaml.safe_load(Path(path).read_text(encoding="utf-8")) or {}).items():
            old = config.get(key)
            is_both = isinstance(old, dict) and isinstance(value, dict)
            config[key] = {**cast(dict[str, Any], old), **value} if is_both else value
    return config


if __name__ == "__main__":
    for what, finding in lines(merged(sys.argv[1:])):
        print(f"{what:<9} {finding}")
