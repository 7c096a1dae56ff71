"""docs/troubleshooting.md quotes what the code says: a message is raised here, or found in it."""

from __future__ import annotations

import ast
import errno
import os
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import snakemake.exceptions
import yaml

from ticketlens import checkpoint
from ticketlens.checkpoint import Checkpoint
from ticketlens.jobs import preflight
from ticketlens.jobs.joblog import job_log
from ticketlens.study.config import ConfigError, checked
from workflow_tools import REPOSITORY, rules

PAGE = (REPOSITORY / "docs/troubleshooting.md").read_text(encoding="utf-8")
TRANSCRIPTS = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)
LINES = [line for text in TRANSCRIPTS for line in text.splitlines()]
ROUND01 = "results/checkpoints/fcnet-normal/seed0/round01/imp/trained.h5"
FAULTS = (
    "kill −9 of Snakemake and", "kill −9 of a training alone", "Two Snakemakes at once",
    "Disk full", "Read-only results", "A damaged checkpoint in mid-chain",
    "A clock that went backwards", "A config edited between runs",
)  # fmt: skip


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages name files as a run does, from the working directory."""
    monkeypatch.chdir(tmp_path)


def logged(fail: Callable[[], object]) -> str:
    """The line that a job's log has of an error, without its time."""
    with pytest.raises(SystemExit), job_log("job.log"):
        fail()
    return re.sub(r"^\S+ \S+ ", "", Path("job.log").read_text(encoding="utf-8")).strip()


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate "
            "memory: you tried to allocate 549755813888 bytes. Error code 12\n\nC++ backtrace:\n"
        ),
        RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB.\nmore"),
        MemoryError("Unable to allocate 2.00 TiB for an array"),
        MemoryError(),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
    ],
)
def test_memory_that_runs_out_says_what_to_change_on_one_line(error: Exception) -> None:
    def fail() -> None:
        raise error

    line = logged(fail)
    assert "run fewer jobs at once (--cores" in line and "training.batch_size" in line
    assert "\n" not in line and "backtrace" not in line
    assert "| `out of memory: RuntimeError: …; run fewer jobs at once …` |" in PAGE


def test_pytorch_that_cannot_allocate_is_out_of_memory() -> None:
    import torch

    assert "out of memory: RuntimeError: " in logged(lambda: torch.empty(2**55))


def test_another_runtime_error_keeps_its_traceback() -> None:
    def fail() -> None:
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"), job_log("job.log"):
        fail()
    assert "Traceback" in Path("job.log").read_text(encoding="utf-8")


def test_every_fault_has_its_heading_and_nothing_of_the_machine_is_left() -> None:
    for fault in FAULTS:
        assert f"\n**{fault}" in PAGE, fault
    assert not re.search(r"/(tmp|home|root|work|usr)/", PAGE.replace("`", ""))


def test_a_damaged_checkpoint_is_refused_in_the_words_of_the_page(
    make_ticket: Callable[..., Checkpoint], make_trained: Callable[..., Checkpoint]
) -> None:
    path = Path(ROUND01)
    path.parent.mkdir(parents=True)
    ticket = make_ticket(0.8, round_=1, study="fcnet-normal")
    checkpoint.write(path, make_trained(ticket))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert logged(lambda: checkpoint.read(ROUND01, kind="trained")) in LINES


def test_a_full_disk_is_named_in_the_words_of_the_page() -> None:
    def fail() -> None:
        file = f"{ROUND01.replace('01', '03').rpartition('/')[0]}/training.partial.h5"
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), file)

    assert logged(fail) in LINES


