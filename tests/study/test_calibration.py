"""Calibration: `cost` counts steps as a benchmark of this machine found them."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from config_tools import CONFIG, merged
from ticketlens.spec import NetworkSpec, Spec
from ticketlens.study import cost
from ticketlens.study.calibration import KEY, calibrated, corrections
from ticketlens.study.config import checked
from ticketlens.study.cost import report
from ticketlens.study.speeds import Machine, step_kind, step_seconds

CONV = NetworkSpec(family="convolutional", width=128)


def test_a_benchmarked_machine_is_counted_as_it_took(tmp_path: Path) -> None:
    half = {"training": replace(Spec().training, precision="bfloat16", device="cpu")}
    cases = {
        "linear": Spec(),
        "linear, sparse": Spec(training=replace(Spec().training, sparse_below=0.46)),
        "linear, bfloat16": Spec().replace(**half),
        "conv": Spec(network=CONV),
        "conv, sparse": Spec(network=CONV, training=replace(Spec().training, sparse_below=0.55)),
        "conv, bfloat16": Spec(network=CONV).replace(**half),
    }
    for number, (kind, spec) in enumerate(cases.items()):
        at = cost.densities(spec, 10)
        assert step_kind(spec, at) == kind
        factors = {name: 1.0 + 0.1 * i for i, name in enumerate(cases)}
        here = Machine("avx512", 1e10, corrections=factors)
        counted = step_seconds(spec, at, Machine("avx512", 1e10))
        assert step_seconds(spec, at, here) == pytest.approx((1 + 0.1 * number) * counted)
    # Final evaluations of bfloat16 trainings are float32, sparse where convolutions are thin.
    finals = [
        step_kind(cases[kind], cost.densities(cases[kind], number), is_final=True)
        for kind, number in (
            ("linear, bfloat16", 10),
            ("conv, bfloat16", 0),
            ("conv, bfloat16", 10),
        )
    ]
    assert finals == ["linear", "conv", "conv, sparse"]


def test_a_benchmark_of_another_machine_says_nothing(tmp_path: Path) -> None:
    found = corrections([("linear", 0.5), ("linear", 2.0), ("conv", 0.8)])
    assert found == {"linear": pytest.approx(1.0), "conv": 1.25}
    file = tmp_path / "latest.json"
    assert calibrated(Machine("amx"), "this", file) == Machine("amx"), "not benchmarked"
    file.write_text(json.dumps({"machine": {"processor": "this"}, KEY: {"amx": found}}), "utf-8")
    own = calibrated(Machine("amx"), "this", file)
    assert own.corrections["conv"] == 1.25
    full = checked(merged())
    assert "latest.json, kind by kind: × 1.00 to 1.25" in report(full, own)
    assert "latest.json" not in report(full)
    assert not calibrated(Machine("amx"), "another", file).corrections
    assert not calibrated(Machine("avx2"), "this", file).corrections
    file.write_text(json.dumps({"machine": {"processor": "this"}}), "utf-8")  # an older one's
    assert not calibrated(Machine("amx"), "this", file).corrections


@pytest.mark.parametrize("text", ["", '{"machine": {"proc', "core-hours\n"])
def test_a_benchmark_that_was_cut_short_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "latest.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"latest\.json is no JSON .* allowed: what `make bench"):
        calibrated(Machine("amx"), "this", file)


def test_measurements_are_counted_as_they_took() -> None:
    measure = {"images": 500, "ladder_images": 200, "isometry_images": 100}
    kind = cost.measurement_kind(Spec(), "ntk", "init")
    here = Machine("amx", 1e10, corrections={kind: 3.0})
    taken = [
        cost.measurement_seconds(spec, "ntk", measure, machine, state, start_up=False)
        for spec in (Spec(), Spec(network=CONV))
        for state in ("init", "trained")
        for machine in (Machine("amx", 1e10), here)
    ]
    assert [one / other for one, other in zip(taken[1::2], taken[::2], strict=True)] == (
        pytest.approx([3.0, 1.0, 1.0, 1.0])
    )


@pytest.mark.nightly
def test_steps_take_what_cost_counts(tmp_path: Path) -> None:
    """On this machine, once it is benchmarked, within 25 %: networks, precisions and densities of
    the full study."""
    run = [sys.executable, CONFIG.parent / "benchmarks/run.py", "cost", "--output"]
    outputs = [tmp_path / "first.json", tmp_path / "second.json"]
    for output in outputs:
        subprocess.run([*run, output], check=True)
    first, second = (json.loads(output.read_text("utf-8")) for output in outputs)
    (here,) = (
        calibrated(Machine(way), first["machine"]["processor"], outputs[0]) for way in first[KEY]
    )
    ratios = {
        name: ratio * here.corrections[second["cost_kinds"][name]]
        for name, ratio in second["cost_over_measured"].items()
    }
    assert all(0.75 < ratio < 1.34 for ratio in ratios.values()), ratios
