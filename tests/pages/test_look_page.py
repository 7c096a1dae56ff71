"""The page of `ticketlens look`: every layer by name, nothing said a hundred times, and it fits."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.nn.utils import prune

from browser import AXE, DESKTOP, PHONE, browser, missing
from ticketlens import lens
from ticketlens.__main__ import main
from ticketlens.figures import look
from ticketlens.pages.look_page import page, summary, verdicts

IMAGES = np.random.default_rng(1).standard_normal((8, 3, 4, 4))
SIZES = (48, 16, 12, 8, 3)


def pruned(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    model = nn.Sequential()
    for number, (inside, outside) in enumerate(pairwise(SIZES)):
        model.append(nn.Linear(inside, outside))
        prune.l1_unstructured(model[-1], "weight", 0.5)
        if number < len(SIZES) - 2:
            model.append(nn.Tanh())
    return model


@pytest.fixture(scope="module")
def looked(tmp_path_factory):
    folder = tmp_path_factory.mktemp("looked")
    file = folder / f"{'a-long-name-' * 6}.pt"
    torch.save(pruned().state_dict(), file)
    assert main(["look", str(file), "--out", str(folder / "out")]) == 0
    return folder / "out"


def test_the_summary_has_every_layer_with_its_weights_and_its_spectrum():
    layers = lens.look(pruned())
    found = summary(layers)
    assert list(found["name"]) == ["0", "2", "4", "6"]
    assert list(found["weights kept"]) == [384, 96, 48, 12]
    assert np.allclose(found["density"], 0.5)
    assert list(found["largest eigenvalue"]) == list(layers["spectra"]["largest"])
    chain = summary(lens.look(pruned(), IMAGES))
    assert list(chain["name"]) == ["hidden1", "hidden2", "hidden3", "readout"]
    assert chain["beyond it"].iloc[-1] == "" and np.isnan(chain["largest eigenvalue"].iloc[-1])


def test_layers_of_a_chain_are_named_as_in_the_file():
    notes = lens.look(pruned(), IMAGES)["qmap"].attrs["notes"]
    assert "hidden1 to readout are the layers 0, 2, 4, 6" in notes


def test_what_is_said_of_many_layers_is_said_once(tmp_path):
    torch.save(pruned().state_dict(), tmp_path / "m.pt")
    notes = lens.look(tmp_path / "m.pt")["degrees"].attrs["notes"]
    assert [note for note in notes if "off" in note] == [
        "layers 0, 2, 4, 6: 540 weights off their masks are not zero; set to zero"
    ]


def test_verdicts_count_all_weights():
    assert verdicts(lens.look(pruned()))[0] == "4 layers, 540 kept weights of 1,080 (50.00%)."


def test_a_page_of_masks_alone_has_its_summary(tmp_path):
    masks = {"fc1": np.eye(4) == 1, "fc2": np.ones((3, 4)) == 1}
    np.savez(tmp_path / "masks.npz", **masks)
    tables = lens.look(tmp_path / "masks.npz")
    assert list(summary(tables)["density"]) == [0.25, 1.0]
    assert "fc2" in page("masks", tables, {}, [])


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ({"w": np.zeros((5, 4))}, "1 layer, 0 kept weights of 20 (0.00%)."),
        ({"w": np.zeros((5, 4)), "v": np.eye(5)}, "2 layers, 5 kept weights of 45 (11.11%)."),
        ({"m": np.eye(4) == 1}, "1 layer, 4 kept weights of 16 (25.00%)."),
    ],
)
def test_layers_without_a_weight_left_are_counted(tmp_path, capsys, weights, said):
    np.savez(tmp_path / "m.npz", **weights)
    assert main(["look", str(tmp_path / "m.npz"), "--out", str(tmp_path / "out")]) == 0
    assert said in capsys.readouterr().out
    assert said in (tmp_path / "out/index.html").read_text(encoding="utf-8")


def test_a_page_that_cannot_be_made_leaves_no_files(tmp_path, monkeypatch):
    def fails(*_):
        raise ValueError("no page")

    np.savez(tmp_path / "m.npz", w=np.eye(5))
    monkeypatch.setattr("ticketlens.pages.look_page.page", fails)
    assert main(["look", str(tmp_path / "m.npz"), "--out", str(tmp_path / "out")]) == 1
    assert not (tmp_path / "out").exists()


def test_a_histogram_of_few_eigenvalues_has_few_bins_and_the_same_area():
    middles = np.linspace(0.05, 7.95, 80)
    values = np.array([1.0, 1.3, 2.0, 5.0])
    density, _ = np.histogram(values, np.linspace(0, 8, 81), density=True)
    edges, heights = look._coarse(middles, density)
    assert np.count_nonzero(edges < values.max()) <= 3 * np.sqrt(len(values)) + 1
    assert (heights * np.diff(edges)).sum() == pytest.approx(1)


def test_zeros_of_a_layer_wider_than_its_inputs_do_not_make_its_bins_narrow():
    """256 eigenvalues beside 744 zeros need the bins of 256."""
    middles = np.linspace(0.05, 7.95, 80)
    others = np.linspace(1, 7, 256)
    bins = np.linspace(0, 8, 81)
    alone, _ = np.histogram(others, bins, density=True)
    beside, _ = np.histogram(np.append(np.zeros(744), others), bins, density=True)
    assert len(look._coarse(middles, beside)[1]) == len(look._coarse(middles, alone)[1])


def test_a_network_of_two_layers_has_axes_and_points_that_can_be_read():
    rows = {"layer": [1, 2], "largest": [2.63, 2.54], "edge_null": [2.82, 2.84]}
    rows |= {"edge_marchenko_pastur": [2.64, 2.49]}
    figure = look.outliers({"spectra": pd.DataFrame(rows)})
    figure.canvas.draw()
    low, high = figure.axes[0].get_ylim()
    assert sum(low <= tick <= high for tick in figure.axes[0].get_yticks()) >= 3
    one = {"layer": [2], "chi_frobenius": [0.06], "chi_naive": [0.4]}
    one |= {"chi_second_moment": [0.07], "slope": [0.9]}
    lines = look.chi({"chi": pd.DataFrame(one)}).axes[0].get_lines()[:4]
    assert all(line.get_marker() not in ("None", "", None) for line in lines)


def test_no_curve_leaves_its_panel():
    rows = pd.DataFrame({"layer": [1, 2, 3], "std_scaled": [0.925, 0.926, 0.884]})
    rows["density_at_zero_over_peak"] = 0.0
    for axis in look.weights({"weight_statistics": rows}).axes:
        (line,) = axis.get_lines()
        low, high = axis.get_ylim()
        assert (line.get_ydata() < high).all() and (line.get_ydata() > low).all()


def test_values_far_apart_are_drawn_on_a_logarithmic_axis():
    rows = {"layer": [1, 2, 1, 2], "mode": ["measured"] * 2 + ["free"] * 2}
    rows |= {"rung": ["measured"] * 2 + ["naive"] * 2, "q": [0.1, 40.0, 0.1, 0.2]}
    axis = look.q({"ladder": pd.DataFrame(rows)}).axes[0]
    assert axis.get_yscale() == "log"
    assert all(float(tick).is_integer() for tick in axis.get_xticks())


@pytest.mark.browser
@pytest.mark.skipif(bool(missing()), reason=f"{' and '.join(missing())} not installed")
@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_the_page_fits_desktop_and_phone_and_shows_its_figures(tmp_path, looked, size):
    with browser(tmp_path) as session:
        session.open(looked / "index.html", size)
        assert session.run("return document.documentElement.scrollWidth") <= size[0]
        widths = session.run("return [...document.images].map(image => image.naturalWidth)")
        assert len(widths) == 4 and min(widths) > 300


@pytest.mark.browser
@pytest.mark.skipif(bool(missing()), reason=f"{' and '.join(missing())} not installed")
@pytest.mark.skipif(not AXE.is_file(), reason="no axe-core: `make test-report` fetches it by npm")
@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_axe_finds_nothing_to_complain_of(tmp_path, looked, size):
    with browser(tmp_path) as session:
        session.open(looked / "index.html", size)
        assert session.violations() == []
