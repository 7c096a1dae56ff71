"""Many paths as a few patterns, which stand for these paths and no others."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ticketlens.files.folded import folded, unfolded

NAMES = st.text("ab.-_0", min_size=1, max_size=3)
PATHS = st.sets(st.lists(NAMES, min_size=3, max_size=3).map("/".join), max_size=12)


@given(PATHS)
def test_patterns_stand_for_the_paths_and_no_others(paths: set[str]) -> None:
    found = unfolded(folded(sorted(paths)))
    assert len(found) == len(paths) and set(found) == paths


def test_the_files_of_a_grid_are_one_pattern() -> None:
    grid = [f"s/seed{seed}/round{at:02d}/imp/init.csv" for seed in range(3) for at in (0, 4)]
    assert folded(grid) == ["s/{seed0,seed1,seed2}/{round00,round04}/imp/init.csv"]
    assert folded([*grid, "s/seed9/round00/imp/init.csv"])[1:] == ["s/seed9/round00/imp/init.csv"]
