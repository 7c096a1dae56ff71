"""Random streams: functions of (seed, purpose) alone, independent of each other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ticketlens.seeds import stream

SEEDS = st.integers(0, 2**70)
PINNED_INTEGERS = [1096065154, 3765400875, 83527039]
PINNED_NORMALS = [-1.9293583287227247, 0.5848727949809972]
PURPOSES = st.lists(st.one_of(st.text(max_size=8), st.integers(0, 99)), min_size=1, max_size=3)


@given(SEEDS, PURPOSES)
def test_stream_is_a_function_of_seed_and_purpose(seed, purpose):
    first, second = (stream(seed, *purpose).integers(0, 2**63, 4) for _ in range(2))
    assert np.array_equal(first, second)


@given(SEEDS, SEEDS, PURPOSES, PURPOSES)
def test_another_seed_or_purpose_gives_other_numbers(seed, other_seed, purpose, other_purpose):
    def path(parts):
        return "/".join(map(str, parts))

    assume((seed, path(purpose)) != (other_seed, path(other_purpose)))
    first = stream(seed, *purpose).integers(0, 2**63, 4)
    assert not np.array_equal(first, stream(other_seed, *other_purpose).integers(0, 2**63, 4))


def test_extra_draws_from_one_stream_never_shift_another():
    expected = stream(0, "weight", "hidden2").standard_normal(5)
    stream(0, "weight", "hidden1").standard_normal(1000)
    assert np.array_equal(stream(0, "weight", "hidden2").standard_normal(5), expected)


def test_streams_are_uncorrelated():
    purposes = [("weight", "hidden1"), ("weight", "hidden2"), ("bias", "hidden1"), ("split",)]
    draws = [
        stream(seed, *purpose).standard_normal(20_000) for seed in (0, 1) for purpose in purposes
    ]
    off_diagonal = np.corrcoef(draws)[np.triu_indices(len(draws), 1)]
    assert np.abs(off_diagonal).max() < 5 / np.sqrt(20_000)


def test_streams_are_those_that_made_the_ticket_bank():
    # Other numbers here would orphan every ticket that was ever stored without its weights.
    assert stream(0, "weight", "hidden1").integers(0, 2**32, 3).tolist() == PINNED_INTEGERS
    assert stream(3, "bias", "readout").standard_normal(2).tolist() == PINNED_NORMALS


def test_a_purpose_is_a_path_of_any_parts():
    assert stream(1, "prune", 3, "hidden1").random() == stream(1, "prune/3/hidden1").random()


@pytest.mark.parametrize(
    ("seed", "purpose", "message"), [(-1, ("weight",), "seed is -1"), (0, (), "needs a purpose")]
)
def test_a_negative_seed_or_no_purpose_is_refused(seed, purpose, message):
    with pytest.raises(ValueError, match=message):
        stream(seed, *purpose)
