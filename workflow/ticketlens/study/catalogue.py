"""What the report and the front page call each figure and table, and where they put it.

A figure's file name is its key; of `histograms-{study}-{state}` it is the part before the first
hyphen, as it is of its caption `workflow/report/{key}.rst`.
"""

from __future__ import annotations

from dataclasses import dataclass

ALL = "all"


@dataclass(frozen=True)
class Figure:
    """Title and labels of a figure; `is_key` puts it on top of the front page."""

    category: str
    title: str
    arm: str = "imp"
    density: str = ALL
    is_key: bool = False


CATEGORIES = ("Accuracy", "Arms", "Weights", "Q-maps", "Chi", "Jacobians")
FIGURES = {
    "accuracy": Figure("Accuracy", "Test accuracy against density", is_key=True),
    "training_curves": Figure("Accuracy", "Training curves"),
    "generalization_gap": Figure("Accuracy", "Generalization gap against density"),
    "zero_shot": Figure("Arms", "Every arm against the IMP ticket", arm=ALL, is_key=True),
    "std_experiment": Figure(
        "Arms", "Standard deviation of the initial weights", arm="several", density="one"
    ),
    "bimodal_cdf": Figure("Arms", "The law of bimodal weights", arm="one", density="one"),
    "bimodal_accuracy": Figure("Arms", "Bimodal weights on random masks", arm="several"),
    "variance_adjusted": Figure("Arms", "Variance adjusted to the graph", arm="several"),
    "predictors": Figure("Arms", "Which property ranks the arms?", arm=ALL),
    "factorial": Figure("Arms", "Masks × weights", arm=ALL),
    "weight_mean": Figure("Weights", "Mean of the kept weights"),
    "weight_std": Figure("Weights", "Standard deviation of the kept weights"),
    "histograms": Figure("Weights", "Histograms of the kept weights ({state})"),
    "in_degree": Figure("Weights", "In-degrees"),
    "weight_spectra": Figure("Weights", "Spectra of W Wᵀ", density="three"),
    "qmap": Figure("Q-maps", "Measured q, tickets"),
    "qmap_trained": Figure("Q-maps", "Measured q, trained networks"),
    "qmap_theory": Figure("Q-maps", "Measured q against theory", density="up to six"),
    "qmap_ladder": Figure("Q-maps", "Which assumption fails: the ladder", is_key=True),
    "qmap_fixed_point": Figure("Q-maps", "Fixed points q*"),
    "residual": Figure("Q-maps", "Residual networks: q and chi of blocks", density="a few"),
    "chi": Figure("Chi", "chi against density and layer", is_key=True),
    "cmap": Figure("Chi", "Correlations of pairs of images"),
    "jacobian_spectrum": Figure("Jacobians", "Spectrum of the Jacobian", density="up to six"),
    "gradients": Figure("Jacobians", "Gradients per layer against nulls", is_key=True),
    "ntk": Figure("Jacobians", "The tangent kernel against nulls"),
    "change": Figure("Weights", "The spectrum of the change", density="up to three"),
    "isometry": Figure("Jacobians", "Growth of perturbations against nulls", is_key=True),
}
# Curves of every checkpoint, to draw with: too large to keep in a repository.
TOO_LARGE = ("histograms", "spectral_densities", "jacobian_spectrum", "ntk_spectra", "bimodal_law")
TABLES = {
    "accuracy": "Accuracies and losses of every run, for the last and the best validation epoch",
    "training_curves": "Losses and accuracies per run and epoch",
    "contrasts": "Each arm minus IMP, paired by seed: intervals, verdicts of the planned contrasts",
    "bimodal_law": "Histogram and CDF that bimodal weights are drawn from, and what an arm drew",
    "predictors": "Kendall's tau between properties of tickets and the accuracy of their arms",
    "histograms": "Histograms of the kept weights per layer",
    "weight_statistics": "Moments and bimodality of the kept weights per layer, with nulls",
    "degrees": "In- and out-degrees per layer, dead neurons",
    "spectra": "Eigenvalues of W Wᵀ in numbers: edges, outliers, distance to the nulls",
    "spectral_densities": "Eigenvalue densities of W Wᵀ, of the nulls and of Marchenko–Pastur",
    "ladder": "q per layer as every rung of the ladder predicts it",
    "decomposition": "The gap between measured and predicted q, taken apart",
    "qmap": "Measured q per layer",
    "chi": "chi per layer, measured and by two theories",
    "residual": "q, c and chi per block of residual networks, measured and in theory",
    "cmap": "Correlations of pairs of images per layer",
    "jacobian": "Singular values of the Jacobian in numbers",
    "isometry": "Growth of perturbations, of tickets and of the nulls N1 to N6",
    "gradients": "Gradients of logits and loss at every layer, of tickets and the nulls N1 to N6",
    "ntk": "The neural tangent kernel over the kept weights, of tickets and of the nulls N1 to N6",
    "ntk_spectra": "Eigenvalues of the centred tangent kernel, as shares of its trace",
    "change_spectra": "Spikes of W − theta_0, of W and of theta_0 per layer, and where they point",
    "change_accuracy": "Validation accuracy of theta_0 with parts of what training changed",
    "jacobian_spectrum": "Densities of the Jacobian's squared singular values, and theory",
}


def key(figure: str) -> str:
    """Return a figure's key: its name up to the first hyphen."""
    return figure.partition("-")[0]


def wildcards(figure: str) -> dict[str, str]:
    """Return `study` and `state` of a figure `{key}-{study}-{state}`; other names have none."""
    study, _, state = figure.partition("-")[2].rpartition("-")
    return {"study": study, "state": state} if study else {}


def entry(figure: str) -> Figure:
    """Return the entry of a figure; one that is not listed goes by its name, under `Other`."""
    unlisted = Figure("Other", key(figure).replace("_", " ").capitalize(), arm=ALL)
    return FIGURES.get(key(figure), unlisted)


def labels(figure: str, study: str = ALL) -> dict[str, str]:
    """Return the labels that the report sorts a figure by; they may hold wildcards in braces."""
    found = entry(figure)
    return {
        "figure": found.title,
        "study": study,
        "arm": found.arm,
        "density": found.density,
    }
