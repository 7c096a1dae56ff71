# Needs: common.smk.
# Makes: names of all that this config makes: studies by kind, arms, tables, figures; the wildcards.

DATASET = f"resources/{config['dataset']['name']}.h5"
# A trial's bank stays with the trial: only the study itself writes to resources/.
BANK = "resources/tickets" if config["results"] == "results" else f"{config['results']}/tickets"
# Where chains are rebuilt from: the user's own bank, else the one that comes with the workflow.
SHIPPED_BANK = shipped("resources/tickets")
TRAINED = [name for name, study in config["studies"].items() if study.get("tickets") != "bank"]
BANKED = [name for name in config["studies"] if name not in TRAINED]
FULLY_CONNECTED = of_kind(convolutional=False, residual=False)
CONVOLUTIONAL = of_kind(convolutional=True, residual=False)
RESIDUAL = [name for name, spec in SPECS.items() if is_residual(spec.network)]
LATE = [name for name in TRAINED if study_spec(name).pruning.rewind_epoch]

ARMS = recipes(config)
# The arms and the factorial's cells: rules can make all of them, `all` asks for the arms alone.
CELLS = ticketlens_factorial.cells(config)
FACTORIAL = [ticketlens_factorial.factorial_study(config)] if CELLS else []
WITH_FACTORIAL = ticketlens_factorial.with_factorial(config)
RECIPES = recipes(WITH_FACTORIAL)

# Kind of measurement, as `measure.arms` names it, of every table over checkpoints.
KINDS = {
    "weight_statistics": "weights",
    "histograms": "weights",
    "degrees": "degrees",
    "spectra": "weights",
    "spectral_densities": "weights",
    "ladder": "ladder",
    "decomposition": "ladder",
    "qmap": "signal",
    "chi": "signal",
    "cmap": "signal",
    "jacobian": "jacobian",
    "isometry": "jacobian",
    "jacobian_spectrum": "jacobian",
    "residual": "signal",
    "gradients": "gradients",
    "ntk": "ntk",
    "ntk_spectra": "ntk",
    "change_spectra": "change",
    "change_accuracy": "change",
}
MEASURED = [table for table in KINDS if table != "histograms" and studies_of(table)]
ANY_ARM = bool(of_arms("", "", config["studies"]))
# Tables with rows of arms.
HAVE_ARMS = [table for table in (*MEASURED, "histograms") if with_arms(table)]
HAVE_ARMS += ["accuracy", "training_curves"] if ANY_ARM else []
EXPERIMENTS = config.get("experiments", {})
SHOWN = {
    name: shown_arms(config, name) for name in ("std_experiment", "bimodal", "variance_adjusted")
}
BIMODAL = [name for name in SHOWN["bimodal"] if config["arms"][name]["weights"] == "inverse-cdf"]
# Tables of properties that rank arms: those measured on arms, where there are enough to rank.
PREDICTING = [
    table
    for table in MEASURED
    if table in {own.table for own in PROPERTIES.values()}
    and any(
        KINDS[table] in measure(study).get("arms", ["signal"]) and can_rank(study)
        for study in studies_of(table)
    )
]
CONTRASTS = {"arms": [], "round": 0, "margin": 0.5, **config.get("contrasts", {})}
TABLES = [
    "accuracy",
    "training_curves",
    *(["contrasts"] if ANY_ARM else []),
    *(["bimodal_law"] if BIMODAL else []),
    *(["predictors"] if PREDICTING else []),
    "histograms",
    *MEASURED,
]
COMPACT = [name for name in TABLES if name not in {"accuracy", *catalogue.TOO_LARGE}]
FIGURES = [
    "accuracy",
    "generalization_gap",
    "training_curves",
    "weight_mean",
    "weight_std",
    *[f"histograms-{study}-init" for study in config["studies"]],
    *[f"histograms-{study}-trained" for study in TRAINED],
    "in_degree",
    "weight_spectra",
    *(
        ["qmap", "qmap_theory", "qmap_ladder", "qmap_fixed_point", "chi", "cmap", "isometry"]
        if FULLY_CONNECTED + CONVOLUTIONAL
        else []
    ),
    *(["qmap_trained"] if set(TRAINED) - set(RESIDUAL) else []),
    *(["jacobian_spectrum", "ntk"] if FULLY_CONNECTED else []),
    "gradients",
    *(["change"] if "change_spectra" in MEASURED else []),
    *(["residual"] if RESIDUAL else []),
    *(["zero_shot"] if ANY_ARM else []),
    *[name for name in ("std_experiment", "variance_adjusted") if len(SHOWN[name]) > 1],
    *(["bimodal_cdf"] if BIMODAL else []),
    *(["bimodal_accuracy"] if len(SHOWN["bimodal"]) > 1 else []),
    *(["predictors"] if PREDICTING else []),
]


wildcard_constraints:
    study=any_of(config["studies"]),
    seed=r"0|[1-9]\d*",
    round=r"\d\d",
    arm=any_arm_of(WITH_FACTORIAL["arms"]),
    state="init|trained",
