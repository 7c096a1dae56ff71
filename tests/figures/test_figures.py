"""The figures: drawn from tidy tables alone, whatever the tables lack."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from ticketlens.figures import accuracy as figures
from ticketlens.figures import arms as figures_arms
from ticketlens.figures import generalization as figures_generalization
from ticketlens.figures import gradients as figures_gradients
from ticketlens.figures import jacobian as figures_jacobian
from ticketlens.figures import nulls, saving
from ticketlens.figures import residual as figures_residual
from ticketlens.figures import signal as figures_signal
from ticketlens.figures import style as plotting
from ticketlens.figures import weights as figures_weights
from ticketlens.figures.density import density_scale, draw_layers
from ticketlens.verdicts import ladder_steps, selection
from ticketlens.verdicts.inference import t_interval

TITLES = {"fc": "FCNet", "conv": "ConvNet (reduced: 8 channels)"}
DENSE = {"fc": (1.4, 0.3, "tanh"), "conv": (1.0, 0.0, "tanh")}
LAYERS, ROUNDS = 4, 3
DRAW: dict[str, tuple[str, Callable[..., Figure]]] = {
    "accuracy": ("accuracy", figures.accuracy),
    "generalization_gap": ("accuracy", figures_generalization.generalization_gap),
    "training_curves": ("training_curves", figures.training_curves),
    "weight_mean": ("weight_statistics", figures_weights.weight_mean),
    "weight_std": ("weight_statistics", figures_weights.weight_std),
    "in_degree": ("degrees", figures_weights.in_degree),
    "weight_spectra": ("spectral_densities", figures_weights.weight_spectra),
    "qmap": ("qmap", figures_signal.qmap),
    "qmap_trained": ("qmap", partial(figures_signal.qmap, state="trained")),
    "qmap_theory": ("ladder", figures_signal.qmap_theory),
    "qmap_ladder": ("ladder", figures_signal.qmap_ladder),
    "qmap_fixed_point": (
        "weight_statistics",
        partial(figures_signal.qmap_fixed_point, dense=DENSE),
    ),
    "chi": ("chi", figures_signal.chi),
    "cmap": ("cmap", partial(figures_signal.cmap, dense=DENSE)),
    "jacobian_spectrum": ("jacobian_spectrum", figures_jacobian.jacobian_spectrum),
    "isometry": ("isometry", figures_jacobian.isometry),
    "gradients": ("gradients", figures_gradients.gradients),
    "ntk": ("ntk", figures_gradients.ntk),
    "residual": ("residual", partial(figures_residual.residual, dense=DENSE)),
}
# Columns of a table, and what its rows are labelled by besides study, seed, round, arm and state.
COLUMNS = {
    "accuracy": [
        *["test_accuracy", "test_accuracy_best_validation"],
        *["train_accuracy", "train_accuracy_best_validation"],
    ],
    "training_curves": ["validation_accuracy", "train_accuracy", "train_loss"],
    "weight_statistics": [
        *["mean", "mean_standard_error", "std", "std_scaled", "second_moment_all"],
        "selection_std_scaled",
    ],
    "histograms": ["density_weight", "count"],
    "degrees": ["mean", "variance_ratio", "dead", "units"],
    "spectral_densities": ["density_eigenvalue", "density_null", "density_marchenko_pastur"],
    "qmap": ["q"],
    "ladder": ["q"],
    "chi": ["chi_frobenius", "slope", "chi_naive", "chi_second_moment"],
    "cmap": ["c"],
    "jacobian_spectrum": ["density_log10", "density_theory"],
    "isometry": ["log_frobenius", "excess"],
    "gradients": ["log_logits", "log_loss"],
    "ntk": ["log_trace", "effective_rank", "label_alignment"],
    "residual": [
        *["q", "q_naive", "q_second_moment", "chi", "chi_naive", "chi_second_moment"],
    ],
}
OPTIONAL = {"selection_std_scaled", "variance_ratio", "density_theory"}  # may be missing throughout
HIDDEN = {"layer": range(1, LAYERS)}
ALL_LAYERS = {"layer": range(1, LAYERS + 1)}
RUNGS = [("measured", "measured"), *itertools.product(["naive", "second_moment"], ["free"])]
LABELS: dict[str, dict] = {
    "training_curves": {"epoch": [1, 2]},
    "weight_statistics": ALL_LAYERS,
    "histograms": ALL_LAYERS | {"weight_scaled": np.linspace(-3, 3, 7)},
    "degrees": ALL_LAYERS | {"direction": ["in", "out"]},
    "spectral_densities": HIDDEN | {"eigenvalue": np.linspace(0.1, 4, 20)},
    "qmap": HIDDEN,
    "ladder": HIDDEN | {"rung_mode": RUNGS},
    "chi": {"layer": range(2, LAYERS)},
    "cmap": HIDDEN,
    "jacobian_spectrum": {"jacobian": ["hidden", "logits"], "log10_s2": np.linspace(-4, 1, 11)},
    "isometry": {"network": ["ticket", "random-mask", "fresh"], "draw": [0, 1]},
    "gradients": {"network": ["ticket", "random-mask", "sign-redrawn"], "layer": range(LAYERS)},
    "ntk": {"network": ["ticket", "random-mask", "fresh"]},
    "residual": {"part": ["inside", "trunk"], "block": range(3)},
}


def table(name: str, studies: list[str], seeds: int) -> pd.DataFrame:
    """A table of random positive numbers with the columns of the real one."""
    axes = {
        **{"study": studies, "seed": range(seeds), "round": range(ROUNDS), "arm": ["imp"]},
        # Accuracies are of runs: one row each.
        **{"state": ["init", "trained"][name == "accuracy" :], **LABELS.get(name, {})},
    }
    rows = pd.DataFrame(list(itertools.product(*axes.values())), columns=list(axes))
    if "rung_mode" in rows:
        rows["rung"] = [rung for rung, _ in rows["rung_mode"]]
        rows["mode"] = [mode for _, mode in rows.pop("rung_mode")]
    if "layer" in rows:
        rows["name"] = [
            "readout" if number == LAYERS else f"hidden{number}" for number in rows["layer"]
        ]
    rows["density"] = 0.8 ** rows["round"]
    rng = np.random.default_rng(0)
    for column in COLUMNS[name]:
        rows[column] = rng.uniform(0.1, 0.9, len(rows))
    return rows


def columns(figure: Figure) -> int:
    return figure.axes[0].get_subplotspec().get_gridspec().ncols


@pytest.fixture(autouse=True)
def close_figures() -> Iterator[None]:
    yield
    plt.close("all")


@pytest.mark.parametrize(("studies", "seeds"), [(["fc"], 1), (["fc", "conv"], 2)])
@pytest.mark.parametrize("name", DRAW)
def test_a_figure_has_one_column_per_study(name: str, studies: list[str], seeds: int) -> None:
    source, draw = DRAW[name]
    figure = draw(table(source, studies, seeds), TITLES)
    assert columns(figure) == len(studies)
    assert all(axis.get_xlabel() or axis.get_ylabel() for axis in figure.axes[-2:])


@pytest.mark.parametrize("name", DRAW)
def test_more_studies_than_columns_go_on_below(name: str) -> None:
    source, draw = DRAW[name]
    studies = [f"study{number}" for number in range(5)]
    dense = dict.fromkeys(studies, (1.4, 0.3, "tanh"))
    if isinstance(draw, partial) and "dense" in draw.keywords:
        draw = partial(draw, dense=dense)
    figure = draw(table(source, studies, 1), {study: study.upper() for study in studies})
    titled = [axis for axis in figure.axes if axis.get_title().startswith("STUDY")]
    places = [axis.get_subplotspec() for axis in titled]
    lines = places[0].get_gridspec().nrows // 2
    assert [axis.get_title()[:6] for axis in titled] == [study.upper() for study in studies]
    starts = [(place.rowspan.start, place.colspan.start) for place in places]
    assert starts == [(0, 0), (0, 1), (0, 2), (lines, 0), (lines, 1)]
    labels = [bool(axis.get_ylabel()) for axis in titled]
    assert labels == [True, False, False, True, False]


@pytest.mark.parametrize(("count", "expected"), [(1, 1), (2, 2), (3, 3), (4, 2), (5, 3), (7, 3)])
def test_bands_of_panels_are_as_equal_as_can_be(count: int, expected: int) -> None:
    figure, axes = plotting.panels(map(str, range(count)), rows=2)
    assert columns(figure) == expected and axes.shape == (2, count)


def test_no_line_of_a_title_ends_within_a_formula() -> None:
    formula = r"$\sigma_w = 1.4, \sigma_b = 0.3, \chi = 1.003$"
    lines = plotting.wrapped(f"A network at the edge of chaos, {formula}, two seeds").split("\n")
    assert len(lines) > 1 and any(formula in line for line in lines)
    assert plotting.wrapped("a-b " * 20) == "\n".join(textwrap.wrap("a-b " * 20, 38))


@pytest.mark.parametrize("name", DRAW)
def test_missing_values_leave_gaps(name: str) -> None:
    source, draw = DRAW[name]
    rows = table(source, ["fc"], 2)
    rng = np.random.default_rng(1)
    for column in COLUMNS[source]:
        missing = rng.uniform(size=len(rows)) < (1 if column in OPTIONAL else 0.3)
        rows.loc[missing, column] = np.nan
    assert columns(draw(rows, TITLES)) == 1


@pytest.mark.parametrize("name", DRAW)
def test_an_empty_table_and_one_of_other_studies_are_refused(name: str) -> None:
    source, draw = DRAW[name]
    rows = table(source, ["fc"], 1)
    for nothing in (rows[:0], pd.DataFrame(), rows.assign(study="other"), rows.assign(arm="snip")):
        with pytest.raises(ValueError, match="no rows of arm 'imp'"):
            draw(nothing, TITLES)


@pytest.mark.parametrize(("state", "sigma_w"), [("init", 1.4), ("trained", None)])
def test_histograms_have_one_panel_per_layer(state: str, sigma_w: float | None) -> None:
    rows = table("histograms", ["fc", "conv"], 2)
    figure = figures_weights.histograms(rows, "conv", "ConvNet", state, sigma_w)
    titles = [axis.get_title() for axis in figure.axes if axis.get_title()]
    assert titles == ["hidden layer 1", "hidden layer 2", "hidden layer 3", "readout"]
    assert "ConvNet, 2\u00a0seeds" in figure.get_suptitle()
    with pytest.raises(ValueError, match="in state 'init'"):
        figures_weights.histograms(rows[rows["state"] == "trained"], "fc", "", "init")


@pytest.mark.parametrize(("weights", "bins"), [(100_000, 121), (1_000, 31), (50, 31)])
def test_histograms_of_few_weights_have_wide_bins(weights: int, bins: int) -> None:
    """Of 121 bins those of 1,000 weights hold eight each; zero stays the middle of one."""
    centres = np.linspace(-3, 3, 121)
    values = np.random.default_rng(0).uniform(-3.025, 3.025, weights)
    counts, _ = np.histogram(values, np.linspace(-3.025, 3.025, 122))
    rows = pd.DataFrame({"weight_scaled": centres, "count": counts}).assign(
        density_weight=counts / (weights * 0.05), study="fc", seed=0, round=0, layer=1,
        name="hidden1", density=1.0, state="init", arm="imp",
    )  # fmt: skip
    (axis, *_) = figures_weights.histograms(rows, "fc", "", "init").axes
    x, y = axis.lines[0].get_data()
    assert len(x) <= bins
    assert np.min(np.abs(x)) == pytest.approx(0, abs=1e-12)
    assert np.mean(y) == pytest.approx(1 / 6.05, rel=0.05)


def test_a_saved_figure_fits_the_report(tmp_path: Path) -> None:
    names = [f"study-{number}" for number in range(4)]
    titles = {name: f"{name}, of a network with a rather long title" for name in names}
    figure = figures_signal.chi(table("chi", names, 2), titles)
    saving.save(figure, tmp_path / "figure.png", tmp_path / "figure.pdf")
    with Image.open(tmp_path / "figure.png") as image:
        assert image.width <= saving.MAX_PIXELS
    assert (tmp_path / "figure.pdf").read_bytes().startswith(b"%PDF")


def test_the_interval_is_over_seeds_and_not_over_layers_or_draws() -> None:
    rows = table("isometry", ["fc"], 3)
    rows = rows[(rows["state"] == "init") & (rows["network"] == "fresh")]
    found = plotting.seed_intervals(rows, "round", "excess").set_index("round").loc[1]
    per_seed = rows[rows["round"] == 1].groupby("seed")["excess"].mean()
    expected = t_interval(per_seed)
    assert (found["mean"], found["lower"]) == pytest.approx((expected.mean, expected.lower))


def test_steps_of_the_ladder_start_at_zero_and_add_up_to_the_gap() -> None:
    rows = table("ladder", ["fc"], 2)
    rows = rows[rows["state"] == "init"]
    logs = ladder_steps.log_q(rows)
    rungs = ["naive", "second_moment", "measured"]
    steps = ladder_steps.steps(logs, rungs)
    names = ["second_moment", "measured"]
    assert (steps.loc[steps["round"] == 0, [*names, "total"]] == 0).all(axis=None)
    np.testing.assert_allclose(steps[names].sum(axis=1), steps["total"], atol=1e-12)


def test_the_gain_of_pruning_is_paired_by_seed_and_the_gap_is_of_the_same_weights() -> None:
    rows = table("accuracy", ["fc", "conv"], 3).sample(frac=1, random_state=0)
    found = figures_generalization.gains_and_gaps(rows)
    assert (found.loc[found["round"] == 0, ["gain", "gain_best_validation"]] == 0).all(axis=None)
    for _, run in found.groupby(["study", "seed"]):
        dense = run.set_index("round").loc[0]
        for suffix in ("", "_best_validation"):
            test = run[f"test_accuracy{suffix}"]
            gain = 100 * (test - dense[f"test_accuracy{suffix}"])
            np.testing.assert_allclose(run[f"gain{suffix}"], gain)
            gap = 100 * (run[f"train_accuracy{suffix}"] - test)
            np.testing.assert_allclose(run[f"gap{suffix}"], gap)


def test_deep_layers_are_the_last_half() -> None:
    for layers, deep in ((8, [5, 6, 7, 8]), (3, [2, 3]), (2, [2]), (1, [1])):
        rows = pd.DataFrame({"layer": range(1, layers + 1)})
        assert selection.deep(rows)["layer"].tolist() == deep


def test_colours_of_density_span_the_densities_that_are_shown() -> None:
    rows = pd.DataFrame({"density": [1.0, 0.5, 0.33]})
    scale = density_scale(rows)
    dense, sparse = scale.colour(1.0), scale.colour(0.33)
    assert sum(dense[:3]) < sum(sparse[:3]), "dense is dark"
    wide = density_scale(pd.DataFrame({"density": [1.0, 0.035]}))
    assert sparse == pytest.approx(wide.colour(0.035)), "the sparsest has the lightest colour"
    assert scale.colour(0.001) == sparse, "the scale ends there"


def test_two_seeds_are_drawn_themselves_and_have_no_interval() -> None:
    rows = table("chi", ["fc"], 2)
    rows = rows[rows["state"] == "init"]
    found = plotting.seed_intervals(rows, "layer", "chi_frobenius")
    assert found[["lower", "upper"]].isna().all(axis=None)
    _, axes = plotting.panels(["a panel"])
    draw_layers(axes[0][0], rows, "chi_frobenius", density_scale(rows))
    assert len(axes[0][0].lines) == ROUNDS * (2 + 1), "two seeds and their mean"


def test_a_ticket_minus_its_null_is_paired_and_draws_are_averaged() -> None:
    rows = table("isometry", ["fc"], 2)
    rows = rows[rows["state"] == "init"]
    found = nulls.against_nulls(rows, ["excess"], ["study", "seed", "round"])
    own = rows[(rows["seed"] == 1) & (rows["round"] == 2)].groupby("network")["excess"].mean()
    row = found[(found["seed"] == 1) & (found["round"] == 2)].set_index("network")
    assert row.loc["random-mask", "excess"] == pytest.approx(own["ticket"] - own["random-mask"])
    assert "ticket" not in row.index


def contrasts() -> pd.DataFrame:
    """Contrasts of four arms at two rounds; c is a smaller network, d was not planned."""
    means = {"a": -1.0, "b": 0.5, "c": -8.0, "d": -2.0}
    rows = [
        {"study": "fc", "round": number, "density": 0.8**number, "arm": arm, "quantity": quantity,
         "mean": mean - 0.1 * number, "lower": mean - 1, "upper": mean + 1, "n": 3, "margin": 0.5,
         "planned": arm != "d"}
        for number in (3, 7) for arm, mean in means.items()
        for quantity in ("test_accuracy", "test_accuracy_best_validation")
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_arms_are_ranked_titled_and_smaller_networks_stand_apart() -> None:
    labels = {name: {"title": name * 3, "mask": "imp", "law": "x"} for name in "abcd"}
    labels["c"]["network"] = "smaller"
    figure = figures_arms.zero_shot(contrasts(), TITLES, labels)
    names = [[text.get_text() for text in axis.get_yticklabels()] for axis in figure.axes]
    assert names == [["bbb", "aaa", "ddd"], [""] * 3, ["ccc"], [""]]
    assert figure.axes[0].get_xlim()[0] > -6, "the small network does not stretch the masks' axis"


def test_figures_have_their_own_look_whatever_the_user_s_settings_are(tmp_path) -> None:
    (tmp_path / "matplotlibrc").write_text("axes.facecolor: red\nfont.size: 30\n")
    program = "from ticketlens.figures import style; print(style.mpl.rcParams['axes.facecolor'])"
    environment = {**os.environ, "MPLCONFIGDIR": str(tmp_path), "MPLBACKEND": "agg"}
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    result = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True)
    assert result.stdout.split() == [b"white"], result.stderr


def test_an_interval_that_runs_off_its_panel_ends_in_an_arrowhead(tmp_path) -> None:
    figure, axes = plotting.panels(["a panel"])
    axes[0][0].errorbar([1, 2, 3], [0, 0, 0], yerr=[0.5, 5, 0.2])
    axes[0][0].set_ylim(-1, 2)
    before = len(axes[0][0].lines)
    saving.mark_cut_intervals(figure)
    added = axes[0][0].lines[before:]
    assert [(line.get_xdata()[0], line.get_ydata()[0]) for line in added] == [(2, 2), (2, -1)]
    assert axes[0][0].get_ylim() == (-1, 2)


def test_a_sideways_interval_that_runs_off_ends_in_an_arrowhead() -> None:
    figure, axes = plotting.panels(["a panel"])
    axes[0][0].errorbar([0.0, 0.0], [1, 2], xerr=[[0.5, 5], [0.5, 0.1]])
    axes[0][0].set_xlim(-1, 1)
    before = len(axes[0][0].lines)
    saving.mark_cut_intervals(figure)
    (added,) = axes[0][0].lines[before:]
    assert (added.get_xdata()[0], added.get_ydata()[0], added.get_marker()) == (-1, 2, "<")
