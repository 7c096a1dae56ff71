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
    wildcard_constraints:
        study=any_of(stacks.alone(PLAN)),
    conda:
        "../../envs/train.yaml"
    threads: lambda wildcards: PLAN.threads[wildcards.study]
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
        study=any_of(study for study in PLAN.late if study in stacks.alone(PLAN)),
        round="00",
        arm="imp",


ruleorder: train_keeping_theta_k > train


# Studies with `training.kernel: stacked`: all that train alike in a round of the chains are one job, all of its
# arms another.
for stack in stacks.stacks(PLAN):

    rule:
        name:
            stack.name
        input:
            tickets=[PLAN.checkpoint(*one, "ticket.h5") for one in stack.trainings],
            dataset=DATASET,
        output:
            trained=[PLAN.checkpoint(*one, "trained.h5") for one in stack.trainings],
            theta_k=[PLAN.checkpoint(*one, "theta_k.h5") for one in stack.keeping_theta_k],
        log:
            f"<logs>/train_stacked/{stack.name}.log",
        conda:
            "../../envs/train.yaml"
        # for files, which are compressed: the networks train in one
        threads: min(8, len(stack.trainings))
        resources:
            mem_mb=2500 + 60 * len(stack.trainings),
            runtime=lambda wildcards, attempt: attempt * 240,
            gpu=int(PLAN.specs[stack.study].training.device != "cpu"),
        params:
            code=code("train_stacked", of_study=stack.study),
        script:
            "../scripts/train_stacked.py"

    documented(stack.name, f"Train {len(stack.trainings)} networks together.")
