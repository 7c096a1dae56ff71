"""Tickets from files of other systems in the workflow: adopted, measured, drawn; with arms."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.nn.utils import prune

from ticketlens import checkpoint
from workflow_tools import failing_snakemake, only, overlay, plan, snakemake, tiny_clone

pytestmark = pytest.mark.workflow
CONFIG = {
    "networks": {"small": {"family": "fully-connected", "widths": [12, 10]}},
    "inits": {"torch": {"scheme": "gaussian", "sigma_w": 0.577, "sigma_b": 0.04}},
    "studies": only(
        mine={
            "tickets": "files", "path": "pruned{seed}.pt", "network": "small", "init": "torch",
            "seeds": [3], "rounds": [2],
        }
    ),
    "experiments": None, "contrasts": None, "factorial": None, "claims": None,
}  # fmt: skip
ARM = {
    "arms": {"shuffled": {"mask": "shuffle-layer", "weights": "shuffled-values", "rounds": [2]}},
    "interventions": {"studies": ["mine"], "rounds": []},
}


def pruned(path: Path) -> dict[str, torch.Tensor]:
    """Save a network under torch.nn.utils.prune; return its state dict."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(192, 12), nn.Tanh(), nn.Linear(12, 10), nn.Tanh(), nn.Linear(10, 3)
    )
    for layer in (model[0], model[2], model[4]):
        prune.l1_unstructured(layer, "weight", 0.5)
    torch.save(model.state_dict(), path)
    return dict(model.state_dict())


def test_a_pruned_network_from_a_file_is_a_study(tmp_path: Path) -> None:
    folder = tiny_clone(tmp_path / "run")
    overlays = overlay(folder, CONFIG)
    said = failing_snakemake(folder, "all", "-n", overlays=overlays)
    assert "pruned3.pt, of seed 3 round 2, is not there; allowed: a file" in said
    assert "MissingInput" not in said and "Traceback" not in said
    state = pruned(folder / "pruned3.pt")
    planned = {job.rule for job in plan(folder, "all", overlays=overlays)}
    assert {"adopt", "plot_qmap", "plot_chi", "plot_weight_spectra", "plot_ntk", "index"} <= planned
    assert (
        not {"train", "init", "prune", "complete", "plot_accuracy", "tabulate_accuracy"} & planned
    )
    targets = ("results/weight_std.png", "results/claims.csv")
    snakemake(folder, *targets, "--cores", "2", overlays=overlays)
    ticket = checkpoint.read(folder / "results/checkpoints/mine/seed3/round02/imp/ticket.h5")
    for layer, name in zip(ticket.layers, "024", strict=True):
        assert np.array_equal(layer.mask, state[f"{name}.weight_mask"] == 1)
        masked = state[f"{name}.weight_orig"] * state[f"{name}.weight_mask"]
        assert np.array_equal(layer.weight, masked.numpy())
        assert np.array_equal(layer.bias, state[f"{name}.bias"].numpy())
    table = pd.read_csv(folder / "results/tables/weight_statistics.csv")
    assert set(table["round"]) == {2} and set(table["state"]) == {"init"}


def test_its_arms_are_trained_beside_it(tmp_path: Path) -> None:
    folder = tiny_clone(tmp_path / "run")
    pruned(folder / "pruned3.pt")
    overlays = overlay(folder, CONFIG | ARM)
    snakemake(folder, "results/tables/accuracy.csv", "--cores", "2", overlays=overlays)
    accuracy = pd.read_csv(folder / "results/tables/accuracy.csv")
    assert set(accuracy["arm"]) == {"imp", "shuffled"} and set(accuracy["round"]) == {2}
    place = folder / "results/checkpoints/mine/seed3"
    own = checkpoint.read(place / "round02/imp/ticket.h5")
    theta = checkpoint.read(place / "round00/imp/ticket.h5")
    rival = checkpoint.read(place / "round02/shuffled/ticket.h5")
    for one, whole, other in zip(own.layers, theta.layers, rival.layers, strict=True):
        assert whole.mask.all() and np.array_equal(whole.weight[one.mask], one.weight[one.mask])
        values = (np.sort(layer.weight[layer.mask]) for layer in (one, other))
        assert np.array_equal(*values) and not np.array_equal(one.mask, other.mask)
