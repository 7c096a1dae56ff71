"""The saver of a running training: exact, keyed, sealed, and cheap."""

from __future__ import annotations

import logging
import os

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from core_tools import same_bits
from ticketlens.files import hdf5
from ticketlens.training import resume
from ticketlens.training.resume import Saver


@given(
    st.dictionaries(
        st.sampled_from(["position", "parameter/0", "optimizer/0/step", "history/train_loss"]),
        st.one_of(
            hnp.arrays(np.float32, hnp.array_shapes(min_dims=0, max_dims=4, max_side=4)),
            hnp.arrays(np.int64, hnp.array_shapes(min_dims=0, max_dims=2, max_side=4)),
        ),
        min_size=1,
    )
)
def test_a_saved_state_comes_back_bit_for_bit(tmp_path_factory, arrays):
    path = tmp_path_factory.mktemp("state") / "partial.h5"
    Saver(path, "key").save(arrays)
    found = Saver(path, "key").load()
    assert set(found) == set(arrays)
    assert all(same_bits(found[name], np.asarray(value)) for name, value in arrays.items())
    assert Saver(path, "other").load() is None


def test_a_flipped_bit_in_the_key_is_damage_not_another_configuration(tmp_path, caplog):
    path = tmp_path / "partial.h5"
    Saver(path, "the key of this run").save({"x": np.zeros(2)})
    raw = path.read_bytes()
    path.write_bytes(raw.replace(b"the key", b"the kex"))
    with caplog.at_level(logging.INFO, logger="ticketlens"):
        assert Saver(path, "the key of this run").load() is None
    assert "is damaged (the bytes are not those that were written)" in caplog.text


def test_a_state_of_a_newer_hdf5_is_neither_called_damaged_nor_replaced(tmp_path):
    path = tmp_path / "partial.h5"
    Saver(path, "key").save({"x": np.zeros(2)})
    raw = bytearray(path.read_bytes()[: -hdf5.SEAL_BYTES])
    raw[8] = hdf5.NEWEST_SUPERBLOCK + 1
    path.write_bytes(bytes(raw) + hdf5.seal(raw))
    with pytest.raises(resume.StateError, match=r"partial\.h5: written by a newer HDF5 than \d"):
        Saver(path, "key").load()


def test_a_state_that_is_open_elsewhere_is_not_called_damaged(tmp_path):
    path = tmp_path / "partial.h5"
    Saver(path, "key").save({"x": np.zeros(2)})
    with (
        h5py.File(path, "a", libver=hdf5.LIBVER),
        pytest.raises(resume.StateError, match=r"partial\.h5: open for writing here or in another"),
    ):
        Saver(path, "key").load()


def test_saving_costs_at_most_a_twentieth_of_the_time(tmp_path, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(resume.time, "monotonic", lambda: now[0])
    saver = Saver(tmp_path / "partial.h5", "key")
    assert saver.worthwhile() and not saver.overdue()
    saver.cost = 2.0
    for seconds, worthwhile, overdue in ((39, False, False), (40, True, False), (41, True, True)):
        now[0] = 1000.0 + seconds
        assert (saver.worthwhile(), saver.overdue()) == (worthwhile, overdue)
    saver.cost, now[0] = 0.01, 1030.0
    assert not saver.overdue()  # in mid-epoch only every 30 s, however cheap
    now[0] = 1031.0
    assert saver.overdue()
    saver.save({"x": np.zeros(2)})
    assert saver.saved_at == 1031.0 and saver.cost == 0


def test_a_finished_run_discards_its_state(tmp_path):
    saver = Saver(tmp_path / "partial.h5", "key")
    saver.save({"x": np.zeros(2)})
    for _ in range(2):
        saver.discard()
        assert not (tmp_path / "partial.h5").exists()


def test_without_a_path_nothing_is_saved(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    saver = Saver(None, "key")
    saver.save({"x": np.zeros(2)})
    saver.discard()
    assert saver.load() is None and not saver.worthwhile() and not saver.overdue()
    assert os.listdir(tmp_path) == []


# --- another machine -----------------------------------------------------------------------------


def test_a_state_of_another_kind_of_cpu_is_resumed_said_and_recorded(tmp_path, caplog):
    path = tmp_path / "partial.h5"
    Saver(path, "key", {"cpu_capability": "Intel AVX2", "numpy_version": "2.4.6"}).save(
        {"x": np.arange(3)}
    )
    second = Saver(path, "key", {"cpu_capability": "AMD AVX512", "numpy_version": "2.4.6"})
    assert second.load()["x"].tolist() == [0, 1, 2]
    assert "was saved with cpu_capability Intel AVX2 and goes on with AMD AVX512" in caplog.text
    assert second.machines["cpu_capability"] == ("Intel AVX2", "AMD AVX512")
    assert second.machines["numpy_version"] == ("2.4.6",)
    second.save({"x": np.arange(3)})
    caplog.clear()
    third = Saver(path, "key", {"cpu_capability": "AMD AVX512", "numpy_version": "2.4.6"})
    assert third.load() is not None and not caplog.text
    assert third.machines["cpu_capability"] == ("Intel AVX2", "AMD AVX512")


def test_a_state_without_a_machine_is_resumed(tmp_path, caplog):
    Saver(tmp_path / "partial.h5", "key").save({"x": np.arange(3)})  # as 0.1.0 saved
    saver = Saver(tmp_path / "partial.h5", "key", {"cpu_capability": "Intel AVX2"})
    assert saver.load() is not None and not caplog.text
    assert saver.machines == {"cpu_capability": ("Intel AVX2",)}


def test_a_state_that_this_process_has_open_is_read(tmp_path):
    Saver(tmp_path / "partial.h5", "key").save({"x": np.arange(3)})
    with h5py.File(tmp_path / "partial.h5"):
        assert Saver(tmp_path / "partial.h5", "key").load()["x"].tolist() == [0, 1, 2]


def test_an_interrupted_run_exits_as_sigterm_does():
    stopped = resume.Interrupted("stopped on request")
    assert stopped.code == 143 and stopped.message == "stopped on request"