def test_read_only_results_are_named_in_the_words_of_the_page(monkeypatch) -> None:
    def refuse(path: Path, *_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    monkeypatch.setattr(Path, "touch", refuse)
    with pytest.raises(preflight.PreflightError) as caught:
        preflight.check("results")
    assert str(caught.value) in LINES


def test_a_clock_that_went_backwards_is_named_in_the_words_of_the_page() -> None:
    (line,) = [line for line in LINES if line.startswith("the clock says")]
    now, last = (
        time.mktime(time.strptime(text, "%Y-%m-%d %H:%M:%S"))
        for text in re.findall(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", line)
    )
    preflight.check("results", last)
    with pytest.raises(preflight.PreflightError) as caught:
        preflight.check("results", now)
    assert str(caught.value) == line


def test_a_typing_error_in_the_config_is_named_in_the_words_of_the_page() -> None:
    config = yaml.safe_load((REPOSITORY / "config/config.yaml").read_text(encoding="utf-8"))
    config["training"]["learning_rat"] = 0.02
    with pytest.raises(ConfigError) as caught:
        checked(config)
    for line in str(caught.value).splitlines():
        assert any(line.startswith(quoted.removesuffix(" …)")) for quoted in LINES), line


def test_the_lock_is_explained_in_the_words_of_this_snakemake() -> None:
    message = str(snakemake.exceptions.LockException())
    assert message.replace("\n", " ").replace(f"{os.getcwd()} ", "…\n") in "\n".join(LINES)


def template(message: str) -> re.Pattern[str]:
    """What a log message of printf style can look like."""
    kinds = {"s": r"[\w -]+", "d": r"\d+"}
    parts = re.split(r"%(?:\.\d)?([sdf])", message)
    found = "".join(
        kinds.get(part, r"\d+\.\d+") if number % 2 else re.escape(part)
        for number, part in enumerate(parts)
    )
    return re.compile(f"INFO {found}")


def test_lines_of_training_are_those_that_training_writes() -> None:
    tree = ast.parse(
        (REPOSITORY / "workflow/ticketlens/training/loop.py").read_text(encoding="utf-8")
    )
    patterns = [
        template(node.args[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) == "log.info"
        and isinstance(node.args[0], ast.Constant)
    ]
    quoted = [line for line in LINES if line.startswith("INFO")]
    assert len(quoted) >= 5
    for line in quoted:
        assert any(pattern.fullmatch(line) for pattern in patterns), line


def test_every_rule_and_every_error_of_the_transcripts_exists() -> None:
    known = {rule.name for rule in rules()}
    found = [
        name
        for line in LINES
        for name in re.findall(r"^(?:Error in rule )?(\w+)(?:: …| +\d+)$", line)
    ]
    named = re.findall(r"in rule (\w+)", "\n".join(LINES))
    assert len(found) > 10 and {*found, *named} <= known
    for name in re.findall(r"^(\w+(?:Exception|Error))\b", "\n".join(LINES), re.MULTILINE):
        is_known = hasattr(snakemake.exceptions, name) or name == "CalledProcessError"
        assert is_known, name


def texts(file: Path) -> list[str]:
    """The strings of a Python file, with … for what is put into them."""
    found = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.JoinedStr):
            parts = [getattr(part, "value", "") for part in node.values]
            found.append("".join(part if isinstance(part, str) else "…" for part in parts))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.append(node.value)
    return found


def test_messages_of_the_table_are_still_in_the_code() -> None:
    """Word for word, between what stands for a value: …, 'name', a number, FILE, n, k."""
    files = [
        *(REPOSITORY / "workflow/ticketlens").rglob("*.py"),
        Path(snakemake.exceptions.__file__),
    ]
    corpus = "\n".join(text for file in files for text in texts(file))
    corpus += (REPOSITORY / "Makefile").read_text(encoding="utf-8").lower()
    corpus += "\n".join(
        [*map(os.strerror, (errno.ENOSPC, errno.EROFS)), *dir(snakemake.exceptions)]
    )
    table = re.search(r"\| message \|.*?\n\n", PAGE, re.DOTALL)[0].splitlines()[2:]
    cells = [line.split(" | ")[0] for line in table if line]
    assert len(cells) >= 15
    for cell in cells:
        for message in re.findall(r"`([^`]+)`", cell):
            pieces = re.split(
                r"…|\. |[()]|results/|'[^']*'|\[Errno \d+\]|\b(?:FILE|\d+|n|k)\b|\w+Error: ",
                message,
            )
            for piece in (piece.strip(" :;,()") for piece in pieces):
                if len(piece) > 3 and "configfile" not in piece:
                    assert piece in corpus, (message, piece)
