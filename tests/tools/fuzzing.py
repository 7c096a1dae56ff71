"""Fuzzing of the readers: mutated files, each read in a child process that a parent watches.

`python tests/tools/fuzzing.py SECONDS [NAME]` fuzzes every reader for its share of the time, or
those whose name has NAME in it, and prints counts.
Every input follows from (target, number), so that `fuzz(target, [number])` repeats it.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import resource
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from core_tools import write_images
from ticketlens import checkpoint
from ticketlens.files import dataset, hdf5, sources
from ticketlens.spec import Spec
from ticketlens.tickets import bank, trained_bank
from ticketlens.tickets.initialization import initial_layers
from ticketlens.tickets.pruning import prune
from ticketlens.training import resume

HANG_SECONDS = 30.0  # on a busy machine; a good reader takes milliseconds
MEMORY = 1 << 30  # bytes that a reader may take beyond what the process has
INTERESTING = (0, 1, 0x7F, 0xFF, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**63 - 1, 2**64 - 1)


@dataclass(frozen=True)
class Target:
    """A reader, an original file, its own exceptions, and whether all damage must be seen."""

    name: str
    original: Path
    read: Callable[[Path], object]
    errors: tuple[type[Exception], ...]
    is_checksummed: bool = True
    is_sealed_again: bool = False


@dataclass
class Findings:
    """Counts of outcomes, and what must not happen: (target, number, what)."""

    outcomes: Counter
    bad: list[tuple[str, int, str]]


def targets(folder: Path) -> list[Target]:
    """Make one original file per reader and file layout in `folder`; return the targets."""
    images = write_images(folder / "images", train=6, test=2)
    archive = Path(shutil.make_archive(str(folder / "images"), "zip", images))
    prepared = dataset.prepare(folder / "prepared.h5", "tiny", "folder", images, validation=3)
    spec = Spec.from_mapping(
        {"network": {"hidden_layers": 2, "width": 6}, "training": {"epochs": 2}}
    ).replace(dataset=prepared.spec)
    theta = initial_layers(spec, 1)
    ticket = checkpoint.Checkpoint("ticket", "tiny", 1, 0, "imp", spec, theta)
    history = {"train_loss": np.ones(2), "best_epoch": np.ones(1)}
    best = tuple((layer.weight, layer.bias) for layer in theta)
    trained = replace(ticket, kind="trained", history=history, best_validation=best)
    pruned = prune(theta, theta, spec.pruning, seed=1, round_=1)
    mask = replace(
        ticket, kind="mask", round=1,
        layers=tuple(replace(layer, weight=None, bias=None, mask=kept)
                     for layer, kept in zip(theta, pruned, strict=True)),
    )  # fmt: skip
    files = {name: folder / f"{name}.h5" for name in ("ticket", "trained", "mask", "trained1")}
    for name, made in (("ticket", ticket), ("trained", trained), ("mask", mask)):
        checkpoint.write(files[name], made)
    checkpoint.write(files["trained1"], replace(trained, round=1))
    chain = (files["ticket"], [files["mask"]], [files["trained"], files["trained1"]])
    bank.export(folder / "bank.h5", *chain)
    trained_bank.export(folder / "rounded.h5", [files["trained"]])
    resume.Saver(folder / "state.h5", "key").save({"position": np.arange(3), "a/b": np.ones(5)})
    found = [
        Target("checkpoint", files["trained"], _read_checkpoint, (checkpoint.CheckpointError,)),
        Target("summary", files["trained"], checkpoint.read_summary, (checkpoint.CheckpointError,)),
        Target("bank", folder / "bank.h5", bank.read_bank, (bank.BankError,), False, True),
        Target("rounded", folder / "rounded.h5", _read_rounded, (bank.BankError,), False, True),
        Target("dataset", folder / "prepared.h5", _read_dataset, (dataset.DatasetError,)),
        Target("state", folder / "state.h5", _read_state, ()),
    ]
    errors = (sources.DatasetError,)
    return [*found, Target("zip", archive, sources.folder, errors, is_checksummed=False)]


def _read_checkpoint(path: Path) -> object:
    found = checkpoint.read(path)
    return found.content_sha256, found.attrs


def _read_rounded(path: Path) -> object:
    found = trained_bank.load(path, 0, "imp")
    return found.content_sha256, found.attrs


def _read_dataset(path: Path) -> object:
    data = dataset.open_prepared(path)
    parts = [dataset.read_part(data, part) for part in dataset.PARTS]
    return data.mean, data.std, data.shape, data.counts, parts


def _read_state(path: Path) -> object:
    return resume.Saver(path, "key").load()


def mutated(original: bytes, number: int) -> bytes:
    """Return the mutation of `original` that belongs to `number`; without a seal."""
    rng = np.random.default_rng(number)
    if original[-hdf5.SEAL_BYTES :].startswith(hdf5.SEAL):
        original = original[: -hdf5.SEAL_BYTES]
    raw = bytearray(original)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 16))):
        at, kind = int(rng.integers(len(raw))), rng.integers(7)
        length = int(2 ** rng.uniform(0, 9))
        if kind <= 1:
            raw[at] ^= 1 << int(rng.integers(8))
        elif kind == 2:
            width = int(rng.choice((1, 2, 4, 8)))
            value = INTERESTING[rng.integers(len(INTERESTING))] % 256**width
            raw[at : at + width] = value.to_bytes(width, rng.choice(("little", "big")))
        elif kind == 3:
            raw[at : at + length] = bytes(len(raw[at : at + length]))
        elif kind == 4:
            raw[at : at + length] = rng.bytes(len(raw[at : at + length]))
        elif kind == 5:
            other = int(rng.integers(len(raw)))
            piece = raw[other : other + length]
            raw[at : at + len(piece)] = piece
        else:
            raw = raw[: max(1, at)] if rng.random() < 0.3 else raw[:at] + raw[at + length :]
            raw = raw or bytearray(b"\0")
    return bytes(raw)


def fuzz(target: Target, numbers: Iterable[int], seconds: float = np.inf) -> Findings:
    """Read mutation after mutation; return what happened. Children that die are replaced."""
    findings, numbers = Findings(Counter(), []), iter(numbers)
    deadline = time.monotonic() + seconds
    context = multiprocessing.get_context("fork")
    number = next(numbers, None)
    while number is not None and time.monotonic() < deadline:
        here, there = context.Pipe()
        child = context.Process(target=_child, args=(target, there), daemon=True)
        child.start()
        there.close()
        while number is not None and time.monotonic() < deadline:
            here.send(number)
            try:
                answer = here.recv() if here.poll(HANG_SECONDS) else "hang"
            except (EOFError, ConnectionResetError):
                child.join()
                answer = f"crash ({child.exitcode})"
            name = answer.split(":")[0]
            findings.outcomes[name] += 1
            if name not in ("same", "refused", "other"):
                findings.bad.append((target.name, number, answer))
            number = next(numbers, None)
            if name.startswith(("hang", "crash", "memory")):
                break
        child.kill()
        child.join()
    return findings


def _child(target: Target, pipe) -> None:
    """Answer numbers by outcomes: same, refused, other (not all damage is seen), or what is bad."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    original = target.original.read_bytes()
    wanted = _digest(target.read(target.original))
    size = resource.getpagesize() * int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (size + 8 * MEMORY,) * 2)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / target.original.name
        while True:
            content = mutated(original, pipe.recv())
            seal = hdf5.seal(content) if target.is_sealed_again else b""  # a stranger can, too
            path.write_bytes(content + seal)
            try:
                found = _digest(target.read(path))
                if found == wanted:
                    answer = "same"
                elif found == _digest(None):
                    answer = "refused"
                else:
                    answer = "silently wrong" if target.is_checksummed else "other"
            except target.errors as error:
                answer = "refused" if str(path) in str(error) else f"unnamed: {error}"
            except BaseException as error:
                answer = f"{type(error).__name__}: {error}"
            grown = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
            pipe.send(f"memory: {grown >> 20} MiB" if grown > MEMORY else answer)


