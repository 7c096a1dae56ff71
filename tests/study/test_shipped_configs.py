"""The configs that come with ticketlens are valid, and the bank and the documents go with them."""

from __future__ import annotations

import os
from pathlib import PurePath

import pytest
import yaml

from config_tools import CONFIG, merged
from ticketlens.study import texts
from ticketlens.study.config import checked, export_environment
from ticketlens.study.plan import Plan
from ticketlens.study.studies import rounds, study_spec
from ticketlens.tickets.bank import check_chain, read_bank
from workflow_tools import merged as merged_files

BANK = CONFIG.parent / "resources" / "tickets"


def overlay_file(name: str) -> dict:
    return merged((CONFIG / name).read_text(encoding="utf-8"))


def test_the_folders_of_all_shipped_configs_are_no_names_of_studies() -> None:
    """results/quick/chi.png is the quick run's, and would be a study's that is called quick."""
    loaded = [yaml.safe_load(file.read_text()) for file in CONFIG.rglob("*.yaml")]
    paths = [PurePath(config["results"]) for config in loaded if "results" in config]
    folders = {path.parts[1] for path in paths if len(path.parts) > 1}
    assert len(folders) > 15
    assert folders - texts.RESERVED == set()
    assert not texts.RESERVED & {name for config in loaded for name in config.get("studies") or ()}


@pytest.mark.parametrize("name", sorted(path.name for path in CONFIG.glob("*.yaml")))
def test_shipped_configs_are_valid_and_describe_runs(name: str) -> None:
    config = checked(overlay_file(name))
    for study in config["studies"]:
        assert study_spec(config, study).training.epochs >= 1
        assert rounds(config, study) >= 1


def test_no_shipped_overlay_mixes_with_the_study_or_another() -> None:
    folders = [overlay_file(path.name)["results"] for path in CONFIG.glob("*.yaml")]
    assert len(set(folders)) == len(folders)


def test_a_shipped_config_reads_every_chain_of_the_bank() -> None:
    read = set()
    overlays: list[tuple[str, ...]] = [("bank",), ("bank-variants",), ("convnet-20-epochs",)]
    overlays += [("precision-chains", "precision-chains/bank")]
    overlays += [("comparison", "comparison/rate-0-1", "comparison/pilot-bank")]
    overlays += [("comparison", "comparison/main", "comparison/main-bank")]
    for names in overlays:
        config = merged_files(*names)
        for study, entry in config["studies"].items():
            for seed in entry["seeds"]:
                found = read_bank(BANK / study / f"seed{seed}.h5")
                check_chain(found, study, seed, study_spec(config, study))
                assert entry["tickets"] == "continue" or found.rounds >= rounds(config, study)
                read.add((study, f"seed{seed}.h5"))
    assert read == {(path.parent.name, path.name) for path in BANK.glob("*/*.h5")}


def test_jobs_draw_to_files_whatever_a_notebook_says(monkeypatch) -> None:
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    monkeypatch.setenv("PYTHONPATH", "")
    export_environment()
    assert os.environ["MPLBACKEND"] == "agg"


def test_lenet_is_its_chains_alone() -> None:
    """An arm with rounds of its own would be trained in every study: no section, no limit."""
    plan = Plan(checked(merged((CONFIG / "lenet.yaml").read_text(encoding="utf-8"))), "results")
    assert plan.trained == ["lenet-he"] and not plan.has_arms
