"""Config files as text: repeated keys, and the folder of results that make asks for."""

from __future__ import annotations

from pathlib import Path

import pytest

from config_tools import CONFIG
from ticketlens.study.config import ConfigError, check_files
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
    assert problems([*tmp_path.iterdir(), tmp_path / "none.yaml"]) == []


def test_what_no_format_says_of_a_file_is_said(tmp_path: Path) -> None:
    lines = {
        '{"a": {"b": 1, "b": 2}}': "b stands twice in one mapping; JSON would keep the last alone",
        "studies: {no: 1}": "studies.no, line 1, is not text for YAML but bool",
        "studies: {.nan: 1}": "studies..nan, line 1, is not text for YAML but float",
        "a: 1\nstudies: {null: 1}": "studies.null, line 2, is not text for YAML but null",
        "studies: {a: {seeds: &s [0, *s]}}": "studies.a.seeds, line 1: an anchor that holds itself",
        "a: &a {b: *a}": "a.b, line 1: an anchor that holds itself",
        "studies: {a: {seeds: [0, 010]}}": "studies.a.seeds, line 1: YAML reads 010 as 8; write",
        "training:\n  epochs: 1:30": "training.epochs, line 2: YAML reads 1:30 as 90; write",
        "inits: {a: {sigma_w: -1:30.5}}": "inits.a.sigma_w, line 1: YAML reads -1:30.5 as -90.5;",
    }
    for text, expected in lines.items():
        path = tmp_path / "mine.conf"  # Snakemake reads any suffix, first as JSON
        path.write_text(text)
        (line,) = problems([path])
        assert line.startswith(f"{path}: {expected}")


def test_numbers_that_are_as_they_look_pass(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(
        "a: [0, 00, 07, -7, +3, 1_000, 0x1F, 0b11, 1.5, 01.5, -.inf, 1.0e-3, '010', 2024-01-01]"
    )
    assert problems([tmp_path / "mine.yaml"]) == []


def test_a_key_that_stands_twice_in_one_mapping_is_refused(tmp_path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        "training: {epochs: 3}\narms:\n  a: {mask: imp, mask: erk}\ntraining: {batch_size: 9}\n"
    )
    with pytest.raises(ConfigError, match="2 problem") as caught:
        check_files([file])
    assert f"{file}: arms.a.mask stands in lines 3 and 3" in str(caught.value)
    assert f"{file}: training stands in lines 1 and 4; YAML would keep" in str(caught.value)
    check_files([CONFIG / "quick.yaml", tmp_path / "none.yaml"])


def test_merge_keys_and_anchors_are_no_repeated_keys(tmp_path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("a: &x {b: 1}\nc: {<<: *x, d: 2}\n")
    check_files([file])
