"""An interrupted run that goes on ends in the same bits as one that was never interrupted."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from core_tools import same_bits
from ticketlens import atomic, hdf5, resume, training
from ticketlens.checkpoint import read, write
from ticketlens.resume import Interrupted, Saver, stop_on_sigterm
from ticketlens.training import train

STEPS = 6  # an epoch of the tiny data set
OPTIONS = {
    "SGD": {},
    "Adam": {
        "training": {
            "optimizer": "adam", "learning_rate": 0.01, "weight_decay": 0.01,
            "schedule": "cosine", "warmup_epochs": 1,
        }
    },
    "ConvNet": {"network": {"family": "convolutional", "width": 4}},
    "late rewinding": {"pruning": {"rewind_epoch": 1}},
}  # fmt: skip


class Killed(BaseException):
    """Stands for kill −9: nothing in the library may catch it."""


@pytest.fixture(scope="module")
def uninterrupted(prepared):
    """Return a function: ticket → the result of its run from start to end."""
    results = {}

    def run(ticket):
        if ticket.content_sha256 not in results:
            results[ticket.content_sha256] = train(ticket, prepared)
        return results[ticket.content_sha256]

    return run


@pytest.fixture
def save_always(monkeypatch):
    monkeypatch.setattr(Saver, "worthwhile", lambda saver: True)
    monkeypatch.setattr(Saver, "overdue", lambda saver: True)


@pytest.fixture
def save_after_epochs(monkeypatch):
    monkeypatch.setattr(Saver, "worthwhile", lambda saver: True)
    monkeypatch.setattr(Saver, "overdue", lambda saver: False)


def doing(action, step):
    """Return a `take_step` that does `action` before the step number `step` of this process."""
    take_step, count = training._Run.take_step, iter(range(10**6))

    def acting(run, *batch):
        if next(count) == step:
            action()
        take_step(run, *batch)

    return acting


def kill():
    raise Killed


def killed_at(step, ticket, data, partial, key=""):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training._Run, "take_step", doing(kill, step))
        with pytest.raises(Killed):
            train(ticket, data, partial, key)


def assert_same_run(one, other):
    """Assert that two results of `train` agree in every bit of weights and history."""
    for a, b in zip(one, other, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            assert a.content_sha256 == b.content_sha256
            for name, values in a.history.items():
                assert same_bits(np.asarray(values, float), np.asarray(b.history[name], float))
            for layer, wanted in zip(a.layers, b.layers, strict=True):
                assert same_bits(layer.weight, wanted.weight)
                assert same_bits(layer.bias, wanted.bias)


# --- the same bits -----------------------------------------------------------------------------


@pytest.mark.parametrize("step", [0, 1, STEPS - 1, STEPS, STEPS + 1, 3 * STEPS - 1])
def test_a_run_killed_at_any_step_ends_in_the_same_bits(
    make_ticket, prepared, tmp_path, save_always, uninterrupted, step
):
    ticket, partial = make_ticket(0.5), tmp_path / "training.partial.h5"
    killed_at(step, ticket, prepared, partial)
    assert partial.exists() == (step > 0)
    assert_same_run(train(ticket, prepared, partial), uninterrupted(ticket))


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
def test_whatever_is_trained_a_killed_run_ends_in_the_same_bits(
    make_ticket, prepared, tmp_path, save_always, uninterrupted, options
):
    ticket, partial = make_ticket(0.5, **options), tmp_path / "training.partial.h5"
    killed_at(2 * STEPS + 3, ticket, prepared, partial)
    assert_same_run(train(ticket, prepared, partial), uninterrupted(ticket))


@pytest.mark.parametrize("forgotten", ["optimizer/", "parameter/", "history/", "running"])
def test_a_resume_that_forgot_something_would_not_end_in_the_same_bits(
    make_ticket, prepared, tmp_path, save_always, monkeypatch, uninterrupted, forgotten
):
    ticket, partial = make_ticket(0.5), tmp_path / "training.partial.h5"
    killed_at(STEPS + 3, ticket, prepared, partial)
    restore = training._Run.restore

    def forgetful(run, arrays):
        now = run.state()
        kept = {name: value for name, value in arrays.items() if not name.startswith(forgotten)}
        restore(run, {**now, **kept})

    monkeypatch.setattr(training._Run, "restore", forgetful)
    with pytest.raises(AssertionError):
        assert_same_run(train(ticket, prepared, partial), uninterrupted(ticket))


def test_a_run_killed_after_an_epoch_was_saved_goes_on_from_there(
    make_ticket, prepared, tmp_path, save_after_epochs, caplog, uninterrupted
):
    ticket, partial = make_ticket(0.5), tmp_path / "training.partial.h5"
    killed_at(2 * STEPS + 4, ticket, prepared, partial)
    with caplog.at_level(logging.INFO, logger="ticketlens"):
        resumed = train(ticket, prepared, partial)
    assert "tiny-normal seed 0 round 0 arm imp: resumed at epoch 3, step 0" in caplog.text
    assert_same_run(resumed, uninterrupted(ticket))


def test_a_run_killed_again_and_again_ends_in_the_same_bits(
    make_ticket, prepared, tmp_path, save_always, uninterrupted
):
    ticket, partial = make_ticket(0.5), tmp_path / "training.partial.h5"
    for _ in range(4):
        killed_at(4, ticket, prepared, partial)
    assert_same_run(train(ticket, prepared, partial), uninterrupted(ticket))


def test_a_kill_while_the_state_is_saved_leaves_the_older_state(
    make_ticket, prepared, tmp_path, save_always, monkeypatch, uninterrupted
):
    ticket, partial = make_ticket(0.5), tmp_path / "training.partial.h5"
    killed_at(4, ticket, prepared, partial)
    before = partial.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(atomic.os, "replace", lambda *_: kill())
        with pytest.raises(Killed):
            train(ticket, prepared, partial)
    assert partial.read_bytes() == before
    assert_same_run(train(ticket, prepared, partial), uninterrupted(ticket))


def test_a_kill_between_an_epoch_and_its_save_repeats_the_epoch(
    make_ticket, prepared, tmp_path, save_after_epochs, monkeypatch, uninterrupted
):
    ticket, partial = make_ticket(0.5), tmp_path / "training.partial.h5"
    finish = training._Run.finish_epoch

    def finish_and_die(run, *args):
        finish(run, *args)
        if run.epoch == 2:
            kill()

    with monkeypatch.context() as patch:
        patch.setattr(training._Run, "finish_epoch", finish_and_die)
        with pytest.raises(Killed):
            train(ticket, prepared, partial)
    assert_same_run(train(ticket, prepared, partial), uninterrupted(ticket))


@pytest.mark.parametrize("batches", [1, 7])
def test_a_diverging_run_diverges_again_after_a_kill(
    make_ticket, prepared, tmp_path, save_always, batches, uninterrupted
):
    ticket = make_ticket(0.5, arm="other", training={"learning_rate": 1e38, "epochs": 3})
    partial = tmp_path / "training.partial.h5"
    killed_at(min(batches, STEPS - 1), ticket, prepared, partial)
    assert_same_run(train(ticket, prepared, partial), uninterrupted(ticket))


# --- SIGTERM -----------------------------------------------------------------------------------


def terminate():
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize("step", [0, 7, 3 * STEPS - 1])
def test_sigterm_saves_exits_with_143_and_the_next_run_goes_on(
    make_ticket, prepared, tmp_path, monkeypatch, caplog, step, uninterrupted
):
    ticket, partial = make_ticket(0.5), tmp_path / "training.partial.h5"
    handler = signal.getsignal(signal.SIGTERM)
    with monkeypatch.context() as patch:
        patch.setattr(training._Run, "take_step", doing(terminate, step))
        with pytest.raises(Interrupted) as caught:
            train(ticket, prepared, partial)
    assert caught.value.code == 143
    assert signal.getsignal(signal.SIGTERM) is handler
    epoch, done = divmod(step, STEPS)
    with caplog.at_level(logging.INFO, logger="ticketlens"):
        resumed = train(ticket, prepared, partial)
    assert f"resumed at epoch {epoch + 1}, step {done + 1}" in caplog.text
    assert_same_run(resumed, uninterrupted(ticket))


def test_outside_the_main_thread_training_runs_without_a_handler(
    make_ticket, prepared, uninterrupted
):
    results = []
    thread = threading.Thread(target=lambda: results.append(train(make_ticket(0.5), prepared)))
    thread.start()
    thread.join()
    assert_same_run(results[0], uninterrupted(make_ticket(0.5)))


def test_the_flag_is_set_by_sigterm_only():
    handler = signal.getsignal(signal.SIGTERM)
    with stop_on_sigterm() as stop:
        assert not stop()
        terminate()
        assert stop()
    assert signal.getsignal(signal.SIGTERM) is handler


CHILD = """
import os, signal, sys
from pathlib import Path
from ticketlens import resume, training
from ticketlens.checkpoint import read
from ticketlens.dataset import open_prepared
ticket, data, partial, number = sys.argv[1:]
take_step, count = training._Run.take_step, iter(range(100))
def dying(run, *batch):
    if next(count) == 8:
        os.kill(os.getpid(), int(number))
    take_step(run, *batch)
