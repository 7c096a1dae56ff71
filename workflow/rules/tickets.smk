# Needs: a prepared data set, trained networks.
# Makes: tickets (init, prune, rewind) and the ticket bank (export, rebuild).


rule init:
    """Draw theta_0: the dense ticket of round 0."""
    input:
        dataset=DATASET,
    output:
        ticket=CHAIN + "/round00/imp/ticket.h5",
    params:
        code=code("init"),
        spec=lambda wildcards: study_spec(wildcards.study).to_json(),
    wildcard_constraints:
        study=any_of(TRAINED),
    log:
        "<logs>/init/{study}/seed{seed}.log",
    conda:
        "../../envs/analyse.yaml"
    script:
        "../scripts/init.py"


rule prune:
    """Remove the share of kept weights that the criterion ranks lowest."""
    input:
        trained=before("trained.h5"),
        ticket=before("ticket.h5"),
    output:
        mask=CHAIN + "/round{round}/imp/mask.h5",
    params:
        code=code("prune"),
    wildcard_constraints:
        study=any_of(TRAINED),
        round=r"(?!00)\d\d",
    log:
        "<logs>/prune/{study}/seed{seed}/round{round}.log",
    conda:
        "../../envs/analyse.yaml"
    script:
        "../scripts/prune.py"


rule rewind:
    """Put theta_0 (or theta_k) on the mask: the ticket of this round."""
    input:
        mask=CHAIN + "/round{round}/imp/mask.h5",
        theta=theta,
    output:
        ticket=CHAIN + "/round{round}/imp/ticket.h5",
    params:
        code=code("rewind"),
    wildcard_constraints:
        study=any_of(TRAINED),
        round=r"(?!00)\d\d",
    log:
        "<logs>/rewind/{study}/seed{seed}/round{round}.log",
    conda:
        "../../envs/analyse.yaml"
    script:
        "../scripts/rewind.py"


rule export_bank:
    """Pack a finished chain into one small file that needs no checkpoint."""
    input:
        ticket=CHAIN + "/round00/imp/ticket.h5",
        masks=lambda wildcards: of_chain(
            CHECKPOINT + "/mask.h5", wildcards.study, wildcards.seed, first=1
        ),
        trained=lambda wildcards: of_chain(
            CHECKPOINT + "/trained.h5", wildcards.study, wildcards.seed
        ),
    output:
        bank=BANK + "/{study}/seed{seed}.h5",
    params:
        code=code("export_bank"),
    wildcard_constraints:
        study=any_of(TRAINED),
    log:
        "<logs>/export_bank/{study}/seed{seed}.log",
    conda:
        "../../envs/analyse.yaml"
    script:
        "../scripts/export_bank.py"


rule rebuild:
    """Make a ticket from the bank, without training (studies with `tickets: bank`)."""
    input:
        bank=BANK + "/{study}/seed{seed}.h5",
    output:
        ticket=CHAIN + "/round{round}/imp/ticket.h5",
    params:
        code=code("rebuild"),
    wildcard_constraints:
        study=any_of(BANKED),
    log:
        "<logs>/rebuild/{study}/seed{seed}/round{round}.log",
    conda:
        "../../envs/analyse.yaml"
    script:
        "../scripts/rebuild.py"
