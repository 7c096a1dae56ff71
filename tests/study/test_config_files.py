"""Config files as text: repeated keys, and the folder of results that make asks for."""

from __future__ import annotations

from pathlib import Path

import pytest

from config_tools import CONFIG
from ticketlens.study.config_files import problems, results_folder


@pytest.mark.parametrize(
    ("text", "folder"),
    [
        ('results: "x"  # note', "x"),
        ("results: 'y'\n", "y"),
        ("{results: results/trial, pruning: {rounds: 1}}", "results/trial"),
        ("# results: z\npruning:\n  results: w\n", "results"),
        ("# nothing\n", "results"),
    ],
)
def test_make_finds_the_results_as_yaml_reads_them(tmp_path: Path, text: str, folder: str) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    assert results_folder([CONFIG / "config.yaml", tmp_path / "mine.yaml"]) == folder


def test_the_shipped_configs_repeat_no_key() -> None:
    assert problems(sorted(CONFIG.glob("*.yaml"))) == []


def test_files_that_are_no_yaml_are_left_to_snakemake(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes(b"title: caf\xe9\n")
    (tmp_path / "broken.yaml").write_text("a: [")
    (tmp_path / "config.json").write_text('{"a": 1, "a": 2}')
    assert problems([*tmp_path.iterdir(), tmp_path / "none.yaml"]) == []
