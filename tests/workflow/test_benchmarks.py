"""The benchmarks run and write what their README says. How fast anything is, no test asks."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from workflow_tools import shared

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")
TYPES = {
    "quick": bool,
    "machine": dict,
    "versions": dict,
    "seconds": dict,
    "dense_step_over_gemm_floor": float,
    "dense_step_over_gemm_floor_aten": float,
    "masked_step_over_dense_step": float,
    "plain_loop_over_dense_step": float,
    "plain_loop_without_masks_over_dense_step": float,
    "plain_loop_images_in_memory_over_dense_step": float,
    "dense_step_milliseconds": float,
    "suggested_sparse_below": float,
    "sparse_speedup": dict,
    "convnet_step_speedup": dict,
    "chain_in_dense_trainings": float,
    "bfloat16_step_over_float32": dict,
    "bfloat16_evaluation_over_float32": dict,
    "bfloat16_training_over_float32": dict,
    "bfloat16_step_speedup_by_threads": dict,
    "cost_over_measured": dict,
    "cost_kinds": dict,
    "cost_corrections": dict,
}


@pytest.fixture(scope="module")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, Any]]:
    """Return the text and the file of a smoke run of the sections that start no jobs."""

    def build(folder: Path) -> None:
        folder.mkdir()
        sections = ["step", "sparse", "bfloat16", "cost"]
        command = [sys.executable, "benchmarks/run.py", *sections, "--quick", "--output"]
        result = subprocess.run(
            [*command, folder / "latest.json"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert result.returncode == 0, result.stderr
        (folder / "printed.txt").write_text(result.stdout, encoding="utf-8")

    folder = shared(tmp_path_factory, "benchmarks", build)
    printed = (folder / "printed.txt").read_text(encoding="utf-8")
    return printed, json.loads((folder / "latest.json").read_text(encoding="utf-8"))


def test_each_key_has_its_type(smoke: tuple[str, dict[str, Any]]) -> None:
    found = smoke[1]
    assert {key: type(value) for key, value in found.items()} == TYPES
    assert found["quick"] and set(found["seconds"]) == {"step", "sparse", "bfloat16", "cost"}


def test_each_key_is_in_the_readme(smoke: tuple[str, dict[str, Any]]) -> None:
    assert [key for key in smoke[1] if f"`{key}`" not in README] == []


def test_speedups_are_keyed_by_density(smoke: tuple[str, dict[str, Any]]) -> None:
    for speedup, within in (
        (smoke[1]["sparse_speedup"], 1e-3),
        (smoke[1]["convnet_step_speedup"], 0.01),
    ):
        assert [float(key) for key in speedup] == pytest.approx([1.0, 0.8**15], abs=within)
        assert all(value > 0 for value in speedup.values())


def test_nothing_tells_where_it_ran(smoke: tuple[str, dict[str, Any]]) -> None:
    for text in (smoke[0], json.dumps(smoke[1])):
        assert str(ROOT) not in text and str(Path.home()) not in text
        assert f'"{socket.gethostname()}"' not in text


def test_unknown_sections_are_named() -> None:
    command = [sys.executable, "benchmarks/run.py", "steps"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 2 and "'steps'; allowed: step, sparse" in result.stderr


def test_the_checks_for_a_gpu_hold_on_the_cpu_and_say_where_there_is_none(tmp_path: Path) -> None:
    output = tmp_path / "gpu.json"
    command = [sys.executable, "benchmarks/gpu.py", "--output", output]
    hidden = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    none = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=hidden)
    assert none.returncode == 2 and "sees no GPU" in none.stdout and not output.exists()
    result = subprocess.run([*command, "--cpu"], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    found = json.loads(output.read_text(encoding="utf-8"))
    assert all(all(checks.values()) for checks in found["checks"].values())
    assert found["device"] == "cpu" and len(found["stacked_step_milliseconds"]) == 4
    assert len(found["checks"]["stack"]) == 2
