# Targets by stage and by kind of network; `rule all` is in the Snakefile.


localrules:
    figures,
    tables,
    fcnet,
    convnet,
    resnet,
    arms,
    conv_arms,
    bank,
    bank_so_far,


rule figures:
    """All figures."""
    input:
        PLAN.outputs["figures"],


rule tables:
    """All tidy tables, without figures."""
    input:
        PLAN.outputs["tables"],


rule fcnet:
    """All chains of the fully connected studies, trained."""
    input:
        PLAN.chains("trained.h5", PLAN.trained_of("dense")),


rule convnet:
    """All chains of the convolutional studies, trained."""
    input:
        PLAN.chains("trained.h5", PLAN.trained_of("conv")),


rule resnet:
    """All chains of the residual studies, trained."""
    input:
        PLAN.chains("trained.h5", PLAN.trained_of("blocks")),


rule arms:
    """All arms of all studies, trained."""
    input:
        PLAN.of_arms("trained.h5", config["studies"]),


rule conv_arms:
    """Arms of the convolutional studies, trained: no part of `all`."""
    input:
        PLAN.of_conv_arms("trained.h5"),


rule bank:
    """Ticket bank: each finished chain as one small file."""
    input:
        packing.banks(PLAN, "<bank>", BANK),


rule bank_so_far:
    """Each chain as far as it is trained, in <results>/bank-so-far; see `tickets: continue`."""
    input:
        so_far.under_way(PLAN, "<results>/bank-so-far", f"{config['results']}/bank-so-far"),
