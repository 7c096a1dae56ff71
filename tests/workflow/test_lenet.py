"""config/lenet.yaml: IMP on LeNet-300-100, planned without MNIST, run on a few IDX images."""

from __future__ import annotations

import sys

import h5py
import pytest
import yaml

from idx_tools import write_idx
from ticketlens.checkpoint import read
from workflow_tools import clone, jobs, run

pytestmark = pytest.mark.workflow


def snakemake(folder, *arguments, config):
    command = [sys.executable, "-m", "snakemake", *arguments, "--cores", "1", "--configfile"]
    result = run(folder, [*command, config])
    assert result.returncode == 0, result.stdout
    return result.stdout


def test_it_is_planned_before_any_image_is_there(tmp_path):
    folder = clone(tmp_path / "clone")
    target = "results/lenet/accuracy.png"
    planned = jobs(snakemake(folder, "-n", target, config="config/lenet.yaml"))
    rules = [job.rule for job in planned]
    assert rules.count("train") == 3 * 16 and rules.count("prepare_dataset") == 1


def test_a_tiny_run_trains_and_prunes_it(tmp_path):
    folder = clone(tmp_path / "clone")
    write_idx(folder / "idx", train=40, test=10)
    config = yaml.safe_load((folder / "config/lenet.yaml").read_text(encoding="utf-8"))
    config["dataset"] = {"name": "idx", "source": "idx", "path": "idx", "validation": 10}
    config["studies"]["lenet-he"]["seeds"] = [0]
    config["training"] |= {"epochs": 1, "batch_size": 10}
    config["pruning"] = {"rounds": 1}
    (folder / "tiny.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    snakemake(folder, "results/lenet/accuracy.png", config="tiny.yaml")
    chain = folder / "results/lenet/checkpoints/lenet-he/seed0/round01/imp"
    ticket = read(chain / "ticket.h5")
    assert [layer.mask.shape for layer in ticket.layers] == [(300, 20), (100, 300), (3, 100)]
    assert ticket.layers[0].density == pytest.approx(0.8)
    with h5py.File(folder / "resources/idx.h5") as file:
        assert file["train/images"].shape == (30, 5, 4, 1)