def _digest(found: object) -> str:
    """Return a digest of nested results: arrays by their bytes, all else by its repr."""
    if isinstance(found, np.ndarray):
        return hashlib.sha256(
            repr((found.shape, found.dtype)).encode() + found.tobytes()
        ).hexdigest()
    if isinstance(found, dict):
        return _digest([(key, found[key]) for key in sorted(found)])
    if isinstance(found, (list, tuple)):
        return _digest("".join(map(_digest, found)))
    if hasattr(found, "__dataclass_fields__"):
        values = {name: getattr(found, name) for name in found.__dataclass_fields__}
        values.pop("path", None)
        return _digest(values)
    return hashlib.sha256(repr(found).encode()).hexdigest()


def main(seconds: float, only: str = "") -> int:
    """Fuzz all readers; print counts and everything bad; return its number."""
    bad = 0
    with tempfile.TemporaryDirectory() as folder:
        chosen = [target for target in targets(Path(folder)) if only in target.name]
        for target in chosen:
            found = fuzz(target, range(10**9), seconds / len(chosen))
            print(f"{target.name}: {sum(found.outcomes.values())} inputs, {dict(found.outcomes)}")
            for _, number, what in found.bad[:20]:
                print(f"  {number}: {what[:300]}")
            bad += len(found.bad)
    return bad


if __name__ == "__main__":
    sys.exit(bool(main(float(sys.argv[1]), *sys.argv[2:])))
