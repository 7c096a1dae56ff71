"""C sources compiled when first needed, for the machine that runs them, and kept in a cache.

The cached file's name is a digest of the source, the flags and all that the compiler predefines:
its version and the instructions that it found on this machine. So a cluster's nodes may share the
folder, and none loads code that was made for another. Jobs that compile at the same time each
write a whole file; the last rename wins, over the same content.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import logging
import os
import shutil
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

from ticketlens.files.atomic import replacing

log = logging.getLogger(__name__)
# Contraction fuses products and sums wherever the machine can: the bits then follow the source.
FLAGS = ("-std=gnu11", "-O3", "-ffp-contract=fast", "-fPIC")
NATIVE = ("-march=native", "-mcpu=native")


class CompilerError(RuntimeError):
    """There is no C compiler, or it refuses."""


@functools.cache
def library(
    source: Path, flags: tuple[str, ...] | None = None, headers: tuple[Path, ...] = ()
) -> ctypes.CDLL:
    """Compile `source` unless the cache has it, and load it.

    `flags` are all that the compiler is told; None means FLAGS and what this machine has. The
    source includes `headers`, which stand beside it. The compiler is $CC, or else the first of cc,
    gcc, clang on the path. Raises CompilerError if there is none or it fails.
    """
    command = compiler()
    texts = [file.read_bytes() for file in (source, *headers)]
    words, machine = _flags(command) if flags is None else _predefined(command, [*flags])
    digest = hashlib.sha256(b"\0".join([*texts, *map(str.encode, words), machine])).hexdigest()
    path = cache_folder() / f"{source.stem}-{digest[:16]}.so"
    with suppress(OSError):  # not there, or damaged
        return ctypes.CDLL(str(path))
    build = [*command, *words, "-shared", str(source), "-o"]
    log.info("compiling %s into %s", source.name, path)
    try:
        with replacing(path) as temporary:
            _run([*build, str(temporary)])
        return ctypes.CDLL(str(path))
    except OSError as error:
        log.info("%s cannot be used (%s): compiling for this job alone", path.parent, error)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "library.so"
        _run([*build, str(path)])
        return ctypes.CDLL(str(path))


def compiler() -> list[str]:
    """Return the command of the C compiler. Raises CompilerError if there is none."""
    names = [os.environ["CC"]] if os.environ.get("CC") else ["cc", "gcc", "clang"]
    for name in names:
        words = name.split()
        if shutil.which(words[0]):
            return words
    raise CompilerError(f"no C compiler found (looked for {', '.join(names)})")


def cache_folder() -> Path:
    """Return the user's cache folder of this program."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path(os.path.expanduser("~/.cache"))) / "ticketlens"


def _flags(command: list[str]) -> tuple[list[str], bytes]:
    """Return the flags, and what the compiler predefines under them."""
    for native in NATIVE:
        with suppress(CompilerError):
            return _predefined(command, [*FLAGS, native])
    return _predefined(command, [*FLAGS])


def _predefined(command: list[str], flags: list[str]) -> tuple[list[str], bytes]:
    return flags, _run([*command, *flags, "-dM", "-E", "-x", "c", os.devnull])


def _run(command: list[str]) -> bytes:
    result = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL)
    if result.returncode:
        raise CompilerError(
            f"the C compiler failed: {' '.join(command)}\n"
            f"{result.stderr.decode(errors='replace').strip()}"
        )
    return result.stdout
