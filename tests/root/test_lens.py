"""`lens.look` and `ticketlens look`: the workflow's tables of any pruned network."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import safetensors.torch
import torch
from scipy import stats
from torch import nn
from torch.nn.utils import prune

from core_tools import write_images
from ticketlens import exchange, lens
from ticketlens.__main__ import main
from ticketlens.checkpoint import Layer, write
from ticketlens.figures.look import FIGURES
from ticketlens.measure.signal import measure
from ticketlens.networks import build
from ticketlens.seeds import stream
from ticketlens.tables import large_spectra, signal, spectra
from ticketlens.tables.gradients import gradient_rows

RNG = np.random.default_rng(0)
IMAGES = RNG.standard_normal((8, 3, 6, 6))
WEIGHTS = {"degrees", "spectra", "spectral_densities", "weight_statistics"}
SIGNAL = {
    "qmap", "chi", "cmap", "ladder", "decomposition", "jacobian", "isometry", "gradients",
}  # fmt: skip
DENSE = {"jacobian_spectrum", "ntk", "ntk_spectra"}


def test_the_tables_are_those_of_the_workflow(make_ticket):
    ticket = make_ticket(0.5)
    tables = lens.look(ticket, IMAGES)
    assert set(tables) == WEIGHTS | SIGNAL | DENSE
    found = measure(ticket.layers, "tanh", IMAGES, stream(ticket.seed, "perturbation"))
    expected = pd.DataFrame(signal.qmap_rows(ticket, found.q))
    pd.testing.assert_frame_equal(tables["qmap"], expected, check_exact=True)
    pd.testing.assert_frame_equal(
        tables["spectra"], pd.DataFrame(spectra.spectra_rows(ticket)[0]), check_exact=True
    )


def test_a_checkpoint_its_layers_its_module_and_its_files_look_the_same(tmp_path, make_ticket):
    ticket = make_ticket(0.5)
    exchange.write(ticket, tmp_path / "t.safetensors")
    exchange.write(ticket, tmp_path / "t.pt")
    write(tmp_path / "ticket.h5", ticket)
    expected = lens.look(ticket, IMAGES)["qmap"]["q"]
    for source in (
        ticket.layers, build(ticket), build(ticket, masked=False), tmp_path / "t.safetensors",
        tmp_path / "t.pt", tmp_path / "ticket.h5",
    ):  # fmt: skip
        assert np.allclose(lens.look(source, IMAGES)["qmap"]["q"], expected, rtol=1e-12)


@pytest.mark.parametrize("name", ["relu", "tanh"])
def test_a_sequential_says_its_own_activation_and_geometry(name):
    torch.manual_seed(0)
    phi = {"relu": nn.ReLU, "tanh": nn.Tanh}[name]
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), phi(), nn.Conv2d(4, 4, 3, stride=2, padding=1), phi(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3),
    )  # fmt: skip
    for module in (model[0], model[2]):
        prune.l1_unstructured(module, "weight", 0.5)
    tables = lens.look(model, IMAGES)
    with torch.no_grad():
        x = torch.from_numpy(IMAGES).float()
        h = [model[0](x), model[2](model[1](model[0](x)))]
    expected = [float((one**2).mean()) for one in h]
    assert np.allclose(tables["qmap"]["q"], expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (nn.Conv2d(4, 4, 3, padding=1, groups=2), "convolution 2 is grouped"),
        (nn.Conv2d(4, 4, 3, padding=0), "convolution 2 is not padded by half its kernel"),
        (nn.Conv2d(4, 4, 3, padding=2, dilation=2), "convolution 2 is dilated"),
    ],
)
def test_geometry_that_no_family_has_is_refused_by_layer(layer, message):
    model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), layer, nn.ReLU(),
                          nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))  # fmt: skip
    with pytest.raises(ValueError, match=message):
        lens.look(model, IMAGES)


def test_what_is_no_chain_has_its_weights_measured_where_that_is_enough():
    """A module and a file that no family has: the note says what is missing, and by which layer."""
    model = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1, groups=3), nn.ReLU(),
                          nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3))  # fmt: skip
    tables = lens.look(model, IMAGES, strict=False)
    assert set(tables) == WEIGHTS
    assert (
        tables["spectra"]
        .attrs["notes"][0]
        .startswith("not measured: q, chi, Jacobians and gradients: convolution 1 is grouped")
    )
    with pytest.raises(ValueError, match="images have shape"):  # no matter of the network
        lens.look(nn.Sequential(nn.Linear(5, 4), nn.Linear(4, 2)), IMAGES, strict=False)


def test_layers_that_are_no_chain_are_looked_at_one_by_one(tmp_path):
    """A transformer block: no chain, biases missing, norms between, bfloat16."""
    torch.manual_seed(1)
    state = {
        "model.layers.0.mlp.up.weight": torch.randn(20, 8),
        "model.layers.0.mlp.gate.weight": torch.randn(20, 8),
        "model.layers.0.mlp.down.weight": torch.randn(8, 20),
        "model.layers.0.norm.weight": torch.ones(8),
    }
    state = {k: v.bfloat16() * (torch.rand_like(v) < 0.5) for k, v in state.items()}
    safetensors.torch.save_file(state, tmp_path / "block.safetensors")
    tables = lens.look(tmp_path / "block.safetensors")
    assert set(tables) == WEIGHTS
    assert list(tables["weight_statistics"]["layer"]) == [1, 2, 3]
    assert not tables["weight_statistics"].duplicated(["study", "layer"]).any()
    notes = tables["degrees"].attrs["notes"]
    assert any("norm" in note for note in notes)
    places = "layers.0.mlp.down, layers.0.mlp.gate, layers.0.mlp.up"
    assert f"layers {places}: no mask in the file, so its exact zeros are the masks" in notes
    with pytest.raises(ValueError, match=r"normalisation or scale"):
        lens.look(tmp_path / "block.safetensors", RNG.standard_normal((4, 8)), network={})


def test_masks_alone_give_their_degrees(tmp_path):
    np.savez(tmp_path / "masks.npz", **{"a": RNG.random((6, 5)) < 0.5, "b": RNG.random((4, 6)) < 1})
    tables = lens.look(tmp_path / "masks.npz")
    assert set(tables) == {"degrees"} and set(tables["degrees"]["name"]) == {"a", "b"}


def test_weights_off_the_mask_are_refused_or_dropped(make_ticket):
    ticket = make_ticket(0.5)
    layers = [
        replace(x, weight=RNG.standard_normal(x.mask.shape).astype(np.float32))
        for x in ticket.layers
    ]
    with pytest.raises(ValueError, match=r"layer hidden1: .* weights off its mask"):
        lens.look(layers)
    kept = lens.look(layers, apply_mask=True)["weight_statistics"]["count"]
    assert list(kept) == [np.count_nonzero(layer.mask) for layer in ticket.layers]


@pytest.mark.parametrize("shape", [(4, 3, 5, 6), (4, 1, 6, 6), (1, 3, 6, 6), (4, 107)])
def test_images_of_another_shape_are_refused(make_ticket, shape):
    with pytest.raises(ValueError, match="images"):
        lens.look(make_ticket(0.5), np.zeros(shape))


def test_a_folder_is_normalised_by_its_own_moments_unless_told(tmp_path, make_ticket):
    write_images(tmp_path / "set", train=3, test=2)
    ticket = make_ticket(0.5)
    own = lens.look(ticket, tmp_path / "set")
    assert any("own channel means" in note for note in own["qmap"].attrs["notes"])
    other = lens.look(ticket, tmp_path / "set", mean=[0.5] * 3, std=[0.5] * 3)
    assert not np.allclose(own["qmap"]["q"], other["qmap"]["q"])
    with pytest.raises(ValueError, match="go together"):
        lens.look(ticket, tmp_path / "set", mean=[0.5] * 3)
    write_images(tmp_path / "wide", train=3, test=2, size=(7, 6))
    with pytest.raises(ValueError, match="7×6 pixels; the network takes 6×6"):
        lens.look(ticket, tmp_path / "wide")


# --- large layers ----------------------------------------------------------------------------


@pytest.mark.parametrize(("rows", "columns"), [(80, 120), (120, 80), (90, 90)])
@pytest.mark.parametrize("density", [0.1, 0.6])
@pytest.mark.parametrize("has_spike", [True, False])
def test_the_fast_way_of_large_layers_has_the_verdicts_of_the_slow_one(
    monkeypatch, make_ticket, rows, columns, density, has_spike
):
    mask = RNG.random((rows, columns)) < density
    weight = RNG.standard_normal((rows, columns))
    if has_spike:
        weight += 1.0
    layer = Layer("hidden1", "linear", np.where(mask, weight, 0).astype(np.float32), None, mask)
    ticket = replace(make_ticket(), layers=(layer,))
    monkeypatch.setattr(large_spectra, "_draw", _draw_of_small_layers)
    ((slow,), densities), ((fast,), others) = (
        spectra.spectra_rows(ticket), large_spectra.large_spectra_rows(ticket, 1),
    )  # fmt: skip
    assert set(slow) == set(fast)
    assert (
        fast["outliers_null"] == slow["outliers_null"] and (slow["outliers_null"] > 0) >= has_spike
    )
    assert fast["outliers_marchenko_pastur"] == slow["outliers_marchenko_pastur"]
    for column in ("largest", "largest_null", "edge_null", "four_cycles", "four_cycles_random",
                   "participation_ratio_top", "rank_share", "ratio"):  # fmt: skip
        assert fast[column] == pytest.approx(slow[column], rel=1e-6), column
    # The first bin apart: exact zeros come out as ±1e-16, and the slow way drops the negative ones.
    assert [row["density_eigenvalue"] for row in others][1:] == pytest.approx(
        [row["density_eigenvalue"] for row in densities][1:]
    )


def test_large_layers_take_the_fast_way(monkeypatch):
    mask = RNG.random((70, 60)) < 0.2
    weight = np.where(mask, RNG.standard_normal(mask.shape), 0).astype(np.float32)
    layers = [Layer("up", "linear", weight, None, mask)]
    slow = lens.look(layers)["spectra"]
    monkeypatch.setattr(large_spectra, "is_large", lambda layer: True)
    monkeypatch.setattr(large_spectra, "_draw", _draw_of_small_layers)
    fast = lens.look(layers)["spectra"]
    assert list(slow.columns) == list(fast.columns)
    assert np.allclose(slow["edge_null"], fast["edge_null"], rtol=1e-5)


def _draw_of_small_layers(rng: np.random.Generator, mask: np.ndarray) -> np.ndarray:
    """The very numbers of `tables.spectra`, so that the two ways can be compared."""
    return np.where(mask, rng.standard_normal(mask.shape), 0).astype(np.float32)


@pytest.mark.parametrize("density", [1.0, 0.3])
def test_draws_of_large_layers_are_normal_on_the_mask_and_zero_off_it(density):
    mask = np.random.default_rng(1).random((300, 200)) < density
    draw = large_spectra._draw(np.random.default_rng(2), mask)
    assert draw.dtype == np.float32 and not draw[~mask].any() and draw[mask].all()
    assert stats.kstest(draw[mask], "norm").pvalue > 0.01
    following = large_spectra._draw(np.random.default_rng(3), mask)
    assert abs(np.corrcoef(draw[mask], following[mask])[0, 1]) < 4 / np.sqrt(mask.sum())


# --- the command -----------------------------------------------------------------------------


def test_the_command_writes_tables_figures_and_one_page(tmp_path, make_ticket, capsys):
    exchange.write(make_ticket(0.5), tmp_path / "<b>mine.safetensors")
    write_images(tmp_path / "set", train=3, test=2)
    out = tmp_path / "out"
    arguments = ["look", str(tmp_path / "<b>mine.safetensors"), "--images", str(tmp_path / "set")]
    assert main([*arguments, "--out", str(out)]) == 0
    names = {path.name for path in out.iterdir()}
    assert {f"{name}.csv" for name in WEIGHTS | SIGNAL} < names
    assert {f"{name}.png" for name in FIGURES} < names
    page = (out / "index.html").read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") == len(FIGURES) and "<b>mine" not in page
    assert not re.findall(r"(?:src|href)=['\"](?!data:)", page)  # nothing outside it
    assert "kept weights" in capsys.readouterr().out
    table = pd.read_csv(out / "qmap.csv")
    assert list(table["layer"]) == [1, 2] and (table["q"] > 0).all()


def test_the_command_says_in_one_line_what_is_wrong(tmp_path, capsys):
    (tmp_path / "bad.safetensors").write_bytes(b"nonsense")
    for arguments in (["look", str(tmp_path / "bad.safetensors")], ["look", "/nowhere/x.pt"]):
        assert main([*arguments, "--out", str(tmp_path / "out")]) == 1
        assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_names_of_strangers_are_printed_in_one_line_and_move_no_cursor(tmp_path, capsys):
    name = "a\n\x1b[31mb.weight"
    out = ["--out", str(tmp_path / "out")]
    for file, tensor in (
        ("bad.pt", torch.ones(4, 4) * 1j),
        ("good.pt", torch.rand(4, 4, dtype=torch.float64)),
    ):
        torch.save({name: tensor}, tmp_path / file)
        is_bad = main(["look", str(tmp_path / file), *out])
        said = capsys.readouterr()
        assert "\x1b" not in said.out + said.err and "a\\n\\x1b[31mb" in said.out + said.err
        assert said.err.count("\n") == is_bad == (file == "bad.pt")


def test_hdf5_of_another_kind_is_refused_without_the_workflows_advice(tmp_path, capsys):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = np.eye(3)
    (tmp_path / "text.h5").write_text("hello")
    for name in ("other.h5", "text.h5"):
        assert main(["look", str(tmp_path / name), "--out", str(tmp_path / "out")]) == 1
        said = capsys.readouterr().err
        assert said.count("\n") == 1 and "allowed as .h5" in said and "snakemake" not in said
    assert not (tmp_path / "out").exists()


def test_levels_of_open_lth_are_written_apart(tmp_path, make_ticket, monkeypatch):
    exchange.write(make_ticket(0.5), tmp_path / "level_3/main")
    monkeypatch.chdir(tmp_path)
    assert main(["look", "level_3/main"]) == 0
    assert "<h1>ticketlens: level_3-main</h1>" in Path("level_3-main-look/index.html").read_text()


class Written(nn.Module):
    """Layers with a forward pass of its own: nothing in it is named after an activation."""

    def __init__(self, phi) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.phi = phi
        sizes = (108, 12, 12, 3)
        self.linear = nn.ModuleList(nn.Linear(*own) for own in itertools.pairwise(sizes))

    def forward(self, x):
        first, second, readout = self.linear
        return readout(self.phi(second(self.phi(first(x.flatten(1))))))


@pytest.mark.parametrize(("name", "phi"), [("erf", torch.erf), ("relu", torch.relu)])
def test_the_activation_of_a_module_is_found_by_running_it(name, phi):
    model = Written(phi).train()
    tables = lens.look(model, IMAGES)
    assert any(note.startswith(f"activation: {name}") for note in tables["qmap"].attrs["notes"])
    with torch.no_grad():
        h = model.linear[1](phi(model.linear[0](torch.from_numpy(IMAGES).float().flatten(1))))
    assert np.isclose(tables["qmap"]["q"][1], float((h**2).mean()), rtol=1e-5)
    assert model.training, "the module is left as it was"


@pytest.mark.parametrize(
    "between", [nn.GELU(), nn.Sequential(nn.LayerNorm(12), nn.ReLU()), nn.Sigmoid(), nn.Dropout()]
)
def test_a_module_that_computes_something_else_than_a_chain_is_refused(between):
    """Measured as a chain of relu or tanh, such a network would give wrong numbers in silence."""
    torch.manual_seed(3)
    model = nn.Sequential(nn.Flatten(), nn.Linear(108, 12), nn.ReLU(), nn.Linear(12, 12), between,
                          nn.Linear(12, 3))  # fmt: skip
    with pytest.raises(ValueError, match="Sequential is not a chain of its layers"):
        lens.look(model, IMAGES)
    assert set(lens.look(model)) == WEIGHTS


def test_without_images_any_convolution_is_measured_for_its_weights():
    model = nn.Sequential(nn.Conv2d(4, 8, 3, groups=2, dilation=2), nn.ConvTranspose2d(8, 6, 3))
    tables = lens.look(model)
    assert set(tables) == WEIGHTS
    wide = tables["degrees"][tables["degrees"]["direction"] == "in"]
    assert list(wide["units"]) == [8, 6], "(out, in) of a transposed kernel, too"


def test_labels_give_gradients_of_the_loss_and_alignment_by_array_or_folder(tmp_path, make_ticket):
    ticket, labels = make_ticket(0.5), np.arange(len(IMAGES)) % 3
    tables = lens.look(ticket, IMAGES, labels=labels)
    expected = pd.DataFrame(gradient_rows(ticket, IMAGES, labels, draws=1))
    pd.testing.assert_frame_equal(tables["gradients"], expected, check_exact=True)
    assert np.isfinite(tables["ntk"]["label_alignment"]).all()
    blind = lens.look(ticket, IMAGES)
    assert np.isnan(blind["gradients"]["log_loss"]).all()
    assert np.allclose(blind["gradients"]["log_logits"], expected["log_logits"])
    with pytest.raises(ValueError, match="labels have shape"):
        lens.look(ticket, IMAGES, labels=labels[:3])
    folder = write_images(tmp_path / "classes")
    assert np.isfinite(lens.look(ticket, folder)["ntk"]["label_alignment"]).all()


def test_images_that_are_not_finite_and_no_layers_at_all_are_refused(make_ticket):
    with pytest.raises(ValueError, match="not finite"):
        lens.look(make_ticket(0.5), IMAGES * np.nan)
    with pytest.raises(ValueError, match="no layers"):
        lens.look([])
