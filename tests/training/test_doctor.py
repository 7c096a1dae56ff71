"""`make doctor`: ten lines, whatever is missing."""

from __future__ import annotations

from pathlib import Path

from ticketlens.training import compiled, doctor
from ticketlens.training.doctor import lines, merged

REPOSITORY = Path(__file__).parents[2]


def test_ten_lines_say_what_a_bug_report_needs(tmp_path):
    (tmp_path / "images/train/a").mkdir(parents=True)
    (tmp_path / "images/train/a/1.PNG").touch()
    config = {
        "results": str(tmp_path / "results/deep"),
        "dataset": {"source": "folder", "path": str(tmp_path / "images")},
    }
    found = dict(lines(config))
    assert len(found) == 10 and all("\n" not in text for text in found.values())
    assert "a folder, 1 image files" in found["images"]
    assert f"written and read in {tmp_path}" in found["files"]
    assert "GiB free" in found["space"] and "h5py " in found["packages"]
    assert not (tmp_path / "results").exists() and not list(tmp_path.glob(".doctor*"))


def test_what_fails_is_said_in_its_line(monkeypatch, tmp_path):
    def fail():
        raise compiled.CompilerError("no C compiler\nat all")

    monkeypatch.setattr(compiled, "compiler", fail)
    monkeypatch.setattr(doctor, "PACKAGES", ("no-such-package",))
    found = dict(lines({"results": str(tmp_path)}))
    assert found["compiler"] == "CompilerError: no C compiler"
    assert found["packages"] == "no-such-package (not installed)"
    assert "not there" in found["images"] or "a folder" in found["images"]


def test_later_config_files_lie_over_earlier_ones():
    config = merged([str(REPOSITORY / f"config/{name}.yaml") for name in ("config", "quick")])
    assert config["results"] == "results/quick" and config["dataset"]["source"] == "embedded"
