# Targets by stage and by kind of network; `rule all` is in the Snakefile.


localrules:
    figures,
    tables,
    fcnet,
    convnet,
    resnet,
    arms,
    bank,


rule figures:
    """All figures."""
    input:
        figures(),


rule tables:
    """All tidy tables, without figures."""
    input:
        tables(),


rule fcnet:
    """All chains of the fully connected studies, trained."""
    input:
        of_studies("trained.h5", [study for study in FULLY_CONNECTED if study in TRAINED]),


rule convnet:
    """All chains of the convolutional studies, trained."""
    input:
        of_studies("trained.h5", [study for study in CONVOLUTIONAL if study in TRAINED]),


rule resnet:
    """All chains of the residual studies, trained."""
    input:
        of_studies("trained.h5", [study for study in RESIDUAL if study in TRAINED]),


rule arms:
    """All arms of all studies, trained."""
    input:
        of_arms("checkpoints", "trained.h5", config["studies"]),


rule bank:
    """Ticket bank: each finished chain as one small file."""
    input:
        banks([study for study in TRAINED if study not in LATE], "<bank>"),
