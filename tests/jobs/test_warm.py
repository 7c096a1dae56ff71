"""Jobs as forks of a process that has imported the libraries: the same as jobs without it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from ticketlens.jobs import warm
from ticketlens.jobs.warm import Nursery, Unavailable
from workflow_tools import environment, only, overlay, run, snakemake_command, tiny_clone

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks are taken on Linux alone")
TELL = """
import json, os, random, sys, tempfile
seen = {
    "name": __name__, "file": __file__, "argv": sys.argv, "path": sys.path[0],
    "folder": os.getcwd(), "variable": os.environ.get("OF_THE_JOB"), "here": os.environ.get("HERE"),
    "temporary": tempfile.gettempdir(), "main": sys.modules["__main__"].__name__,
    "marked": hasattr(json, "marked"), "random": random.random(), "pid": os.getpid(),
}
json.marked = True
print(json.dumps(seen), file=open(sys.argv[0] + ".json", "w"))
"""


@pytest.fixture(scope="module")
def nursery() -> Nursery:
    return Nursery(("json", "random", "tempfile"))


def told(nursery: Nursery, script: Path, **variables: str) -> dict[str, object]:
    """What a script that tells of itself has seen, run as a fork."""
    assert nursery.run(str(script), dict(os.environ) | variables) == 0
    return json.loads(Path(f"{script}.json").read_text(encoding="utf-8"))


@pytest.fixture
def script(tmp_path: Path) -> Path:
    file = tmp_path / "a.train.py"
    file.write_text(TELL, encoding="utf-8")
    return file


def test_a_fork_is_what_python_makes_of_a_script(
    nursery: Nursery, script: Path, tmp_path: Path
) -> None:
    given = {"OF_THE_JOB": "x", "TMPDIR": str(tmp_path)}
    forked = told(nursery, script, **given)
    subprocess.run([sys.executable, script], env=dict(os.environ) | given, check=True)
    usual = json.loads(Path(f"{script}.json").read_text(encoding="utf-8"))
    for value in ("random", "pid"):
        assert forked.pop(value) != usual.pop(value)
    assert forked == usual


def test_forks_share_neither_state_nor_random_numbers(nursery: Nursery, script: Path) -> None:
    first, second = told(nursery, script, HERE="1"), told(nursery, script)
    assert first["here"] == "1" and second["here"] is None
    assert not second["marked"]
    assert first["pid"] != second["pid"] and first["random"] != second["random"]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("pass", 0),
        ("import sys; sys.exit()", 0),
        ("import sys; sys.exit(3)", 3),
        ("import sys; sys.exit('one line')", 1),
        ("1 / 0", 1),
        ("this is no Python", 1),
        ("raise KeyboardInterrupt", 1),
        ("import os; os.kill(os.getpid(), 9)", -9),
        ("import os; os.kill(os.getpid(), 15)", -15),
        ("import atexit; atexit.register(open, 'no such file')", 0),
    ],
)
def test_the_exit_code_is_that_of_the_script(
    nursery: Nursery, tmp_path: Path, text: str, code: int
) -> None:
    script = tmp_path / "script.py"
    script.write_text(text, encoding="utf-8")
    assert nursery.run(str(script), dict(os.environ)) == code


def test_an_error_shows_the_lines_of_the_script_alone(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("def broken():\n    1 / 0\n\nbroken()\n", encoding="utf-8")
    code = (
        "import os; from ticketlens.jobs.warm import Nursery; "
        f"Nursery(()).run({str(script)!r}, dict(os.environ))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "ZeroDivisionError" in result.stderr and f'"{script}", line 4' in result.stderr
    assert "nursery.py" not in result.stderr


def test_what_a_script_still_holds_is_flushed(nursery: Nursery, tmp_path: Path) -> None:
    script, left = tmp_path / "script.py", tmp_path / "left"
    script.write_text(
        f"import atexit\nfile = open({str(left)!r}, 'w')\natexit.register(file.close)\n"
        "file.write('all of it')\n",
        encoding="utf-8",
    )
    assert nursery.run(str(script), dict(os.environ)) == 0
    assert left.read_text(encoding="utf-8") == "all of it"


def test_what_is_imported_beforehand_is_there_and_pytorch_is_for_trainings_alone() -> None:
    for kind, libraries in warm.LIBRARIES.items():
        code = f"import sys, {', '.join(libraries)}; print('torch' in sys.modules)"
        result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert result.stdout.strip() == str(kind == "train"), result.stderr


def test_without_the_process_to_fork_a_job_starts_as_usual(script: Path) -> None:
    missing = Nursery(("no_such_library",))
    for _ in range(2):
        with pytest.raises(Unavailable):
            missing.run(str(script), dict(os.environ))
    with pytest.raises(Unavailable, match="too large"):
        Nursery(()).run(str(script), {"LONG": "x" * warm.LARGEST})
    assert not Path(f"{script}.json").exists()


def test_a_process_with_threads_is_not_forked(tmp_path: Path, script: Path) -> None:
    (tmp_path / "with_threads.py").write_text(
        "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n",
        encoding="utf-8",
    )
    code = (
        "import os; from ticketlens.jobs.warm import *\n"
        f"try: Nursery(('with_threads',)).run({str(script)!r}, dict(os.environ))\n"
        "except Unavailable: print('as usual')"
    )
    paths = os.pathsep.join([str(tmp_path), *sys.path])
    result = subprocess.run(
        [sys.executable, "-c", code], env=dict(os.environ) | {"PYTHONPATH": paths},
        capture_output=True, text=True,
    )  # fmt: skip
    assert result.stdout == "as usual\n", result.stderr


def a_run(jobs: int = 8, local: bool = True, deployment: tuple[str, ...] = ()) -> SimpleNamespace:
    """What of Snakemake's workflow decides: rules `train` and `plot`, and jobs of `train`."""
    rules = [
        SimpleNamespace(name="train", script="train.py", conda_env="../envs/train.yaml"),
        SimpleNamespace(name="plot", script="plot.py", conda_env="../envs/analyse.yaml"),
        SimpleNamespace(name="all", script=None, conda_env=None),
    ]
    return SimpleNamespace(
        rules=rules,
        local_exec=local,
        deployment_settings=SimpleNamespace(deployment_method=set(deployment)),
        dag=SimpleNamespace(needrun_jobs=lambda: [SimpleNamespace(rule=rules[0])] * jobs),
    )


