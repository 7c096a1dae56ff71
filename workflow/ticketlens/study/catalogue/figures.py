"""All figures. Rules are made of the entries, so a new figure is one function and one entry.

See docs/worked-examples.md for an example, `kinds.Figure` for what an entry says. A figure's file
name is its key; of `histograms-{study}-{state}` it is the part before the first hyphen, as it is of
its caption `workflow/report/{key}.rst`.
"""

from __future__ import annotations

from ticketlens.study.catalogue.kinds import ALL, Figure

CATEGORIES = ("Accuracy", "Arms", "Weights", "Q-maps", "Chi", "Jacobians")
EXPERIMENTS = ("std_experiment", "bimodal", "variance_adjusted")
OF_ARMS = ("arms", "study", "title")
FIGURES: dict[str, Figure] = {
    "accuracy": Figure(
        "ticketlens.figures.accuracy:accuracy",
        {"table": "accuracy"},
        "Test accuracy against density: do tickets match the dense network?",
        "Accuracy",
        "Test accuracy against density",
        is_key=True,
    ),
    "generalization_gap": Figure(
        "ticketlens.figures.generalization:generalization_gap",
        {"table": "accuracy"},
        "Gain of pruning for last-epoch and best-validation weights; train minus test accuracy.",
        "Accuracy",
        "Generalization gap against density",
    ),
    "training_curves": Figure(
        "ticketlens.figures.accuracy:training_curves",
        {"table": "training_curves"},
        "Validation and training accuracy and train loss against epoch, five densities.",
        "Accuracy",
        "Training curves",
    ),
    "weight_mean": Figure(
        "ticketlens.figures.weights:weight_mean",
        {"table": "weight_statistics"},
        "Mean of the kept initial weights per layer, with its standard error.",
        "Weights",
        "Mean of the kept weights",
    ),
    "weight_std": Figure(
        "ticketlens.figures.weights:weight_std",
        {"table": "weight_statistics"},
        "Standard deviation of the kept initial weights per layer, beside the selection null.",
        "Weights",
        "Standard deviation of the kept weights",
    ),
    "histograms": Figure(
        "ticketlens.figures.weights:histograms",
        {"table": "histograms"},
        "Distribution of the kept weights per layer, of one study and state.",
        "Weights",
        "Histograms of the kept weights ({state})",
        options=("study", "title", "state", "sigma_w"),
        per_study=True,
    ),
    "in_degree": Figure(
        "ticketlens.figures.weights:in_degree",
        {"table": "degrees"},
        "In-degrees per layer: spread against a random mask, dead neurons.",
        "Weights",
        "In-degrees",
    ),
    "weight_spectra": Figure(
        "ticketlens.figures.weights:weight_spectra",
        {"table": "spectral_densities"},
        "Eigenvalues of W Wᵀ against Marchenko–Pastur and the same-mask null.",
        "Weights",
        "Spectra of W Wᵀ",
        density="three",
    ),
    "qmap": Figure(
        "ticketlens.figures.signal:qmap",
        {"table": "qmap"},
        "Measured q per layer of the tickets.",
        "Q-maps",
        "Measured q, tickets",
        fixed={"state": "init"},
        networks="chains",
    ),
    "qmap_theory": Figure(
        "ticketlens.figures.signal:qmap_theory",
        {"table": "ladder"},
        "Measured q per layer against the theory of a dense network, one panel per density.",
        "Q-maps",
        "Measured q against theory",
        density="up to six",
        networks="chains",
    ),
    "qmap_ladder": Figure(
        "ticketlens.figures.signal:qmap_ladder",
        {"table": "ladder"},
        "q by every rung of the ladder, and the gap to the measured q taken apart.",
        "Q-maps",
        "Which assumption fails: the ladder",
        is_key=True,
        networks="chains",
    ),
    "qmap_fixed_point": Figure(
        "ticketlens.figures.signal:qmap_fixed_point",
        {"table": "weight_statistics"},
        "q* over (sigma_w, sigma_b), and the path that the tickets take.",
        "Q-maps",
        "Fixed points q*",
        options=("titles", "dense"),
        networks="chains",
    ),
    "chi": Figure(
        "ticketlens.figures.signal:chi",
        {"table": "chi"},
        "chi against density and per layer, measured and in theory.",
        "Chi",
        "chi against density and layer",
        is_key=True,
        networks="chains",
    ),
    "cmap": Figure(
        "ticketlens.figures.signal:cmap",
        {"table": "cmap"},
        "Correlation of pairs of images per layer, and its map.",
        "Chi",
        "Correlations of pairs of images",
        options=("titles", "dense"),
        networks="chains",
    ),
    "isometry": Figure(
        "ticketlens.figures.jacobian:isometry",
        {"table": "isometry"},
        "Growth of perturbations through all hidden layers, tickets minus nulls.",
        "Jacobians",
        "Growth of perturbations against nulls",
        is_key=True,
        networks="chains",
    ),
    "qmap_trained": Figure(
        "ticketlens.figures.signal:qmap",
        {"table": "qmap"},
        "Measured q per layer of the trained networks.",
        "Q-maps",
        "Measured q, trained networks",
        fixed={"state": "trained"},
        networks="chains",
    ),
    "jacobian_spectrum": Figure(
        "ticketlens.figures.jacobian:jacobian_spectrum",
        {"table": "jacobian_spectrum"},
        "Spectrum of the Jacobian against free probability.",
        "Jacobians",
        "Spectrum of the Jacobian",
        density="up to six",
        networks="dense",
    ),
    "ntk": Figure(
        "ticketlens.figures.gradients:ntk",
        {"table": "ntk"},
        "Trace, effective rank and label alignment of the tangent kernel, tickets minus nulls.",
        "Jacobians",
        "The tangent kernel against nulls",
        networks="chains",
    ),
    "gradients": Figure(
        "ticketlens.figures.gradients:gradients",
        {"table": "gradients"},
        "Gradients of logits and loss per layer, tickets minus nulls.",
        "Jacobians",
        "Gradients per layer against nulls",
        is_key=True,
    ),
    "change": Figure(
        "ticketlens.figures.change:change",
        {"spectra": "change_spectra", "accuracy": "change_accuracy"},
        "Spikes of the change that training makes, and their accuracy alone.",
        "Weights",
        "The spectrum of the change",
        density="up to three",
        options=("titles", "labels"),
        networks="dense",
    ),
    "residual": Figure(
        "ticketlens.figures.residual:residual",
        {"table": "residual"},
        "q and chi of residual blocks, measured and in theory.",
        "Q-maps",
        "Residual networks: q and chi of blocks",
        density="a few",
        options=("titles", "dense"),
        networks="blocks",
    ),
    "zero_shot": Figure(
        "ticketlens.figures.arms:zero_shot",
        {"table": "contrasts"},
        "Accuracy of every arm minus IMP's, with intervals.",
        "Arms",
        "Every arm against the IMP ticket",
        arm=ALL,
        is_key=True,
        options=("titles", "labels"),
    ),
    "std_experiment": Figure(
        "ticketlens.figures.experiments:std_experiment",
        {"curves": "training_curves", "accuracy": "accuracy"},
        "Training curves and accuracy with other standard deviations of the initial weights.",
        "Arms",
        "Standard deviation of the initial weights",
        arm="several",
        density="one",
        options=(*OF_ARMS, "round_"),
        experiment="std_experiment",
    ),
    "variance_adjusted": Figure(
        "ticketlens.figures.experiments:accuracy_of_arms",
        {"table": "accuracy"},
        "Does accuracy improve with variances adjusted to the density, or to each in-degree?",
        "Arms",
        "Variance adjusted to the graph",
        arm="several",
        options=OF_ARMS,
        experiment="variance_adjusted",
    ),
    "bimodal_cdf": Figure(
        "ticketlens.figures.experiments:bimodal_law",
        {"table": "bimodal_law"},
        "Histogram, CDF and inverse CDF of the survivors' weights.",
        "Arms",
        "The law of bimodal weights",
        arm="one",
        density="one",
        options=("title",),
        experiment="bimodal",
    ),
    "bimodal_accuracy": Figure(
        "ticketlens.figures.experiments:accuracy_of_arms",
        {"table": "accuracy"},
        "Does accuracy improve with bimodal weights on random masks and small dense networks?",
        "Arms",
        "Bimodal weights on random masks",
        arm="several",
        options=OF_ARMS,
        experiment="bimodal",
    ),
    "predictors": Figure(
        "ticketlens.figures.arms:predictors",
        {"table": "predictors"},
        "Which property of a ticket ranks the arms by accuracy?",
        "Arms",
        "Which property ranks the arms?",
        arm=ALL,
    ),
    "factorial": Figure(
        "ticketlens.figures.arms:factorial",
        {"table": "factorial_contrasts"},
        "Heat map of accuracy minus IMP's, masks × weights.",
        "Arms",
        "Masks × weights",
        arm=ALL,
        options=("titles", "order"),
        by_request=True,
    ),
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
    title = key(figure).replace("_", " ").capitalize()
    unlisted = Figure("", {}, "", category="Other", title=title, arm=ALL)
    return FIGURES.get(key(figure), unlisted)


def labels(figure: str, study: str = ALL) -> dict[str, str]:
    """Return the labels that the report sorts a figure by; they may hold wildcards in braces."""
    listed = entry(figure)
    return {"figure": listed.title, "study": study, "arm": listed.arm, "density": listed.density}
