"""What a figure says about itself is what it shows, at the pixels where it shows it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from PIL import Image

from ticketlens.figures import saving, style
from ticketlens.figures.density import density_axis, draw_against_density
from ticketlens.figures.described import plain
from ticketlens.pages.pictures import picture
from ticketlens.pages.publication import write_picture

ROUNDS = (1.0, 0.5, 0.25)


def rows(seeds: int = 3, spread: float = 0.1) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"seed": seed, "round": r, "density": d, "y": 10 * d + spread * seed}
            for seed in range(seeds)
            for r, d in enumerate(ROUNDS)
        ]
    )


@pytest.fixture
def drawn(tmp_path: Path) -> Path:
    figure, axes = style.panels(["left", r"$\chi$ right"], rows=2)
    for axis in axes.flat:
        draw_against_density(axis, rows(), "y", style.ORANGE, 1.05, marker="s", label="squares")
        density_axis(axis, ROUNDS)
    for axis in axes[0]:
        style.hide_x(axis)
    style.label_rows(axes, "top", "bottom")
    style.legend(figure, *style.entries(axes[0]))
    saving.save(figure, tmp_path / "f.png", tmp_path / "f.pdf")
    return tmp_path / "f.png"


def test_points_lie_on_markers_of_their_colour_and_bear_their_values(drawn: Path) -> None:
    pixels = np.asarray(Image.open(drawn).convert("RGB"))
    panels = picture("chi", drawn).shows["panels"]
    curves = [curve for panel in panels for curve in panel["curves"]]
    assert len(curves) == 4
    for name, colour, points in curves:
        assert (name, colour) == ("squares", style.ORANGE.lower())
        assert [point[2] for point in points] == list(ROUNDS), "the drawn shift is undone"
        assert [point[3] for point in points] == pytest.approx([10 * d + 0.1 for d in ROUNDS])
        for left, top, _, mean, lower, upper in points:
            assert to_hex(pixels[top, left] / 255) == colour
            assert upper - mean == pytest.approx(4.3027 * 0.1 / 3**0.5, rel=0.01)
            assert mean - lower == pytest.approx(upper - mean, rel=0.01)


def test_panels_that_share_an_axis_are_one_box_and_boxes_hold_their_points(drawn: Path) -> None:
    own = picture("chi", drawn)
    legend, left, right = own.shows["panels"]
    assert legend["legend"] == [["squares", style.ORANGE.lower()]]
    assert (left["title"], right["title"]) == ("left", "χ right")
    assert left["y"] == ["", ""] and right["y"] == ["top", "bottom"]
    for panel in (left, right):
        x, y, width, height = panel["box"]
        for *_, points in panel["curves"]:
            assert all(x < p[0] < x + width and y < p[1] < y + height for p in points)
    assert left["box"][0] + left["box"][2] <= right["box"][0] + 12
    assert [panel.share for panel in own.panels][1:] == [100, 100]


def test_a_published_picture_keeps_what_it_says_unless_it_is_made_smaller(
    drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_picture(drawn, tmp_path / "small.png")
    assert picture("chi", tmp_path / "small.png").shows == picture("chi", drawn).shows
    monkeypatch.setattr("ticketlens.pages.publication.MAX_WIDTHS", (600,))
    write_picture(drawn, tmp_path / "small.png")
    assert picture("chi", tmp_path / "small.png").shows == {}


def test_the_file_says_its_own_size(drawn: Path, tmp_path: Path) -> None:
    said = json.loads(Image.open(drawn).info["ticketlens"])
    assert said == picture("chi", drawn).shows
    assert said["size"] == pytest.approx(Image.open(drawn).size, abs=1)


@pytest.mark.parametrize(
    ("tex", "letters"),
    [
        (r"measured $\chi_l$", "measured χ_l"),
        (r"$\ln(q/\mathrm{R0})$", "ln (q/R0)"),
        (r"std $\cdot\sqrt{\mathrm{fan\ in}}$", "std ·√fan in"),
    ],
)
def test_tex_becomes_letters(tex: str, letters: str) -> None:
    assert plain(tex) == letters
