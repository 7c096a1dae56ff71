"""All tidy tables: how each is made, and what the front page says of it.

A measurement's plain table, all checkpoints' rows one below the other, needs no entry; see
`kinds.Table` for what an entry says.
"""

from __future__ import annotations

from ticketlens.study.catalogue.kinds import Table
from ticketlens.study.catalogue.measurements import MEASUREMENTS

ROWS = "ticketlens.files.csv_tables:concatenated"
TABLES: dict[str, Table] = {
    "accuracy": Table(
        "ticketlens.tables.runs:of_files",
        "Accuracies and losses of every run, for the last and the best validation epoch",
    ),
    "training_curves": Table(
        "ticketlens.tables.runs:of_files",
        "Losses and accuracies per run and epoch",
    ),
    "contrasts": Table(
        "ticketlens.verdicts.contrasts:contrasts",
        "Each arm minus IMP, paired by seed: intervals, verdicts of the planned contrasts",
    ),
    "bimodal_law": Table(
        "ticketlens.tables.bimodal:of_files",
        "Histogram and CDF that bimodal weights are drawn from, and what an arm drew",
        is_large=True,
    ),
    "predictors": Table(
        "ticketlens.verdicts.predictors:of_files",
        "Kendall's tau between properties of tickets and accuracy, across arms and along chains",
    ),
    "histograms": Table(
        "ticketlens.tables.histograms:histogram_table",
        "Histograms of the kept weights per layer",
        kind="weights",
        suffix="h5",
        is_large=True,
    ),
    "weight_statistics": Table(
        ROWS,
        "Moments and bimodality of the kept weights per layer, with nulls",
        kind="weights",
    ),
    "degrees": Table(
        ROWS,
        "In- and out-degrees per layer, dead neurons",
        kind="degrees",
        state="init",
    ),
    "spectra": Table(
        ROWS,
        "Eigenvalues of W Wᵀ in numbers: edges, outliers, distance to the nulls",
        kind="weights",
    ),
    "spectral_densities": Table(
        ROWS,
        "Eigenvalue densities of W Wᵀ, of the nulls and of Marchenko–Pastur",
        kind="weights",
        is_large=True,
    ),
    "ladder": Table(
        ROWS,
        "q per layer as every rung of the ladder predicts it",
        kind="ladder",
        networks="chains",
    ),
    "decomposition": Table(
        ROWS,
        "The gap between measured and predicted q, taken apart",
        kind="ladder",
        networks="chains",
    ),
    "qmap": Table(
        ROWS,
        "Measured q per layer",
        kind="signal",
        networks="chains",
    ),
    "chi": Table(
        ROWS,
        "chi per layer, measured and by two theories",
        kind="signal",
        networks="chains",
    ),
    "cmap": Table(
        ROWS,
        "Correlations of pairs of images per layer",
        kind="signal",
        networks="chains",
    ),
    "jacobian": Table(
        ROWS,
        "Singular values of the Jacobian in numbers",
        kind="jacobian",
        networks="chains",
    ),
    "isometry": Table(
        ROWS,
        "Growth of perturbations, of tickets and of the nulls N1 to N6",
        kind="jacobian",
        networks="chains",
    ),
    "jacobian_spectrum": Table(
        ROWS,
        "Densities of the Jacobian's squared singular values, and theory",
        kind="jacobian",
        networks="dense",
        is_large=True,
    ),
    "residual": Table(
        ROWS,
        "q, c and chi per block of residual networks, measured and in theory",
        kind="signal",
        networks="blocks",
    ),
    "gradients": Table(
        ROWS,
        "Gradients of logits and loss at every layer, of tickets and the nulls N1 to N6",
        kind="gradients",
    ),
    "ntk": Table(
        ROWS,
        "The neural tangent kernel over the kept weights, of tickets and of the nulls N1 to N6",
        kind="ntk",
        networks="chains",
    ),
    "ntk_spectra": Table(
        ROWS,
        "Eigenvalues of the centred tangent kernel, as shares of its trace",
        kind="ntk",
        networks="chains",
        is_large=True,
    ),
    "change_spectra": Table(
        ROWS,
        "Spikes of W − theta_0, of W and of theta_0 per layer, and where they point",
        kind="change",
        networks="dense",
        state="trained",
    ),
    "change_accuracy": Table(
        ROWS,
        "Validation accuracy of theta_0 with parts of what training changed",
        kind="change",
        networks="dense",
        state="trained",
    ),
    "factorial_contrasts": Table(
        "ticketlens.verdicts.factorial:tables",
        "Every combination of masks and weights minus IMP, with intervals",
        by_request=True,
    ),
}
PREDICTORS = (
    "weight_statistics", "degrees", "spectra", "qmap", "chi", "cmap", "jacobian", "isometry",
    "gradients", "ntk",
)  # fmt: skip
"""Tables whose columns `verdicts.predictors` ranks tickets by."""
MIN_ARMS = 3
"""Fewer arms, or rounds of a chain, than that have no ranking to speak of."""


def tables() -> dict[str, Table]:
    """Return all tables: those listed, and a plain one for what else measurements make."""
    plain = {
        name: Table(ROWS, entry.about, key, entry.networks, entry.state)
        for key, entry in MEASUREMENTS.items()
        for name in entry.tables
        if name not in TABLES
    }
    return TABLES | plain


def made_as(table: str) -> str:
    """Return the entry that says how a table is made: its own, or that of any table of rows."""
    return table if table in TABLES else "degrees"


def about_table(name: str) -> str:
    """Return what the front page says of a table, nothing of one that is not listed."""
    listed = tables().get(name)
    return listed.about if listed else ""
