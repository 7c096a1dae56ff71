"""The spectrum of the change: planted spikes are found, the null has none, parts add up."""

import dataclasses

import numpy as np
import pytest

from jacobian_networks import DENSE, make_images, make_ticket
from ticketlens.checkpoint import Checkpoint
from ticketlens.measure import change
from ticketlens.networks import build
from ticketlens.tables import change as table
from ticketlens.theory import spikes


def sparse_gaussian(rng, shape, density):
    mask = rng.random(shape) < density
    return mask, np.where(mask, rng.standard_normal(shape), 0.0)


def planted(rng, shape, strengths):
    left = np.linalg.qr(rng.standard_normal((shape[0], len(strengths))))[0]
    right = np.linalg.qr(rng.standard_normal((shape[1], len(strengths))))[0]
    return left, (left * strengths) @ right.T


@pytest.mark.parametrize("density", [1.1, 0.2])
def test_planted_directions_are_found_and_pure_noise_has_none(density):
    rng = np.random.default_rng(0)
    shape, kept = (120, 200), min(density, 1)
    bulk_edge = np.sqrt(kept) * (np.sqrt(120) + np.sqrt(200))
    mask, noise = sparse_gaussian(rng, shape, density)
    edge = spikes.null_edge(mask, rng)
    assert spikes.split(noise, edge).spikes <= 1
    left, signal = planted(rng, shape, 2 * bulk_edge * np.array([1.2, 1.1, 1.0]))
    found = spikes.split(np.where(mask, noise + signal / kept, 0.0), edge)
    assert found.spikes == 3
    assert change.overlap(found.left[:, :3], left) > 0.7


def test_edge_of_a_full_mask_is_marchenko_pasturs():
    rng = np.random.default_rng(1)
    edge = spikes.null_edge(np.ones((200, 400), bool), rng, 20)
    asymptotic = (np.sqrt(200) + np.sqrt(400)) / np.sqrt(200 * 400)
    assert edge == pytest.approx(asymptotic, rel=0.03)
    transposed = spikes.null_edge(np.ones((400, 200), bool), np.random.default_rng(1), 20)
    assert transposed == pytest.approx(edge, rel=0.03)
    assert spikes.null_edge(np.zeros((3, 4), bool), rng) == 0
    with pytest.raises(ValueError, match="draws"):
        spikes.null_edge(np.ones((3, 4), bool), rng, 0)


def test_masks_alone_move_the_edge_beyond_marchenko_pasturs():
    """Rows of very different in-degree: the reason why the null keeps the mask."""
    rng = np.random.default_rng(2)
    shares = np.r_[np.full(20, 0.9), np.full(180, 0.05)]
    mask = rng.random((200, 400)) < shares[:, None]
    asymptotic = (np.sqrt(200) + np.sqrt(400)) / np.sqrt(200 * 400)
    assert spikes.null_edge(mask, rng) > 1.2 * asymptotic


def networks(density=0.6):
    """A ticket and what training made of it: here, noise of a fifth of its size on the mask."""
    ticket = Checkpoint("ticket", "study", 0, 1, "imp", DENSE, make_ticket(DENSE, density=density))
    rng = np.random.default_rng(3)
    moved = [
        dataclasses.replace(
            y,
            weight=np.where(y.mask, y.weight + 0.2 * rng.standard_normal(y.mask.shape), 0.0)
            .astype(np.float32),
            bias=y.bias + np.float32(0.1),
        )
        for y in ticket.layers
    ]  # fmt: skip
    return dataclasses.replace(ticket, kind="trained", layers=tuple(moved)), ticket


