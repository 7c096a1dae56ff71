"""Saving a running training: atomic, keyed, checksummed; a stop on SIGTERM."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import h5py
import numpy as np

from ticketlens.files import hdf5
from ticketlens.files.damaged import InUseError, NewerError, damage

log = logging.getLogger(__name__)
LONGEST_SECONDS = 30.0
LARGEST_SHARE = 0.05


class Interrupted(SystemExit):
    """The run was asked to stop; its state is saved. Exits with 143, as SIGTERM does."""

    def __init__(self, message: str) -> None:
        super().__init__(143)
        self.message = message
        log.warning("%s", message)


class StateError(ValueError):
    """A saved state is damaged, or not whole."""


class Saver:
    """Keeps the state of one run in a sibling file, loaded only if it carries the same key.

    The key is a digest of all that determines the run (inputs, spec, code, library, device). Saving
    takes at most 5 % of the time; in long epochs the state is saved every 30 s. With `path` None
    nothing is saved.

    `machine` is what bits depend on beside the key, such as the kind of CPU: a state of another
    machine is resumed with a warning, and `machines` has all that took part, in order.
    """

    def __init__(
        self, path: Path | None, key: str, machine: Mapping[str, str] | None = None
    ) -> None:
        self.path, self.key = path, key
        self.machine = dict(machine or {})
        self.machines = {name: (value,) for name, value in self.machine.items()}
        self.saved_at, self.cost = time.monotonic(), 0.0

    def load(self) -> dict[str, np.ndarray] | None:
        """Return the saved state, or None if there is none for this key or it is damaged.

        Raises OSError if the file cannot be read (permission denied, a failing disk), StateError if
        it may be sound: of a newer HDF5, or open for writing. To start anew would replace it.
        """
        if self.path is None or not self.path.is_file():
            return None
        try:
            return self._load(self.path)
        except StateError as error:
            if isinstance(error.__cause__, (NewerError, InUseError)):
                raise
            log.warning("%s is damaged (%s); starting anew", self.path, error.__cause__)
            return None

    def _load(self, path: Path) -> dict[str, np.ndarray] | None:
        """Read by the library's own reader. Raises StateError for a file that is not whole."""
        arrays: dict[str, np.ndarray] = {}

        def collect(name: str, item: h5py.Group | h5py.Dataset) -> None:
            if isinstance(item, h5py.Dataset):
                arrays[name] = item[()].reshape(tuple(item.attrs["shape"]))

        with hdf5.reading(path, StateError, "it is made anew") as file:
            hdf5.check_seal(path, must_be_there=True)
            stored = hdf5.scalars(file)
            if stored.get("key") != self.key:
                log.info("%s belongs to another configuration; starting anew", path)
                return None
            with damage():
                file.visititems(collect)
        for name, value in self.machine.items():
            earlier = tuple(stored.get(f"machine_{name}") or ())
            if earlier and earlier[-1] != value:
                log.warning(
                    "%s was saved with %s %s and goes on with %s: its bits will be those of "
                    "neither alone; recorded in the trained file", path, name, earlier[-1], value,
                )  # fmt: skip
            self.machines[name] = (*earlier, value) if earlier[-1:] != (value,) else earlier
        return arrays

    def save(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Write the state atomically."""
        if self.path is None:
            return
        start = time.monotonic()
        with hdf5.writing(self.path) as file:
            for name, value in arrays.items():
                flat = np.atleast_1d(value)
                dataset = file.create_dataset(name, data=flat, chunks=flat.shape, fletcher32=True)
                dataset.attrs["shape"] = np.array(value.shape, dtype=np.int64)
            file.attrs["key"] = self.key
            for name, values in self.machines.items():
                file.attrs[f"machine_{name}"] = list(values)
        self.saved_at = time.monotonic()
        self.cost = self.saved_at - start

    def worthwhile(self) -> bool:
        """Say whether a save now, at the end of an epoch, keeps within the share of time."""
        return self.path is not None and self._since() * LARGEST_SHARE >= self.cost

    def overdue(self) -> bool:
        """Say whether so much time has passed that a save in mid-epoch is due."""
        return self.path is not None and self._since() > max(
            LONGEST_SECONDS, self.cost / LARGEST_SHARE
        )

    def discard(self) -> None:
        """Remove the saved state: the run is finished and its result written."""
        if self.path is not None:
            with suppress(FileNotFoundError):
                self.path.unlink()

    def _since(self) -> float:
        return time.monotonic() - self.saved_at


@contextmanager
def stop_on_sigterm() -> Iterator[Callable[[], bool]]:
    """Within the block, SIGTERM only sets a flag; the yielded function says whether it is set.

    Batch systems send SIGTERM some seconds before SIGKILL: time to save. Outside the main thread,
    where Python allows no handlers, the flag stays unset.
    """
    requested = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield requested.is_set
        return
    previous = signal.signal(signal.SIGTERM, lambda *_: requested.set())
    try:
        yield requested.is_set
    finally:
        signal.signal(signal.SIGTERM, previous)
