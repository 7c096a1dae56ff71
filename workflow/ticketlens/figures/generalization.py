"""Figure of over-fitting: what pruning gains for last-epoch and for best-validation weights."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from ticketlens.figures import style as plotting
from ticketlens.figures.density import density_axis, draw_against_density
from ticketlens.figures.style import WEIGHTS


def generalization_gap(table: pd.DataFrame, titles: Mapping[str, str]) -> Figure:
    """Gain over the dense network (top) and train − test accuracy (bottom) against density.

    `table` is accuracy.csv; one column per study, mean and 95 % t-interval over seeds, single seeds
    faint. The gain is paired by seed, so that round 0 has none and no interval.
    """
    table, studies = plotting.selected(table, titles)
    rows = gains_and_gaps(table)
    figure, axes = plotting.study_panels(rows, studies, titles, 2, height=2.3)
    for column, study in enumerate(studies):
        of_study = rows[rows["study"] == study]
        for axis, quantity in zip(axes[:, column], ("gain", "gap"), strict=True):
            names = [f"{quantity}{suffix}" for suffix, *_ in WEIGHTS]
            for name, (_, label, colour, marker, shift) in zip(names, WEIGHTS, strict=True):
                draw_against_density(
                    axis, of_study, name, colour, shift, marker=marker, label=label
                )
            density_axis(axis, of_study["density"])
            plotting.frame(axis, *(of_study[name] for name in names), [0.0])
            axis.axhline(0, color="0.5", lw=0.8, ls="--", zorder=0)
        plotting.hide_x(axes[0][column])
    for row in axes:
        plotting.same_y(row)
    plotting.label_rows(
        axes, "gain over dense\n(points of test accuracy)", "train − test accuracy\n(points)"
    )
    plotting.legend(figure, *plotting.entries(axes[0]))
    return figure


def gains_and_gaps(table: pd.DataFrame) -> pd.DataFrame:
    """Return `table` with `gain` and `gap` in points, each also for `_best_validation` weights.

    gain: test accuracy minus that of round 0 of the same study and seed; gap: train − test.
    """
    dense = table[table["round"] == 0].set_index(["study", "seed"])
    key = pd.MultiIndex.from_frame(table[["study", "seed"]])
    columns = {}
    for suffix, *_ in WEIGHTS:
        test = table[f"test_accuracy{suffix}"]
        reference = dense[f"test_accuracy{suffix}"].reindex(key).to_numpy()
        columns[f"gain{suffix}"] = 100 * (test - reference)
        columns[f"gap{suffix}"] = 100 * (table[f"train_accuracy{suffix}"] - test)
    return table.assign(**columns)
