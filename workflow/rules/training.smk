# Needs: tickets of any arm, a prepared data set.
# Makes: trained networks with their history; theta_k for late rewinding.


rule train:
    """Train a ticket by its own spec; an interrupted run goes on where it was."""
    input:
        ticket=CHECKPOINT + "/ticket.h5",
        dataset=DATASET,
    output:
        trained=CHECKPOINT + "/trained.h5",
    params:
        code=code("train"),
    log:
        "<logs>/train/{study}/seed{seed}/round{round}/{arm}.log",
    benchmark:
        "<benchmarks>/train/{study}/seed{seed}/round{round}/{arm}.tsv"
    threads: lambda wildcards: study_spec(wildcards.study).training.threads
    resources:
        mem_mb=2500,
        runtime=lambda wildcards, attempt: 240 * attempt,
    conda:
        "../../envs/train.yaml"
    script:
        "../scripts/train.py"


use rule train as train_keeping_theta_k with:
    output:
        trained=CHAIN + "/round{round}/{arm}/trained.h5",
        theta_k=CHAIN + "/round{round}/{arm}/theta_k.h5",
    wildcard_constraints:
        study=any_of(LATE),
        round="00",
        arm="imp",


ruleorder: train_keeping_theta_k > train
