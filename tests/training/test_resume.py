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

from core_tools import same_bits
from ticketlens.checkpoint import read, write
from ticketlens.files import atomic, hdf5
from ticketlens.training import loop
from ticketlens.training.loop import train
from ticketlens.training.resume import Interrupted, Saver, stop_on_sigterm

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
    "ConvNet, bfloat16": {
        "network": {"family": "convolutional", "width": 4}, "training": {"precision": "bfloat16"}
    },
    "FCNet, bfloat16": {"training": {"precision": "bfloat16"}},
    "ConvNet, sparse": {
        "network": {"family": "convolutional", "width": 4}, "training": {"sparse_below": 0.99},
    },
    "late rewinding": {"pruning": {"rewind_epoch": 1}},
    "sparse": {"training": {"sparse_below": 0.99}},
    "sparse, Adam": {
        "training": {
            "sparse_below": 0.99, "optimizer": "adam", "weight_decay": 0.01, "learning_rate": 0.01
        },
        "pruning": {"rewind_epoch": 1},
    },
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
    take_step, count = loop._Run.take_step, iter(range(10**6))

    def acting(run, *batch):
        if next(count) == step:
            action()
        take_step(run, *batch)

    return acting


def kill():
    raise Killed


def killed_at(step, ticket, data, partial, key=""):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop._Run, "take_step", doing(kill, step))
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


def test_the_file_of_a_resumed_run_has_the_bytes_of_an_uninterrupted_one(
    make_ticket, prepared, tmp_path, save_always, uninterrupted
):
    ticket, partial = make_ticket(0.5), tmp_path / "training.partial.h5"
    killed_at(STEPS + 2, ticket, prepared, partial)
    write(tmp_path / "resumed.h5", train(ticket, prepared, partial)[0])
    write(tmp_path / "whole.h5", uninterrupted(ticket)[0])
    assert (tmp_path / "resumed.h5").read_bytes() == (tmp_path / "whole.h5").read_bytes()


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
    restore = loop._Run.restore

    def forgetful(run, arrays):
        now = run.state()
        kept = {name: value for name, value in arrays.items() if not name.startswith(forgotten)}
        restore(run, {**now, **kept})

    monkeypatch.setattr(loop._Run, "restore", forgetful)
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
    finish = loop._Run.finish_epoch

    def finish_and_die(run, *args):
        finish(run, *args)
        if run.epoch == 2:
            kill()

    with monkeypatch.context() as patch:
        patch.setattr(loop._Run, "finish_epoch", finish_and_die)
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
        patch.setattr(loop._Run, "take_step", doing(terminate, step))
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
from ticketlens.checkpoint import read
from ticketlens.files.dataset import open_prepared
from ticketlens.training import loop as training, resume
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
    said = starts_anew(ticket, prepared, partial, "", caplog, uninterrupted(ticket))
    # A whole file that is no state is not damaged.
    word = "another configuration" if damage == "foreign HDF5" else "is damaged"
    assert word in said


def test_the_best_weights_of_before_the_kill_are_those_of_the_uninterrupted_run(
    make_ticket, prepared, tmp_path, save_after_epochs, monkeypatch
):
    # In other tests the best epoch comes after the kill, which hides a lost best.
    evaluate = loop._Run.evaluate

    def best_first(run, data):
        return evaluate(run, data)[0], 1 / (1 + run.epoch)

    monkeypatch.setattr(loop._Run, "evaluate", best_first)
    ticket, partial = make_ticket(), tmp_path / "partial.h5"
    whole = train(ticket, prepared)
    assert whole[0].history["best_epoch"] == 1
    killed_at(2 * STEPS + 1, ticket, prepared, partial)
    resumed = train(ticket, prepared, partial)
    assert_same_run(resumed, whole)
    for (weight, _), layer in zip(resumed[0].best_validation, resumed[0].layers, strict=True):
        assert not same_bits(weight, layer.weight)