training._Run.take_step = dying
resume.Saver.worthwhile = resume.Saver.overdue = lambda saver: True
training.train(read(ticket), open_prepared(data), Path(partial), "key")
"""


def test_real_signals_to_another_process_lose_nothing(
    make_ticket, prepared, tmp_path, uninterrupted
):
    write(tmp_path / "ticket.h5", make_ticket(0.5))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    signals = {signal.SIGKILL: -9, signal.SIGTERM: 143}
    children = {
        number: subprocess.Popen(
            [sys.executable, "-c", CHILD, tmp_path / "ticket.h5", prepared.path,
             tmp_path / f"{number}.h5", str(int(number))],
            env=environment,
        )
        for number in signals
    }  # fmt: skip
    ticket = read(tmp_path / "ticket.h5")
    expected = uninterrupted(ticket)
    for number, code in signals.items():
        assert children[number].wait() == code
        assert (tmp_path / f"{number}.h5").exists()
        assert_same_run(train(ticket, prepared, tmp_path / f"{number}.h5", "key"), expected)


# --- states that do not fit --------------------------------------------------------------------


def starts_anew(ticket, data, partial, key, caplog, expected):
    caplog.clear()
    with caplog.at_level(logging.INFO, logger="ticketlens"):
        result = train(ticket, data, partial, key)
    assert "resumed" not in caplog.text
    assert_same_run(result, expected)
    return caplog.text


def test_a_state_of_another_configuration_is_not_resumed(
    make_ticket, prepared, tmp_path, save_always, caplog, uninterrupted
):
    ticket, partial = make_ticket(0.5), tmp_path / "training.partial.h5"
    killed_at(8, ticket, prepared, partial, "one")
    assert "another configuration" in starts_anew(
        ticket, prepared, partial, "other", caplog, uninterrupted(ticket)
    )


def test_a_state_of_another_torch_is_not_resumed(
    make_ticket, prepared, tmp_path, save_always, caplog, monkeypatch, uninterrupted
):
    ticket, partial = make_ticket(0.5), tmp_path / "training.partial.h5"
    killed_at(8, ticket, prepared, partial)
    monkeypatch.setattr(torch, "__version__", "1.0")
    assert "another configuration" in starts_anew(
        ticket, prepared, partial, "", caplog, uninterrupted(ticket)
    )


@pytest.mark.parametrize("damage", ["truncated", "flipped", "text", "foreign HDF5", "empty"])
def test_a_damaged_state_starts_anew(
    make_ticket, prepared, tmp_path, save_always, caplog, damage, uninterrupted
):
    ticket, partial = make_ticket(0.5), tmp_path / "training.partial.h5"
    killed_at(8, ticket, prepared, partial)
    raw = partial.read_bytes()
    middle = len(raw) // 2
    if damage == "foreign HDF5":
        with hdf5.writing(partial) as file:
            file["x"] = 1
    else:
        flipped = raw[:middle] + bytes([raw[middle] ^ 4]) + raw[middle + 1 :]
        contents = {"truncated": raw[:middle], "flipped": flipped, "text": b"text", "empty": b""}
        partial.write_bytes(contents[damage])
    assert "is damaged" in starts_anew(ticket, prepared, partial, "", caplog, uninterrupted(ticket))


# --- the saver ---------------------------------------------------------------------------------


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


def test_saving_costs_at_most_a_twentieth_of_the_time(tmp_path, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(resume.time, "monotonic", lambda: now[0])
    saver = Saver(tmp_path / "partial.h5", "key")
    assert saver.worthwhile() and not saver.overdue()
    saver.cost = 2.0
    for seconds, worthwhile, overdue in ((39, False, False), (40, True, False), (41, True, True)):
        now[0] = 1000.0 + seconds
        assert (saver.worthwhile(), saver.overdue()) == (worthwhile, overdue)
    saver.cost, now[0] = 0.01, 1029.0
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