def test_spikes_and_bulk_add_up_to_the_trained_network_on_the_mask():
    trained, ticket = networks()
    parts = table.splits(trained, ticket, 5)
    whole = [own["change"].leading(len(own["change"].values)) for own in parts]
    again = change.with_change(ticket.layers, trained.layers, whole)
    for layer, wanted in zip(again, trained.layers, strict=True):
        np.testing.assert_allclose(layer.weight, wanted.weight, atol=1e-6)
        assert (layer.weight[~layer.mask] == 0).all()
        assert np.array_equal(layer.bias, wanted.bias)
    rank_one = change.with_change(
        ticket.layers, trained.layers, [p["change"].leading(1) for p in parts]
    )
    assert all((layer.weight[~layer.mask] == 0).all() for layer in rank_one)


def test_accuracy_is_that_of_the_torch_network():
    import torch

    trained, _ = networks()
    images, labels = make_images(DENSE, 60).astype(np.float32), np.arange(60) % 4
    logits = build(trained)(torch.from_numpy(images)).detach().numpy()
    wanted = np.mean(logits.argmax(axis=1) == labels)
    assert change.accuracy(trained.layers, "tanh", images, labels) == wanted


def test_tables_of_one_trained_network():
    trained, ticket = networks()
    images, labels = make_images(DENSE, 40).astype(np.float32), np.arange(40) % 4
    parts = table.splits(trained, ticket, 5)
    rows = table.spectrum_rows(trained, ticket, parts, images, labels)
    assert [(row["layer"], row["matrix"]) for row in rows[:3]] == [
        (1, "initial"), (1, "trained"), (1, "change"),
    ]  # fmt: skip
    assert rows[0]["overlap_initial_out"] == pytest.approx(1)
    assert rows[1]["overlap_trained_in"] == pytest.approx(1)
    assert rows[0]["class_means_chance"] == pytest.approx(3 / 18)
    assert {row["layer"] for row in rows if "readout_rows" in row} == {4}
    accuracies = table.accuracy_rows(trained, ticket, parts, images, labels, ranks=(1, 99))
    by_name = {(row["network"], row["rank"]): row["validation_accuracy"] for row in accuracies}
    assert by_name["rank", 99] == by_name["trained", 0]
    assert list(rows[0])[:7] == ["study", "seed", "round", "density", "arm", "state", "layer"]


def test_a_trained_network_beside_another_ticket_is_refused():
    trained, ticket = networks()
    with pytest.raises(ValueError, match="beside ticket study seed 1"):
        table.splits(trained, dataclasses.replace(ticket, seed=1))
    with pytest.raises(ValueError, match="mask"):
        table.splits(trained, networks(0.3)[1])


def test_overlap_and_span():
    basis = np.eye(4)[:, :2]
    assert change.overlap(basis, basis) == 1
    assert change.overlap(basis[:, :1], np.eye(4)[:, 2:]) == 0
    assert np.isnan(change.overlap(basis[:, :0], basis))
    assert change.span(np.array([[1.0, 1, 0], [2, 2, 0]])).shape == (3, 1)
    means = change.class_means(np.array([[[[1.0]]], [[[3.0]]]]), np.array([0, 1]))
    np.testing.assert_allclose(means, [[-1], [1]])


def test_the_figure_has_a_column_per_arm_and_density():
    import pandas as pd

    from ticketlens.figures.change import change as draw

    trained, ticket = networks()
    images, labels = make_images(DENSE, 40).astype(np.float32), np.arange(40) % 4
    parts = table.splits(trained, ticket, 5)
    spectra = pd.DataFrame(table.spectrum_rows(trained, ticket, parts, images, labels))
    accuracies = pd.DataFrame(table.accuracy_rows(trained, ticket, parts, images, labels))
    both = [
        pd.concat([own, own.assign(arm="snip"), own.assign(round=3)])
        for own in (spectra, accuracies)
    ]
    figure = draw(*both, {"study": "Study"}, {})
    titles = [axis.get_title().replace("\n", " ") for axis in figure.axes[:3]]
    assert [("snip" in title) for title in titles] == [False, False, True]
    with pytest.raises(ValueError, match="no rows"):
        draw(*both, {"other": "Other"}, {})
