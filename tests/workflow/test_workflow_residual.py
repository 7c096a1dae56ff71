"""Residual networks in the workflow: alone in a config, and beside chains of layers."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from workflow_tools import overlay, plan, snakemake, tiny_clone

pytestmark = pytest.mark.workflow
# The tiny config's only fully connected study, with skips.
ALONE = {
    "networks": {"fcnet": {"family": "resnet-fc", "hidden_layers": 3}},
    "studies": {"convnet-normal": None},
}
BESIDE = {
    "networks": {"resnet-fc": {"hidden_layers": 3, "width": 8}, "resnet-conv": {"width": 4}},
    "studies": {
        f"{name}-normal": {
            "network": name,
            "init": "normal",
            "seeds": [0],
            "pruning": {"rounds": 1},
        }
        for name in ("resnet-fc", "resnet-conv")
    },
}
OF_CHAINS = ("signal", "ladder", "jacobian", "qmap", "chi", "cmap", "isometry")


def test_a_residual_study_is_trained_pruned_measured_and_drawn(tmp_path: Path) -> None:
    folder = tiny_clone(tmp_path / "run")
    overlays = overlay(folder, ALONE)
    snakemake(folder, "results/residual.png", "--cores", "2", overlays=overlays)
    assert (folder / "results/residual.pdf").is_file()
    table = pd.read_csv(folder / "results/tables/residual.csv")
    assert set(zip(table["round"], table["state"], strict=True)) == {
        (number, state) for number in (0, 1) for state in ("init", "trained")
    }
    behind = table[(table["part"] == "trunk") & (table["block"] == 1)]
    assert (behind["chi"] > 1).all() and (behind["q"] > 0).all()
    planned = {job.rule for job in plan(folder, "all", overlays=overlays)}
    assert {"measure_degrees", "plot_in_degree", "plot_accuracy"} <= planned
    assert not [rule for rule in planned if any(name in rule for name in OF_CHAINS)]


def test_beside_chains_each_study_gets_the_measurements_that_are_defined_for_it(
    tmp_path: Path,
) -> None:
    folder = tiny_clone(tmp_path / "run")
    planned = plan(folder, "all", overlays=overlay(folder, BESIDE))
    for job in planned:
        of_residual = any("/resnet-" in name for name in job.outputs)
        if "round" in job.wildcards:
            assert of_residual or "residual" not in job.rule, job
            assert not (of_residual and any(name in job.rule for name in OF_CHAINS)), job
    found = {job.rule for job in planned}
    assert {"measure_residual", "measure_residual_conv", "measure_signal", "plot_residual"} <= found
