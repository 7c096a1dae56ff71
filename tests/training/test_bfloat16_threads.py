"""Threads share a step of convolutions in bfloat16, and change no bit of it."""

from __future__ import annotations

import threading
import time

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bfloat16_networks import arrays_of, batch, cases, network
from bfloat16_tools import WAYS
from core_tools import same_bits
from ticketlens.networks import ResidualConvolutional
from ticketlens.training import bfloat16, ways
from ticketlens.training.bfloat16_library import at, library
from ticketlens.training.bfloat16_tables import BLOCK, unfolded
from ticketlens.training.loop import train
from ticketlens.training.threads import Threads


def computed(model, images, labels, threads, way=None):
    """Return loss, logits, gradients, and the logits of an evaluation, by so many threads."""
    made = bfloat16.network(model, way)
    made.share_among(threads)
    loss, logits, found = made.gradients(images, labels)
    return [loss, logits, *(one.clone() for one in found), made.logits(images)]


@settings(max_examples=20, deadline=None)
@given(cases(), st.integers(2, 5), st.integers(1, 7), st.sampled_from(ways.available()))
def test_no_bit_depends_on_the_threads(case, threads, count, way):
    shapes, strides, padding, activation, scale, (height, width), seed = case
    model = network(shapes, strides, padding, activation, seed, scale)
    images, labels = batch(count, shapes[0][1], height, width)
    one = computed(model, images, labels, 1, way)
    assert all(map(torch.equal, one, computed(model, images, labels, threads, way)))


@pytest.mark.parametrize("way", WAYS)
def test_residual_blocks_of_many_channels_and_images_share_them(way):
    shapes = [(70, 3, 3), *[(70, 70, 3)] * 2]
    model = network(shapes, [1] * 3, family=ResidualConvolutional)
    images, labels = batch(5, 3, 8, 8)
    one = computed(model, images, labels, 1, way)
    for threads in (2, 12):
        assert all(map(torch.equal, one, computed(model, images, labels, threads, way)))


def test_a_training_has_the_same_bytes_and_says_its_threads(make_ticket, prepared, caplog):
    ticket = make_ticket(
        0.3, network={"family": "convolutional", "width": 40, "hidden_layers": 3},
        training={"precision": "bfloat16"},
    )  # fmt: skip
    results = []
    for threads in (1, 3):
        with caplog.at_level("INFO"):
            results.append(train(ticket, prepared, threads=threads)[0])
        assert f", {threads} thread(s), " in caplog.text
        assert torch.get_num_threads() == 1  # final evaluations are float32
    assert all(map(same_bits, *map(arrays_of, results)))


def test_float32_takes_the_threads_of_its_spec(make_ticket, prepared, caplog):
    with caplog.at_level("INFO"):
        train(make_ticket(training={"epochs": 1}), prepared, threads=3)
    assert ", 1 thread(s), " in caplog.text


def test_things_are_shared_about_equally_in_order_and_at_once():
    together = threading.Barrier(3, timeout=60)
    seen = {}

    def work(thread, share):
        together.wait()  # breaks unless all three are here
        seen[thread] = share

    Threads(3).share(11, work)
    assert seen == {0: range(3), 1: range(3, 7), 2: range(7, 11)}


def test_more_threads_than_things_leave_none_empty():
    seen = []
    Threads(4).share(2, lambda thread, share: seen.append((thread, share)))
    assert sorted(seen) == [(0, range(1)), (1, range(1, 2))]
    Threads(4).share(0, lambda thread, share: seen.append((thread, share)))
    assert len(seen) == 2


@pytest.mark.parametrize("count", [1, 3])
def test_an_error_in_a_thread_is_raised(count):
    def work(thread, share):
        raise ZeroDivisionError(thread)

    with pytest.raises(ZeroDivisionError):
        Threads(count).share(5, work)


def test_an_error_waits_for_the_others():
    has_failed, done = threading.Event(), []

    def work(thread, share):
        if thread == 0:
            has_failed.set()
            raise ZeroDivisionError
        has_failed.wait(60)
        time.sleep(0.05)
        done.append(thread)

    with pytest.raises(ZeroDivisionError):
        Threads(2).share(2, work)
    assert done == [1]


@pytest.mark.parametrize("way", WAYS)
def test_a_share_of_the_images_unfolds_within_its_place(way):
    table, images = unfolded(4, 4, 3, "circular"), torch.ones(2, 3, 4, 4)
    room = torch.empty(2 * 3 * (16 + table.size) + 64, dtype=torch.int16)
    into = torch.full((2 * 2 * 16 * BLOCK + 64,), 77, dtype=torch.int16)
    library(way).unfold(
        2, 3, 16, 1, 3, 1, 4, 4, table.size, table.shape[1], table.ctypes.data,
        at(images), at(into), at(room),
    )  # fmt: skip
    written, behind = into[:-64], into[-64:]
    assert behind.eq(77).all()
    assert not written.eq(77).any()
