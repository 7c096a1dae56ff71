# Needs: a prepared data set, trained networks.
# Makes: tickets (init, prune, rewind or inherit; adopt) and the ticket bank (export, rebuild).


rule init:
    """Draw theta_0: the dense ticket of round 0."""
    input:
        dataset=DATASET,
    output:
        ticket="<results>/checkpoints/{study}/seed{seed}/round00/imp/ticket.h5",
    log:
        "<logs>/init/{study}/seed{seed}.log",
    wildcard_constraints:
        study=any_of(PLAN.begun),
    localrule: True
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
    localrule: True
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
        study=any_of(PLAN.rewound),
        round=r"(?!00)\d\d",
    localrule: True
    conda:
        "../../envs/analyse.yaml"
    params:
        code=code("rewind"),
    script:
        "../scripts/rewind.py"


use rule rewind as inherit with:
    """Keep the trained weights on the mask: the ticket where pruning.rewind is schedule or none."""
    input:
        mask="<results>/checkpoints/{study}/seed{seed}/round{round}/imp/mask.h5",
        trained=material.of_round_before(PLAN, "trained.h5"),
    log:
        "<logs>/inherit/{study}/seed{seed}/round{round}.log",
    wildcard_constraints:
        study=any_of(PLAN.inheriting),
        round=r"(?!00)\d\d",


rule export_bank:
    """Pack a finished chain into one small file that needs no checkpoint."""
    input:
        unpack(packing.of_chain(PLAN)),
        ticket="<results>/checkpoints/{study}/seed{seed}/round00/imp/ticket.h5",
    output:
        bank="<bank>/{study}/seed{seed}.h5",
    log:
        "<logs>/export_bank/{study}/seed{seed}.log",
    wildcard_constraints:
        study=any_of(PLAN.begun),
    localrule: True
    conda:
        "../../envs/analyse.yaml"
    params:
        code=code("export_bank"),
        may_be_open=False,
    script:
        "../scripts/export_bank.py"


use rule export_bank as export_so_far with:
    """Pack a chain as far as it is trained, and the next ticket: what `tickets: continue` needs."""
    input:
        unpack(so_far.of_chain(PLAN)),
        ticket="<results>/checkpoints/{study}/seed{seed}/round00/imp/ticket.h5",
    output:
        bank="<results>/bank-so-far/{study}/seed{seed}.h5",
    log:
        "<logs>/export_so_far/{study}/seed{seed}.log",
    wildcard_constraints:
        study=any_of(PLAN.trained),
    params:
        code=code("export_bank"),
        may_be_open=True,


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
    localrule: True
    conda:
        "../../envs/analyse.yaml"
    params:
        code=code("rebuild"),
        spec=lambda wildcards: PLAN.specs[wildcards.study].to_json(),
    script:
        "../scripts/rebuild.py"


use rule rebuild as go_on with:
    """Make a ticket of a chain that continues from the bank: rebuilt, or theta_0 on a new mask."""
    input:
        bank=f"{SHIPPED_BANK}/{{study}}/seed{{seed}}.h5",
        mask=so_far.of_next_ticket(PLAN),
    log:
        "<logs>/go_on/{study}/seed{seed}/round{round}.log",
    wildcard_constraints:
        study=any_of(PLAN.continued),


rule adopt:
    """Take a ticket from a file of another system (studies with `tickets: files`)."""
    input:
        files=lambda wildcards: material.foreign_files_of(PLAN, **wildcards),
        dataset=DATASET,
    output:
        ticket="<results>/checkpoints/{study}/seed{seed}/round{round}/imp/ticket.h5",
    log:
        "<logs>/adopt/{study}/seed{seed}/round{round}.log",
    wildcard_constraints:
        study=any_of(PLAN.filed),
    localrule: True
    conda:
        "../../envs/train.yaml"
    params:
        code=code("adopt"),
        spec=lambda wildcards: PLAN.specs[wildcards.study].to_json(),
        file=lambda wildcards: material.foreign_ticket(PLAN, **wildcards),
        theta=lambda wildcards: material.foreign_theta(PLAN, **wildcards),
        complete=False,
    script:
        "../scripts/adopt.py"


use rule adopt as complete with:
    """Draw the weights off the mask, where arms need a theta_0 that no file has."""
    log:
        "<logs>/complete/{study}/seed{seed}/round{round}.log",
    wildcard_constraints:
        study=any_of(PLAN.completed),
        round="00",
    params:
        code=code("adopt"),
        spec=lambda wildcards: PLAN.specs[wildcards.study].to_json(),
        file=lambda wildcards: material.foreign_ticket(PLAN, **wildcards),
        theta=None,
        complete=True,


ruleorder: complete > adopt
