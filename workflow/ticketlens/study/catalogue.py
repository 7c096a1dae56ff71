"""The catalogue: every measurement, table and figure of the workflow is one entry.

The rules are made of the entries, so a new figure is one function and one entry, and so is a new
measurement (see docs/worked-examples.md). What an entry says: see `kinds`.

A figure's file name is its key; of `histograms-{study}-{state}` it is the part before the first
hyphen, as it is of its caption `workflow/report/{key}.rst`.
"""

from __future__ import annotations

from ticketlens.study.kinds import ALL, Figure, Measurement, Table

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
        "Validation accuracy and train loss against epoch, one line per density.",
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
        "In-degrees per layer: mean, spread against a random mask, dead neurons.",
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
        "Growth of perturbations through all hidden layers, tickets against nulls.",
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
        networks="dense",
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
SIGNAL = ("qmap", "chi", "cmap")
MEASUREMENTS: dict[str, Measurement] = {
    "weights": Measurement(
        "ticketlens.tables.weights:measure_weights",
        ("weight_statistics", "histograms", "spectra", "spectral_densities"),
        "Moments, bimodality and histograms of the kept weights; "
        "eigenvalues of W Wᵀ against nulls.",
        with_ticket=True,
        mem_mb=1000,
    ),
    "degrees": Measurement(
        "ticketlens.tables.weights:measure_degrees",
        ("degrees",),
        "In- and out-degrees, dead neurons, effective density "
        "(the same before and after training).",
        state="init",
        mem_mb=1000,
    ),
    "ladder": Measurement(
        "ticketlens.tables.signal:measure_ladder",
        ("ladder", "decomposition"),
        "q as every rung of the ladder predicts it, and the decomposition of the measured q.",
        networks="chains",
        images={"images": "ladder_images"},
    ),
    "signal": Measurement(
        "ticketlens.tables.signal:measure_signal",
        SIGNAL,
        "Measured q, chi and correlations, fully connected networks.",
        networks="dense",
        images={"images": "images"},
    ),
    "signal_conv": Measurement(
        "ticketlens.tables.signal_conv:measure_signal",
        SIGNAL,
        "Measured q, chi and correlations, convolutional networks.",
        networks="conv",
        images={"images": "images"},
        environment="train",
    ),
    "residual": Measurement(
        "ticketlens.tables.residual:measure_residual",
        ("residual",),
        "Measured q, chi and correlations per block against theory, fully connected with skips.",
        networks="dense blocks",
        images={"images": "images", "jacobian_images": "isometry_images"},
    ),
    "residual_conv": Measurement(
        "ticketlens.tables.residual_conv:measure_residual",
        ("residual",),
        "Measured q, chi and correlations per block against theory, convolutional with skips.",
        networks="conv blocks",
        images={"images": "images", "jacobian_images": "isometry_images"},
        environment="train",
    ),
    "jacobian": Measurement(
        "ticketlens.tables.jacobian:measure_jacobian",
        ("jacobian", "jacobian_spectrum", "isometry"),
        "Jacobian spectrum, and isometry against the nulls N1 to N6, fully connected networks.",
        networks="dense",
        images={"spectrum_images": "spectrum_images", "isometry_images": "isometry_images"},
    ),
    "jacobian_conv": Measurement(
        "ticketlens.tables.jacobian_conv:measure_jacobian",
        ("jacobian", "isometry"),
        "Leading singular values and isometry by products with vectors, convolutional networks.",
        networks="conv",
        images={"images": "isometry_images"},
        environment="train",
    ),
    "gradients": Measurement(
        "ticketlens.tables.gradients:measure_gradients",
        ("gradients",),
        "Gradients of logits and loss at every layer, tickets and nulls, fully connected networks.",
        networks="dense",
        images={"images": "isometry_images"},
        with_labels=True,
    ),
    "gradients_conv": Measurement(
        "ticketlens.tables.gradients_conv:measure_gradients",
        ("gradients",),
        "Gradients of logits and loss at every layer, tickets and nulls, convolutions or skips.",
        networks="conv or blocks",
        images={"images": "isometry_images"},
        with_labels=True,
        environment="train",
    ),
    "ntk": Measurement(
        "ticketlens.tables.ntk:measure_ntk",
        ("ntk", "ntk_spectra"),
        "The empirical neural tangent kernel over the kept weights, tickets and nulls.",
        networks="dense",
        images={"images": "images"},
        with_labels=True,
    ),
    "change": Measurement(
        "ticketlens.tables.change:measure_change",
        ("change_spectra", "change_accuracy"),
        "What training changed: spikes of W − theta_0 per layer, and what they classify alone.",
        networks="dense",
        images={"images": "all"},
        with_ticket=True,
        with_labels=True,
        state="trained",
    ),
}
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
        "Kendall's tau between properties of tickets and the accuracy of their arms",
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
        networks="dense",
    ),
    "ntk_spectra": Table(
        ROWS,
        "Eigenvalues of the centred tangent kernel, as shares of its trace",
        kind="ntk",
        networks="dense",
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
PREDICTORS = ("weight_statistics", "degrees", "qmap", "chi", "cmap", "jacobian", "isometry")
"""Tables whose columns `verdicts.predictors` ranks arms by."""
MIN_ARMS = 3
"""Fewer arms than that have no ranking to speak of."""


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


def about_table(name: str) -> str:
    """Return what the front page says of a table, nothing of one that is not listed."""
    own = tables().get(name)
    return own.about if own else ""


def labels(figure: str, study: str = ALL) -> dict[str, str]:
    """Return the labels that the report sorts a figure by; they may hold wildcards in braces."""
    own = entry(figure)
    return {"figure": own.title, "study": study, "arm": own.arm, "density": own.density}
