# Needs: a prepared data set, trained networks.
# Makes: tickets (init, prune, rewind) and the ticket bank (export, rebuild).


localrules:
    init,
    prune,
    rewind,
    rebuild,
    export_bank,


rule init:
    """Draw theta_0: the dense ticket of round 0."""
    input:
        dataset=DATASET,
    output:
        ticket="<results>/checkpoints/{study}/seed{seed}/round00/imp/ticket.h5",
    log:
        "<logs>/init/{study}/seed{seed}.log",
    wildcard_constraints:
        study=any_of(PLAN.trained),
    conda:
        "../../envs/analyse.yaml"
    params:
        code=code("init"),
        determines=lambda wildcards: PLAN.specs[wildcards.study].of_round(0).to_json(),
        # The file says how the study is pruned, too. That is no reason to draw theta_0 anew:
        # Snakemake compares no params that are made from outputs.
        spec=lambda wildcards, output: PLAN.specs[wildcards.study].to_json(),
    script:
        "../scripts/init.py"


rule prune:
    """Remove the share of kept weights that the criterion ranks lowest."""
    input:
        trained=material.of_round_before(PLAN, "trained.h5"),
        ticket=material.of_round_before(PLAN, "ticket.h5"),
    output:
        mask="<results>/checkpoints/{study}/seed{seed}/round{round}/imp/mask.h5",
    log:
        "<logs>/prune/{study}/seed{seed}/round{round}.log",
    wildcard_constraints:
        study=any_of(PLAN.trained),
        round=r"(?!00)\d\d",
    conda:
        "../../envs/analyse.yaml"
    params:
        code=code("prune"),
        spec=lambda wildcards: PLAN.specs[wildcards.study].to_json(),
    script:
        "../scripts/prune.py"


rule rewind:
    """Put theta_0 (or theta_k) on the mask: the ticket of this round."""
    input:
        mask="<results>/checkpoints/{study}/seed{seed}/round{round}/imp/mask.h5",
        theta=lambda wildcards: material.theta(PLAN, wildcards.study, wildcards.seed),
    output:
        ticket="<results>/checkpoints/{study}/seed{seed}/round{round}/imp/ticket.h5",
    log:
        "<logs>/rewind/{study}/seed{seed}/round{round}.log",
    wildcard_constraints:
        study=any_of(PLAN.trained),
        round=r"(?!00)\d\d",
    conda:
        "../../envs/analyse.yaml"
    params:
        code=code("rewind"),
    script:
        "../scripts/rewind.py"


rule export_bank:
    """Pack a finished chain into one small file that needs no checkpoint."""
    input:
        ticket="<results>/checkpoints/{study}/seed{seed}/round00/imp/ticket.h5",
        masks=lambda wildcards: PLAN.chain("mask.h5", wildcards.study, wildcards.seed, 1),
        trained=lambda wildcards: PLAN.chain("trained.h5", wildcards.study, wildcards.seed),
    output:
        bank="<bank>/{study}/seed{seed}.h5",
    log:
        "<logs>/export_bank/{study}/seed{seed}.log",
    wildcard_constraints:
        study=any_of(PLAN.trained),
    conda:
        "../../envs/analyse.yaml"
    params:
        code=code("export_bank"),
    script:
        "../scripts/export_bank.py"


rule rebuild:
    """Make a ticket from the bank, without training (studies with `tickets: bank`)."""
    input:
        bank=f"{SHIPPED_BANK}/{{study}}/seed{{seed}}.h5",
    output:
        ticket="<results>/checkpoints/{study}/seed{seed}/round{round}/imp/ticket.h5",
    log:
        "<logs>/rebuild/{study}/seed{seed}/round{round}.log",
    wildcard_constraints:
        study=any_of(PLAN.banked),
    conda:
        "../../envs/analyse.yaml"
    params:
        code=code("rebuild"),
        spec=lambda wildcards: PLAN.specs[wildcards.study].to_json(),
    script:
        "../scripts/rebuild.py"
