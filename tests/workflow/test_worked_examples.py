"""docs/worked-examples.md is run: its code as plugins beside a copy of the project, as it says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from ticketlens import checkpoint
from ticketlens.files.dataset import open_prepared
from workflow_tools import (
    REPOSITORY,
    copy_run,
    environment,
    finished_run,
    plan,
    shared,
    snakemake,
    tiny_clone,
)

PAGE = (REPOSITORY / "docs/worked-examples.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE))
FILE = re.compile(r"`(\w+\.py)`:\n\n```python\n(.*?)```", re.DOTALL)
CODE = FILE.findall(PAGE)
CONFIGS = [yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)]
STUDIES = ("narrow-normal", "fcnet-heavy", "fcnet-aligned")
# Sizes that a test can train; everything else is the page's.
SMALL = {
    "results": "results",
    "plugins": [name for name, _ in CODE],
    "networks": {"narrow": {"hidden_layers": 3, "width": 16}},
    "studies": {
        "fcnet-normal": None,
        "convnet-normal": None,
        **{name: {"seeds": [0]} for name in STUDIES},
    },
    "pruning": {"rounds": 1},
    "dataset": {"path": "mnist.npz", "validation": 12},
}


def add(folder: Path) -> None:
    """Write every block of the page to the file that the page names."""
    for name, code in CODE:
        (folder / name).write_text(code, encoding="utf-8")


def python(folder: Path, code: str) -> str:
    """Run a script on the copy's library and return its output; its asserts are the test."""
    plugins = "\n".join(f"import {name.removesuffix('.py')}" for name, _ in CODE)
    code = f"import sys; sys.path.insert(0, 'workflow')\n{plugins}\n{code}"
    command = [sys.executable, "-c", code]
    result = subprocess.run(
        command, cwd=folder, env=environment(), capture_output=True, text=True, timeout=600
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def write_npz(path: Path) -> None:
    """An MNIST in small: grey images of noise, one brightness per class; labels 1, 5, 7."""
    rng = np.random.default_rng(0)
    arrays = {}
    for part, count in (("train", 60), ("test", 15)):
        labels = np.resize([1, 5, 7], count)
        arrays[f"y_{part}"] = labels
        arrays[f"x_{part}"] = (
            rng.integers(0, 160, (count, 8, 8)) + 10 * labels[:, None, None]
        ).astype(np.uint8)
    np.savez(path, **arrays)


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone with all of the page: code, config, an .npz. Dry runs only, else copy it."""

    def build(folder: Path) -> None:
        tiny_clone(folder)
        add(folder)
        write_npz(folder / "mnist.npz")
        for number, config in enumerate([*CONFIGS, SMALL]):
            (folder / f"mine{number}.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")

    return shared(tmp_path_factory, "worked-examples", build)


OVERLAYS = tuple(f"mine{number}.yaml" for number in range(len(CONFIGS) + 1))


def test_the_page_has_an_example_of_each_kind_and_each_is_read() -> None:
    assert [name for name, _ in CODE] == [
        "narrow.py", "narrow_network.py", "heavy.py", "aligned.py", "keras_arrays.py",
        "signs.py", "signs_figure.py",
    ]  # fmt: skip
    named = [name for config in CONFIGS for name in config.get("plugins", [])]
    assert set(named) == {name for name, _ in CODE}, "the config of each example names its files"
    assert PAGE.count("```python") == len(CODE), "a block without its file is never run"
    assert len(SECTIONS) == 6 and len(CONFIGS) == 7
    assert all("```yaml" in body for body in SECTIONS.values())


def test_the_code_is_formatted_as_the_project_is(extended: Path) -> None:
    files = [str(extended / name) for name, _ in CODE]
    options = ["--config", str(REPOSITORY / "pyproject.toml")]
    for command in (["format", "--check"], ["check"]):
        result = subprocess.run(
            [sys.executable, "-m", "ruff", *command, *options, *files],
            capture_output=True,
            text=True,
        )
        assert result.returncode == 0, result.stdout


def test_a_bottleneck_bounds_the_rank_of_the_jacobian_and_not_mean_field_theory(
    extended: Path,
) -> None:
    python(
        extended,
        """
import numpy as np, torch
from ticketlens import architecture, networks
from ticketlens.checkpoint import Checkpoint
from ticketlens.tickets.initialization import initial_layers
from ticketlens.spec import DatasetSpec, NetworkSpec, Spec
data = DatasetSpec(shape=(8, 8, 1), classes=3)
spec = Spec(network=NetworkSpec(family="bottleneck", hidden_layers=4, width=32), dataset=data)
assert [shape.shape[0] for shape in architecture.layer_shapes(spec)] == [32, 8, 32, 32, 3]
layers = initial_layers(spec, 0)
model = networks.build(Checkpoint("ticket", "s", 0, 0, "imp", spec, layers))
images = np.random.default_rng(0).standard_normal((4, 1, 8, 8)).astype(np.float32)
x = images.reshape(4, -1)
for layer in layers[:-1]:
    x = np.tanh(x @ layer.weight.T + layer.bias)
logits = x @ layers[-1].weight.T + layers[-1].bias
found = model(torch.from_numpy(images)).detach().numpy()
assert np.allclose(found, logits, atol=1e-5)
h = lambda image: model.preactivations(image[None])[-1][0]
end_to_end = torch.autograd.functional.jacobian(h, torch.from_numpy(images[0]))
assert torch.linalg.matrix_rank(end_to_end.reshape(32, -1)) == 8
""",
    )


def test_student_t_weights_have_the_variance_of_normal_ones_and_larger_singular_values(
    extended: Path,
) -> None:
    python(
        extended,
        """
import numpy as np
from scipy import stats
from ticketlens.tickets.initialization import initial_layers
from ticketlens.spec import DatasetSpec, InitSpec, NetworkSpec, Spec
def weight(scheme):
    spec = Spec(network=NetworkSpec(hidden_layers=2, width=400), init=InitSpec(scheme=scheme),
                dataset=DatasetSpec(shape=(20, 20, 1), classes=3))
    return initial_layers(spec, 0)[1].weight.astype(float)
heavy, normal = weight("student-t"), weight("gaussian")
unit = heavy * np.sqrt(3 * 400) / 1.4
assert stats.kstest(unit.ravel(), stats.t(3).cdf).pvalue > 0.01
assert abs(heavy.var() / normal.var() - 1) < 0.1
edge = 1.4 * 2  # Marchenko-Pastur: sigma_w (1 + sqrt(out/in))
largest = [np.linalg.norm(w, 2) for w in (normal, heavy)]
assert largest[0] < 1.01 * edge < 1.1 * edge < largest[1], largest
""",
    )


def test_weights_that_changed_sign_are_pruned_before_any_other(extended: Path) -> None:
    python(
        extended,
        """
import numpy as np
from dataclasses import replace
from ticketlens.tickets.initialization import initial_layers
from ticketlens.tickets.pruning import prune
from ticketlens.spec import DatasetSpec, NetworkSpec, PruningSpec, Spec
spec = Spec(network=NetworkSpec(hidden_layers=2, width=30), dataset=DatasetSpec(shape=(4, 4, 1)))
before, rng = initial_layers(spec, 0), np.random.default_rng(1)
after = [replace(l, weight=(l.weight + rng.normal(0, 0.05, l.weight.shape)).astype("f4"))
         for l in before]
pruning = PruningSpec(criterion="aligned-magnitude", rate=0.2)
for mask, a, b in zip(prune(after, before, pruning, 0, 1)[:-1], after, before, strict=False):
    flipped = np.sign(a.weight) != np.sign(b.weight)
    assert 0 < flipped.sum() < (~mask).sum() and not (mask & flipped).any()
    aligned = ~flipped
    assert np.abs(a.weight)[mask].min() >= np.abs(a.weight)[aligned & ~mask].max()
""",
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x_train": np.zeros((6, 8, 8))}, "x_train, y_train are not uint8 images"),
        ({"y_test": np.array([1, 9, 5])}, "y_test has a label that y_train lacks"),
        ({"y_train": np.arange(5)}, "x_train, y_train are not"),
        ({"y_train": np.array([{}] * 6, object)}, "not an .npz of x_train to y_test"),
    ],
)
def test_arrays_that_are_no_data_set_are_refused_by_name(
    extended: Path, tmp_path: Path, change: dict, message: str
) -> None:
    good = {
        "x_train": np.zeros((6, 8, 8), np.uint8),
        "y_train": np.array([1, 1, 5, 5, 7, 7]),
        "x_test": np.zeros((3, 8, 8), np.uint8),
        "y_test": np.array([1, 5, 7]),
    }
    file = tmp_path / "images.npz"
    np.savez(file, allow_pickle=True, **{**good, **change})
    code = f"""
from keras_arrays import DatasetError, npz
try:
    npz({str(file)!r})
except DatasetError as error:
    print(error)
"""
    assert message in python(extended, code)


@pytest.mark.workflow
def test_every_rule_takes_the_new_studies(extended: Path) -> None:
    found = plan(extended, "all", overlays=OVERLAYS)
    for rule in ("train", "prune", "measure_signal", "measure_jacobian", "measure_ladder"):
        files = [file for job in found if job.rule == rule for file in job.outputs]
        for study in STUDIES:
            assert any(f"/{study}/" in file for file in files), (rule, study)
    assert any("jacobian_spectrum.png" in file for job in found for file in job.outputs)


@pytest.mark.workflow
def test_the_examples_run_together_through_the_workflow(extended: Path, tmp_path: Path) -> None:
    folder = copy_run(extended, tmp_path / "run")
    targets = ["accuracy.png", "tables/weight_statistics.csv", "tables/chi.csv", "signs.png"]
    snakemake(folder, *(f"results/{name}" for name in targets), "--cores", "2", overlays=OVERLAYS)
    data = open_prepared(folder / "resources/mnist.h5")
    assert data.shape == (8, 8, 1) and data.classes == ("1", "5", "7")
    accuracy = pd.read_csv(folder / "results/tables/accuracy.csv")
    assert set(accuracy.study) == set(STUDIES) and set(accuracy["round"]) == {0, 1}
    specs = {
        study: checkpoint.read(
            folder / f"results/checkpoints/{study}/seed0/round01/imp/mask.h5"
        ).spec
        for study in STUDIES
    }
    assert specs["narrow-normal"].network.family == "bottleneck"
    assert specs["fcnet-heavy"].init.scheme == "student-t"
    assert specs["fcnet-aligned"].pruning.criterion == "aligned-magnitude"
    signs = pd.read_csv(folder / "results/tables/signs.csv")
    assert set(signs.study) == set(STUDIES) and set(signs.state) == {"init", "trained"}
    assert signs.positive.between(0, 1).all() and 0.3 < signs.positive.mean() < 0.7
    assert (folder / "results/signs.png").stat().st_size > 10_000
    statistics = pd.read_csv(folder / "results/tables/weight_statistics.csv")
    null = statistics[statistics.state == "init"].groupby("study").selection_std_scaled
    assert null.count()["fcnet-heavy"] == 0 < null.count()["narrow-normal"]


@pytest.mark.workflow
def test_an_addition_plans_nothing_for_what_there_is(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    assert "--touch" not in PAGE
    folder = copy_run(finished_run(tmp_path_factory), tmp_path / "run")
    add(folder)
    text = yaml.safe_dump({"plugins": SMALL["plugins"]})
    (folder / "plugins.yaml").write_text(text, encoding="utf-8")
    jobs = plan(folder, "all", overlays=("plugins.yaml",))
    # What the page adds for everything that there is, and what shows all that there is.
    assert {job.rule for job in jobs} == {"measure_signs", "tabulate", "plot_signs", "index"}
    assert {job.outputs for job in jobs if job.rule == "tabulate"} == {
        ("results/tables/signs.csv",)
    }
