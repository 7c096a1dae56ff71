# Needs: tickets of any arm, a prepared data set.
# Makes: trained networks with their history; theta_k for late rewinding.


rule train:
    """Train a ticket by its own spec; an interrupted run continues where it was."""
    input:
        ticket="<results>/checkpoints/{study}/seed{seed}/round{round}/{arm}/ticket.h5",
        dataset=DATASET,
    output:
        trained="<results>/checkpoints/{study}/seed{seed}/round{round}/{arm}/trained.h5",
    log:
        "<logs>/train/{study}/seed{seed}/round{round}/{arm}.log",
    benchmark:
        "<benchmarks>/train/{study}/seed{seed}/round{round}/{arm}.tsv"
    conda:
        "../../envs/train.yaml"
    threads: lambda wildcards: PLAN.specs[wildcards.study].training.threads
    resources:
        mem_mb=lambda wildcards: memory_to_train(PLAN.specs[wildcards.study]),
        runtime=lambda wildcards, attempt: attempt * minutes_to_train(PLAN.specs[wildcards.study]),
        gpu=lambda wildcards: int(PLAN.specs[wildcards.study].training.device == "cuda"),
    params:
        code=code("train"),
    script:
        "../scripts/train.py"


use rule train as train_keeping_theta_k with:
    """Train the dense ticket, and keep theta_k for late rewinding."""
    output:
        trained="<results>/checkpoints/{study}/seed{seed}/round{round}/{arm}/trained.h5",
        theta_k="<results>/checkpoints/{study}/seed{seed}/round{round}/{arm}/theta_k.h5",
    wildcard_constraints:
        study=any_of(PLAN.late),
        round="00",
        arm="imp",


ruleorder: train_keeping_theta_k > train
