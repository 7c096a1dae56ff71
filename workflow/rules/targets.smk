# Targets by stage and by kind of network; `rule all` is in the Snakefile.


rule figures:
    """All figures."""
    input:
        PLAN.outputs["figures"],
    localrule: True


rule tables:
    """All tidy tables, without figures."""
    input:
        PLAN.outputs["tables"],
    localrule: True


for target, (networks, kind) in TARGETS.items():

    rule:
        name:
            target
        input:
            PLAN.chains("trained.h5", PLAN.trained_of(networks)),
        localrule: True

    documented(target, f"All chains of the {kind} studies, trained.")


rule arms:
    """All arms of all studies, trained."""
    input:
        PLAN.of_arms("trained.h5", config["studies"]),
    localrule: True


rule conv_arms:
    """Arms of the convolutional studies, trained: no part of `all`."""
    input:
        PLAN.of_conv_arms("trained.h5"),
    localrule: True


rule bank:
    """Ticket bank: each finished chain as one small file."""
    input:
        packing.banks(PLAN, "<bank>", BANK),
    localrule: True


rule bank_so_far:
    """Each chain as far as it is trained, in <results>/bank-so-far; see `tickets: continue`."""
    input:
        so_far.under_way(PLAN, "<results>/bank-so-far", f"{config['results']}/bank-so-far"),
    localrule: True
