"""What is wrong with a file, in words: the errors that readers raise, and what to do about them.

Errors of a file's content name no path; `hdf5.reading` and other callers add it.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager

LFS = b"version https://git-lfs"
IN_LFS = "a pointer of Git LFS, not the file itself; `git lfs pull` fetches that"
_NEWER = re.compile(r"\b(bad|wrong|unknown)\b.*\bversion\b")  # HDF5: "bad version number for …"


class DamagedError(ValueError):
    """A file is not what was written, or holds what it should not; callers add the path."""


class NewerError(DamagedError):
    """A file holds what only a newer HDF5 reads; the file itself may be sound."""


class InUseError(DamagedError):
    """A file is open for writing, or was not closed; the file itself may be sound."""


class ElsewhereError(DamagedError):
    """A file only says where its content is; that may be sound."""


def remake(path: str | os.PathLike[str]) -> str:
    """Return what to do about a damaged file that a job makes: it may be somebody else's file."""
    return f"move it away and make it again: snakemake {shlex.quote(str(path))} all"


def printable(text: object) -> str:
    """Return text of a stranger as one short line without control characters."""
    line = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(text))
    return line if len(line) <= 400 else f"{line[:400]}…"


@contextmanager
def damage() -> Iterator[None]:
    """Let what HDF5 says of a file's content become a DamagedError; errors of the system pass.

    A version that this HDF5 does not know becomes a NewerError: checksums come before versions.
    """
    try:
        yield
    except DamagedError:
        raise
    except (OSError, KeyError, RuntimeError, TypeError, ValueError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        kind = NewerError if _NEWER.search(str(error)) else DamagedError
        raise kind(f"{type(error).__name__}: {error}") from error
