"""A GPU of its own for each training, on machines with several that no scheduler deals out."""

from __future__ import annotations

import fcntl
import logging
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import torch

log = logging.getLogger(__name__)
SECONDS_BETWEEN_LOOKS = 1.0


@contextmanager
def gpu_of_its_own(device: str) -> Iterator[None]:
    """Within the block, "cuda" is a GPU that no other training of this user on this machine holds.

    `device` is the spec's. Nothing happens on the CPU, and nothing where one GPU at most is
    visible: a scheduler dealt it out, or there is no choice.
    """
    number = 0 if device == "cpu" else torch.cuda.device_count()
    if number < 2:
        yield
        return
    # By what they are: the same index can mean another GPU in another process.
    names = [f"gpu-{torch.cuda.get_device_properties(i).uuid}" for i in range(number)]
    with held(names) as index:
        torch.cuda.set_device(index)
        log.info("GPU %d of %d", index, number)
        yield


@contextmanager
def held(names: Sequence[str], folder: Path | None = None) -> Iterator[int]:
    """Hold the first of `names` that no other process holds; yield its index. Waits for one.

    The locks are files in `folder` (default: one per user in the folder for temporary files). They
    are the operating system's: they end with the process, however it ends.
    """
    folder = folder or Path(tempfile.gettempdir()) / f"ticketlens-{os.getuid()}"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    is_waiting = False
    while True:
        for index, name in enumerate(names):
            with open(folder / f"{name}.lock", "w") as lock:
                if is_taken(lock):
                    continue
                yield index
                return
        if not is_waiting:
            is_waiting = True
            log.warning(
                "all %d GPUs are in use by other trainings: waiting for one; "
                "`snakemake --resources gpu=%d` starts no more than there are",
                len(names), len(names),
            )  # fmt: skip
        time.sleep(SECONDS_BETWEEN_LOOKS)


def is_taken(lock: IO[str]) -> bool:
    """Take the lock, unless another process has it; say whether one has."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False