def test_forks_are_for_local_runs_of_many_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    assert warm.kinds(a_run()) == {"train": "train"}
    assert not warm.kinds(a_run(jobs=7))
    assert not warm.kinds(a_run(local=False))
    assert not warm.kinds(a_run(deployment=("conda",)))
    monkeypatch.setenv(warm.VARIABLE, "0")
    assert not warm.kinds(a_run())


def test_jobs_of_threads_and_environments_of_their_own_are_not_forked() -> None:
    plain = {
        "conda_env": None, "container_img": None, "env_modules": None, "shadow_dir": None,
        "threads": 1, "resources": {},
    }  # fmt: skip
    assert warm._is_plain(SimpleNamespace(**plain))
    for other in ({"threads": 2}, {"conda_env": "x"}, {"resources": {"shell_exec": "zsh"}}):
        assert not warm._is_plain(SimpleNamespace(**plain | other))


def processes(folder: Path, switch: str, *arguments: str, overlays: tuple[str, ...]) -> int:
    """How many of a run's processes import h5py; Snakemake's own does not."""
    result = run(
        folder,
        snakemake_command(*arguments, "--cores", "2", overlays=overlays),
        env=environment() | {"TICKETLENS_WARM": switch, "PYTHONPROFILEIMPORTTIME": "1"},
    )
    assert result.returncode == 0, result.stdout
    return sum(line.endswith("| h5py") for line in result.stdout.splitlines())


@pytest.mark.workflow
def test_snakemake_starts_the_jobs_of_a_run_as_forks(tmp_path: Path) -> None:
    folder = tiny_clone(tmp_path / "run")
    eight = overlay(tmp_path, {"studies": only(fcnet_normal={"seeds": list(range(8))})})
    tickets = [
        f"results/checkpoints/fcnet-normal/seed{seed}/round00/imp/ticket.h5" for seed in range(8)
    ]
    # One that imports for all eight, and the data set's job, which is one alone.
    assert processes(folder, "1", *tickets, overlays=eight) <= 2
    assert len({(folder / ticket).read_bytes() for ticket in tickets}) == 8


@pytest.mark.nightly
@pytest.mark.workflow
def test_a_run_of_forks_writes_the_bytes_of_a_run_without(tmp_path: Path) -> None:
    made, imports = {}, {}
    eight = overlay(tmp_path, {"pruning": {"rounds": 8}})
    targets = ("results/tables/accuracy.csv", "results/weight_std.png")
    for switch in ("1", "0"):
        folder = tiny_clone(tmp_path / switch)
        imports[switch] = processes(folder, switch, *targets, overlays=eight)
        files = [*(folder / "results").rglob("*.h5"), *(folder / "results").rglob("*.csv")]
        made[switch] = {file.relative_to(folder): file.read_bytes() for file in files}
        times = [*(folder / "results/benchmarks/train").rglob("*.tsv")]
        assert times and all(float(file.read_text().split("\n")[1].split()[0]) for file in times)
    assert made["1"] == made["0"] and len(made["1"]) > 20
    assert imports["1"] <= 2 and imports["0"] > 20
