"""HDF5 files end in a seal that is compared before the library parses them."""

from __future__ import annotations

import errno
import io
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticketlens.files import hdf5
from ticketlens.files.damaged import DamagedError


class OwnError(ValueError):
    """The error of a file format built on hdf5."""


@pytest.fixture(scope="module")
def sealed(tmp_path_factory):
    path = tmp_path_factory.mktemp("sealed") / "file.h5"
    with hdf5.writing(path) as file:
        file.attrs["text"] = "a text that HDF5 keeps in a heap without any checksum"
        hdf5.write_array(file, "values", np.arange(10.0))
    return path


def test_a_sealed_file_is_plain_hdf5_to_other_programs(sealed):
    assert h5py.is_hdf5(sealed)
    with h5py.File(sealed) as file:
        assert file.attrs["text"].startswith("a text")
        assert file["values"][:].tolist() == list(range(10))
        assert file["values"].fletcher32


@given(st.data())
def test_a_bit_flip_anywhere_is_seen_before_hdf5_is_asked(sealed, data):
    # One flipped bit in the heap of texts can keep the HDF5 library in an endless loop.
    raw = bytearray(sealed.read_bytes())
    position = data.draw(st.integers(0, 8 * len(raw) - 1))
    raw[position // 8] ^= 1 << position % 8
    damaged = sealed.with_name("damaged.h5")
    damaged.write_bytes(raw)
    if position // 8 < len(raw) - hdf5.SEAL_BYTES:
        with pytest.raises(DamagedError, match="not those that were written"):
            hdf5.check_seal(damaged)


def test_a_file_without_a_seal_is_opened_all_the_same(sealed, tmp_path):
    path = tmp_path / "unsealed.h5"
    path.write_bytes(sealed.read_bytes()[: -hdf5.SEAL_BYTES])
    hdf5.check_seal(path)
    with hdf5.reading(path, OwnError, "try again") as file:
        assert hdf5.attribute(file, "text", str)


def test_a_program_that_edits_a_file_drops_its_seal(sealed, tmp_path):
    path = tmp_path / "edited.h5"
    path.write_bytes(sealed.read_bytes())
    with h5py.File(path, "r+") as file:
        file.attrs["note"] = "edited by hand"
    with hdf5.reading(path, OwnError, "try again") as file:
        assert hdf5.attribute(file, "note", str) == "edited by hand"


def test_a_failed_writer_leaves_the_older_file(sealed, tmp_path):
    path = tmp_path / "file.h5"
    path.write_bytes(sealed.read_bytes())
    with pytest.raises(KeyError), hdf5.writing(path) as file:
        file["missing"]
    assert path.read_bytes() == sealed.read_bytes()
    assert os.listdir(tmp_path) == ["file.h5"]


@pytest.mark.parametrize("content", [b"", b"x", b"not HDF5 at all" * 20])
def test_foreign_bytes_become_the_error_of_the_format(tmp_path, content):
    path = tmp_path / "foreign.h5"
    path.write_bytes(content)
    with (
        pytest.raises(OwnError, match=r"foreign.h5: damaged or foreign: .*; try again"),
        hdf5.reading(path, OwnError, "try again"),
    ):
        pass


def test_a_pointer_of_git_lfs_is_called_that_and_nothing_says_to_make_the_file_again(tmp_path):
    path = tmp_path / "trained.h5"
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12\n")
    with (
        pytest.raises(
            OwnError, match=r"trained\.h5: a pointer of Git LFS.*`git lfs pull`"
        ) as caught,
        hdf5.reading(path, OwnError, "make it again"),
    ):
        pass
    assert "damaged" not in str(caught.value) and "again" not in str(caught.value)


def test_what_hdf5_lacks_becomes_the_error_of_the_format_and_a_bug_stays_a_bug(sealed):
    with (
        pytest.raises(OwnError, match=r"file.h5: damaged or foreign: //missing is missing"),
        hdf5.reading(sealed, OwnError, "try again") as file,
    ):
        hdf5.child(file, "missing", h5py.Group)
    for bug in (KeyError, TypeError, MemoryError):
        with pytest.raises(bug), hdf5.reading(sealed, OwnError, "try again"):
            raise bug


def test_what_the_system_refuses_is_not_called_damage(sealed, monkeypatch):
    def failing(*_):
        raise PermissionError(errno.EACCES, "Permission denied", str(sealed))

    monkeypatch.setattr("builtins.open", failing)
    with (
        pytest.raises(PermissionError, match=r"Permission denied: .*file\.h5"),
        hdf5.reading(sealed, OwnError, "try again"),
    ):
        pass


def test_a_missing_file_is_said_to_be_missing(tmp_path):
    with (
        pytest.raises(FileNotFoundError, match=r"none.h5: no such file"),
        hdf5.reading(tmp_path / "none.h5", OwnError, "try again"),
    ):
        pass


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_a_folder_and_a_pipe_are_called_that(tmp_path, make):
    make(tmp_path / "x.h5")
    with (
        pytest.raises(FileNotFoundError, match=r"x\.h5: no file, but a folder or a pipe"),
        hdf5.reading(tmp_path / "x.h5", OwnError, "try again"),
    ):
        pass


def test_files_are_in_the_format_of_hdf5_1_10_whatever_version_writes(sealed):
    def image(libver):
        memory = io.BytesIO()
        with h5py.File(memory, "w", libver=libver) as file:
            file.attrs["text"] = "a text that HDF5 keeps in a heap without any checksum"
            hdf5.write_array(file, "values", np.arange(10.0))
        return memory.getvalue()

    ours = sealed.read_bytes()[: -hdf5.SEAL_BYTES]
    assert ours[8] == image(("v110", "v110"))[8] == hdf5.NEWEST_SUPERBLOCK
    if h5py.version.hdf5_version_tuple >= (2,):  # whose latest format no 1.x can read
        assert ours == image(("v110", "v110")) != image("latest")


def test_the_same_content_is_the_same_bytes_in_another_second(tmp_path):
    """HDF5 1.14 notes the second in which a group was made, the root too, unless told not to."""
    paths = tmp_path / "first.h5", tmp_path / "second.h5"
    for path in paths:
        with hdf5.writing(path) as file:
            for name in ("layers/00-a", "layers/01-b", "history"):
                hdf5.write_array(hdf5.new_group(file, name), "values", np.arange(10.0))
        time.sleep(1.01 - time.time() % 1)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    with h5py.File(paths[0]) as file:
        assert list(file["layers"]) == ["00-a", "01-b"]


def test_all_groups_of_the_package_are_made_without_times():
    package = Path(hdf5.__file__).parents[1]
    made = re.compile(r"\.(create|require)_group\(|create_dataset\(\s*f?[\"'][^\"']*/")
    assert [path.name for path in package.rglob("*.py") if made.search(path.read_text())] == []


@pytest.mark.skipif(shutil.which("h5dump") is None, reason="h5dump is not installed")
def test_h5dump_opens_what_we_write(sealed):
    dump = subprocess.run(["h5dump", str(sealed)], capture_output=True, text=True)
    assert dump.returncode == 0 and "a text that HDF5" in dump.stdout, dump.stderr


@pytest.mark.parametrize("mode", ["r", "r+", "a"])
def test_a_file_that_this_process_has_open_is_read_all_the_same(sealed, tmp_path, mode):
    path = tmp_path / "open.h5"
    shutil.copy(sealed, path)
    with h5py.File(path, mode), hdf5.reading(path, OwnError, "try again") as file:
        assert hdf5.array(file, "values", "float64", 10).sum() == 45


def test_a_file_that_is_being_changed_is_called_open_and_nothing_says_to_delete_it(
    sealed, tmp_path
):
    path = tmp_path / "changing.h5"
    shutil.copy(sealed, path)
    with h5py.File(path, "r+"):
        raw = bytearray(path.read_bytes())
    raw[60:80] = bytes(20)  # as when half of the metadata are written
    path.write_bytes(raw)
    with (
        pytest.raises(OwnError, match=r"changing\.h5: open for writing") as caught,
        hdf5.reading(path, OwnError, "delete the file") as file,
    ):
        hdf5.names(file)
    assert "damaged" not in str(caught.value) and "delete" not in str(caught.value)


@pytest.mark.parametrize("what", ["layout message", "superblock"])
def test_a_file_of_a_newer_hdf5_is_called_that_and_not_damaged(sealed, tmp_path, what, monkeypatch):
    path = tmp_path / "newer.h5"
    raw = bytearray(sealed.read_bytes()[: -hdf5.SEAL_BYTES])
    if what == "superblock":
        raw[8] = 4
    else:  # what HDF5 1.14.2 says of a data set that 2.0 wrote with libver="latest"
        text = "'Unable to synchronously open object (bad version number for layout message)'"

        def refuse(*_):
            raise KeyError(text)

        monkeypatch.setattr(h5py.Group, "__getitem__", refuse)
    path.write_bytes(bytes(raw) + hdf5.seal(raw))
    with (
        pytest.raises(OwnError, match=r"newer\.h5: written by a newer HDF5 than \d") as caught,
        hdf5.reading(path, OwnError, "delete the file") as file,
    ):
        hdf5.array(file, "values", "float64", 10)
    assert "damaged" not in str(caught.value) and "delete" not in str(caught.value)


def test_a_disk_that_fails_while_hdf5_reads_is_not_called_damage(sealed, monkeypatch):
    class FailingDisk(io.FileIO):
        has_failed = False

        def readinto(self, buffer):
            if self.has_failed:
                raise OSError(errno.EIO, "Input/output error", str(sealed))
            return super().readinto(buffer)

    def fail(file):
        FailingDisk.has_failed = True
        hdf5.array(file, "values", "float64", 10)

    monkeypatch.setattr("builtins.open", lambda path, mode: FailingDisk(path, "r"))
    with (
        pytest.raises(OSError, match="Input/output error"),
        hdf5.reading(sealed, OwnError, "try again") as file,
    ):
        fail(file)


def test_links_and_outside_data_are_not_followed(sealed, tmp_path):
    (tmp_path / "secret").write_bytes(b"12345678")
    with h5py.File(tmp_path / "links.h5", "w") as file:
        file["real"] = np.zeros(3)
        file["soft"] = h5py.SoftLink("/real")
        file["away"] = h5py.ExternalLink(str(sealed), "/values")
        file.create_dataset("outside", (1,), "f8", external=[(str(tmp_path / "secret"), 0, 8)])
        layout = h5py.VirtualLayout((10,), "f8")
        layout[:] = h5py.VirtualSource(str(sealed), "values", (10,))
        file.create_virtual_dataset("virtual", layout)
        assert hdf5.array(file, "real", "float64", 3).tolist() == [0, 0, 0]
        for key in ("soft", "away", "missing"):
            with pytest.raises(DamagedError, match=f"{key} is missing or a link"):
                hdf5.array(file, key, "float64", 100)
        for key in ("outside", "virtual"):
            with pytest.raises(DamagedError, match="in another file"):
                hdf5.array(file, key, "float64", 100)


def test_absurd_arrays_are_refused_before_memory_is_taken(tmp_path):
    with h5py.File(tmp_path / "absurd.h5", "w") as file:
        file.create_dataset("huge", (2**40,), "f4", chunks=(1024,))
        file.create_dataset("text", data="text")
        file.create_dataset("empty", data=h5py.Empty("f4"))
        file.create_group("group")
        for key in ("huge", "text", "empty"):
            with pytest.raises(DamagedError, match=f"{key} has .* expected at most 100"):
                hdf5.array(file, key, "float32", 100)
        with pytest.raises(DamagedError, match="group is not a Dataset"):
            hdf5.array(file, "group", "float32", 100)


def test_attributes_are_checked_for_their_type(tmp_path):
    with h5py.File(tmp_path / "attributes.h5", "w") as file:
        file.attrs.update(number=3, text="three", real=3.0)
        assert hdf5.attribute(file, "number", int) == 3
        assert hdf5.attribute(file, "text", str) == "three"
        for name, kind in (("number", str), ("text", int), ("real", int)):
            with pytest.raises(DamagedError, match=f"{name!r} is not of type {kind.__name__}"):
                hdf5.attribute(file, name, kind)
        with pytest.raises(DamagedError, match="'missing' is missing"):
            hdf5.attribute(file, "missing", str)


def test_thousands_of_chunks_are_refused_and_as_many_as_allowed_are_not(tmp_path):
    with h5py.File(tmp_path / "chunks.h5", "w") as file:
        file.create_dataset("many", (hdf5.MAX_CHUNKS + 1,), "u1", chunks=(1,))
        file.create_dataset("allowed", (hdf5.MAX_CHUNKS,), "u1", chunks=(1,))
        file.create_dataset("square", (2**9, 2**8), "u1", chunks=(1, 1))
        assert hdf5.dataset(file, "allowed", "uint8", 2**20).size == 2**16
        for name in ("many", "square"):
            with pytest.raises(DamagedError, match=r"chunks; expected at most 65536"):
                hdf5.dataset(file, name, "uint8", 2**20)
