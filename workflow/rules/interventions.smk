# Needs: IMP tickets, theta, and what an arm's sources draw on.
# Makes: the tickets of all arms but imp; `train` and the measuring rules take them from there.


localrules:
    construct,


rule construct:
    """Make the ticket of an arm: its mask source's mask, its weight source's weights."""
    input:
        unpack(material.of_arm(PLAN, DATASET)),
    output:
        ticket="<results>/checkpoints/{study}/seed{seed}/round{round}/{arm}/ticket.h5",
    log:
        "<logs>/construct/{study}/seed{seed}/round{round}/{arm}.log",
    wildcard_constraints:
        arm=any_arm_of(
            [name for name, arm in PLAN.all_arms.items() if arm.mask not in SALIENCIES],
            config["arms"],
        ),
    conda:
        "../../envs/analyse.yaml"
    resources:
        mem_mb=1000,
    params:
        code=code("construct"),
        arm=lambda wildcards: PLAN.recipe(wildcards.arm),
    script:
        "../scripts/construct.py"


rule construct_with_saliency:
    """Make the ticket of an arm whose mask needs gradients: SNIP, GraSP, SynFlow."""
    input:
        unpack(material.of_arm(PLAN, DATASET)),
    output:
        ticket="<results>/checkpoints/{study}/seed{seed}/round{round}/{arm}/ticket.h5",
    log:
        "<logs>/construct/{study}/seed{seed}/round{round}/{arm}.log",
    wildcard_constraints:
        arm=any_arm_of(
            [name for name, arm in PLAN.all_arms.items() if arm.mask in SALIENCIES], config["arms"]
        ),
    conda:
        "../../envs/train.yaml"
    resources:
        mem_mb=3000,
    params:
        code=code("construct_with_saliency"),
        arm=lambda wildcards: PLAN.recipe(wildcards.arm),
    script:
        "../scripts/construct_with_saliency.py"
