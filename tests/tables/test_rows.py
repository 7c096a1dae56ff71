"""Rows of the tables: key columns first, one row per layer, values as the library gives them."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from ticketlens.checkpoint import Checkpoint
from ticketlens.figures import jacobian as figures_jacobian
from ticketlens.files.csv_tables import KEYS, concatenated, write_rows
from ticketlens.measure.nulls import NULLS
from ticketlens.measure.signal import measure
from ticketlens.spec import DatasetSpec, InitSpec, NetworkSpec, PruningSpec, Spec
from ticketlens.tables import jacobian as jacobian_rows
from ticketlens.tables import signal as signal_rows
from ticketlens.tables import spectra as spectra_rows
from ticketlens.tables import weights as weight_rows
from ticketlens.tables.columns import fewer_images, hidden, keys
from ticketlens.tables.histograms import histogram_table, write_histograms
from ticketlens.tickets.initialization import initial_layers
from ticketlens.tickets.pruning import prune
from ticketlens.tickets.random_weights import rewind

SPEC = Spec(
    network=NetworkSpec(hidden_layers=4, width=48),
    dataset=DatasetSpec("tiny", "0" * 64, (6, 6, 3), 5),
)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).standard_normal((40, 3, 6, 6)).astype(np.float32)


@pytest.fixture(scope="module")
def dense():
    return Checkpoint("ticket", "fcnet-normal", 0, 0, "imp", SPEC, initial_layers(SPEC, 0))


@pytest.fixture(scope="module")
def ticket(dense):
    masks = prune(dense.layers, dense.layers, PruningSpec(rate=0.5), 0, 1)
    return replace(dense, round=1, layers=rewind(masks, dense.layers))


def test_rows_begin_with_the_key_columns_in_their_order(ticket):
    assert list(keys(ticket, 2)) == list(KEYS)
    assert list(keys(ticket)) == [key for key in KEYS if key != "layer"]


def test_density_is_the_layers_own_where_there_is_a_layer(ticket):
    assert keys(ticket, 2)["density"] == ticket.layers[1].density == 0.5
    assert keys(ticket)["density"] == ticket.density != 0.5


def test_hidden_layers_leave_out_the_readout(ticket):
    assert [number for number, _ in hidden(ticket)] == [1, 2, 3, 4]


def test_weight_statistics_scale_with_the_root_of_fan_in(dense):
    rows = weight_rows.weight_statistics(dense)
    assert len(rows) == 5
    for row, layer in zip(rows, dense.layers, strict=True):
        assert row["std_scaled"] == pytest.approx(layer.weight.std() * layer.fan_in**0.5, rel=1e-5)
        assert row["selection_std_scaled"] == pytest.approx(1.4)


def test_training_change_is_reported_for_trained_networks_only(ticket):
    flipped = tuple(replace(layer, weight=-layer.weight + 0.0) for layer in ticket.layers)
    trained = replace(ticket, kind="trained", layers=flipped)
    (row, *_) = weight_rows.weight_statistics(trained, ticket)
    assert row["state"] == "trained"
    assert row["sign_flip_fraction"] == 1.0
    assert row["correlation_with_init"] == pytest.approx(-1.0)
    assert "sign_flip_fraction" not in weight_rows.weight_statistics(ticket)[0]


def test_histogram_table_holds_every_kept_weight(ticket, tmp_path):
    write_histograms(tmp_path / "h.h5", ticket, *weight_rows.weight_histograms(ticket))
    table = histogram_table([tmp_path / "h.h5"])
    for number, layer in enumerate(ticket.layers, start=1):
        rows = table[table["layer"] == number]
        width = np.diff(rows["weight_scaled"])[0]
        assert rows["count"].sum() == np.count_nonzero(layer.mask)
        assert rows["density_weight"].sum() * width == pytest.approx(1.0)


def test_histograms_of_trained_weights_have_the_same_bins_and_more_of_them(ticket):
    edges, _ = weight_rows.weight_histograms(ticket)
    wide, _ = weight_rows.weight_histograms(replace(ticket, kind="trained"))
    assert wide[-1] == pytest.approx(3 * edges[-1])
    np.testing.assert_allclose(np.diff(wide), edges[1] - edges[0])


def test_degrees_have_two_rows_a_layer_and_locality_for_the_first(ticket):
    rows = weight_rows.degree_rows(ticket)
    assert [row["direction"] for row in rows] == ["in", "out"] * 5
    assert rows[0]["mean"] == pytest.approx(0.5 * 108)
    assert np.isfinite(rows[0]["input_distance"]) and "input_distance" not in rows[2]


def test_ladder_rows_hold_the_measured_q_and_every_rung_in_both_modes(dense, images):
    table = pd.DataFrame(signal_rows.ladder_rows(dense, images))
    assert set(table["rung"]) == {"measured", *signal_rows.ladder.RUNGS}
    assert (table.groupby(["rung", "mode"]).size() == 4).all()
    measured = table[table["rung"] == "measured"]
    gaussian = measured["activation_square_gaussian"]
    np.testing.assert_allclose(measured["activation_square"], gaussian, rtol=0.2)
    q = table.pivot_table(index="layer", columns=["rung", "mode"], values="q")
    np.testing.assert_allclose(q["naive", "free"], q["second_moment", "free"], rtol=0.02)


def test_decomposition_adds_up_to_the_measured_q(ticket, images):
    for row in signal_rows.decomposition_rows(ticket, images):
        parts = ("diagonal", "mean", "covariance", "bias_cross", "bias")
        assert sum(row[part] for part in parts) == pytest.approx(row["q"], rel=1e-9)


def test_chi_rows_begin_at_the_second_hidden_layer(ticket, images):
    signal = measure(ticket.layers, "tanh", images, np.random.default_rng(0))
    rows = signal_rows.chi_rows(ticket, signal, images)
    assert [row["layer"] for row in rows] == [2, 3, 4]
    assert rows[0]["chi_naive"] > rows[0]["chi_second_moment"]
    assert rows[-1]["chi_frobenius"] == pytest.approx(signal.chi.mean(axis=0)[-1])
    assert len(signal_rows.qmap_rows(ticket, signal.q)) == 4
    assert np.isnan(signal_rows.cmap_rows(ticket, signal)[0]["regression_slope"])


def test_free_probability_stands_beside_the_dense_ticket_only(dense, ticket, images):
    statistics, spectrum = jacobian_rows.jacobian_rows(dense, images[:2])
    assert statistics[0]["mean_square_theory"] > 0
    assert sum(row["density_theory"] > 0 for row in spectrum) > 10
    _, pruned = jacobian_rows.jacobian_rows(ticket, images[:2])
    assert all(np.isnan(row["density_theory"]) for row in pruned)


@pytest.mark.parametrize(
    ("width", "init", "has_moments"),
    [(48, {"scheme": "orthogonal"}, True), ((48, 24, 48, 24), {}, False)],
    ids=["atoms alone", "not square"],
)
def test_where_free_probability_has_no_density_none_is_drawn(
    images, width, init, has_moments, monkeypatch
):
    monkeypatch.setattr(jacobian_rows, "null_networks", lambda *_: {})
    network = replace(SPEC.network, activation="linear" if has_moments else "tanh")
    spec = replace(SPEC, network=network, init=replace(SPEC.init, **init))
    layers = initial_layers(spec, 0)
    if not has_moments:
        sizes = [layers[0].weight.shape[1], *width]
        cut = [
            replace(layer, weight=layer.weight[:out, :into], mask=layer.mask[:out, :into],
                    bias=layer.bias[:out])
            for layer, into, out in zip(layers, sizes, width, strict=False)
        ]  # fmt: skip
        readout = layers[-1]
        last = replace(readout, weight=readout.weight[:, :24], mask=readout.mask[:, :24])
        layers = (*cut, last)
    found = Checkpoint("ticket", "s", 0, 0, "imp", spec, layers)
    statistics, spectrum = jacobian_rows.jacobian_rows(found, images[:2])
    assert ("mean_square_theory" in statistics[0]) == has_moments
    assert all(np.isnan(row["density_theory"]) for row in spectrum)


def test_jacobian_statistics_of_tickets_stand_beside_those_of_their_nulls(ticket, images):
    statistics, spectrum = jacobian_rows.jacobian_rows(ticket, images[:2])
    hidden_networks = {row["network"] for row in statistics if row["jacobian"] == "hidden"}
    assert hidden_networks == {"ticket", *NULLS}
    assert {row["network"] for row in spectrum} == {"ticket"}
    trained, _ = jacobian_rows.jacobian_rows(replace(ticket, kind="trained"), images[:2])
    assert {row["network"] for row in trained} == {"ticket"}


def test_isometry_rows_hold_the_ticket_and_its_nulls(ticket, images):
    rows = jacobian_rows.isometry_rows(ticket, images)
    assert {row["network"] for row in rows} == {"ticket", *NULLS}
    trained = jacobian_rows.isometry_rows(replace(ticket, kind="trained"), images)
    assert {row["network"] for row in trained} == {"ticket"}


def test_the_jacobians_tables_share_their_first_nulls_and_are_what_each_is_alone(ticket, images):
    found = jacobian_rows.measure_jacobian(ticket, images[:2], images[:3])
    assert found["isometry"] == jacobian_rows.isometry_rows(ticket, images[:3])
    assert found["jacobian"] == jacobian_rows.jacobian_rows(ticket, images[:2])[0]


def test_spectra_of_a_dense_gaussian_have_no_outliers(dense):
    statistics, densities = spectra_rows.spectra_rows(dense)
    assert len(statistics) == 4
    for row in statistics:
        assert row["largest"] < 1.25 * row["edge_marchenko_pastur"]
        assert row["four_cycles"] == pytest.approx(row["four_cycles_random"])
    first = [row["density_eigenvalue"] for row in densities if row["layer"] == 1]
    assert sum(first) * (densities[1]["eigenvalue"] - densities[0]["eigenvalue"]) <= 1 + 1e-9


def test_rows_written_as_csv_read_back_with_the_same_bits(tmp_path):
    rows = [{"study": "a", "x": 0.1 + 0.2, "n": 3}, {"study": "b", "x": float("nan"), "y": 1e-300}]
    write_rows(tmp_path / "rows.csv", rows)
    table = concatenated([tmp_path / "rows.csv"])
    assert table["x"][0] == 0.1 + 0.2 and np.isnan(table["x"][1])
    assert table["y"][1] == 1e-300


def test_no_rows_are_an_error_that_names_the_file(tmp_path):
    with pytest.raises(ValueError, match=r"rows\.csv: nothing was measured"):
        write_rows(tmp_path / "rows.csv", [])


@pytest.mark.parametrize("sigma_w", [0.1, 1.4, 3.0])
def test_a_spectrum_far_from_criticality_has_bins_for_all_its_values(sigma_w: float) -> None:
    network, images_of = NetworkSpec(hidden_layers=8, width=24), DatasetSpec(shape=(4, 4, 1))
    spec = Spec(network=network, init=InitSpec(sigma_w=sigma_w), dataset=images_of)
    layers = initial_layers(spec, 0)
    ticket = Checkpoint("ticket", "mine", 0, 0, "imp", spec, layers)
    images = np.random.default_rng(0).standard_normal((2, 1, 4, 4)).astype(np.float32)
    statistics, spectrum = jacobian_rows.jacobian_rows(ticket, images.reshape(2, -1))
    own = [row for row in spectrum if row["jacobian"] == "hidden"]
    assert sum(row["density_log10"] for row in own) * 0.1 == pytest.approx(1, abs=1e-6)
    centres = [row["log10_s2"] for row in own]
    usual = (jacobian_rows.LOG10_S2[1:] + jacobian_rows.LOG10_S2[:-1]) / 2
    assert set(usual) <= set(centres)
    figure = figures_jacobian.jacobian_spectrum(pd.DataFrame(spectrum), {"mine": "Mine"})
    low, high = figure.axes[0].get_xlim()
    assert low < 2 * np.log10(statistics[0]["largest"]) < high + 0.1


def test_kinds_of_images_of_which_there_were_fewer_than_asked_for_are_counted() -> None:
    given = {"images": range(15), "isometry_images": range(4), "labels": range(15)}
    assert fewer_images({"images": 500, "isometry_images": 4}, given) == {"images": 15}
    assert fewer_images({"images": None}, given) == {}
