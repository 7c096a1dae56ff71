# Needs: IMP tickets, theta, and what an arm's sources draw on.
# Makes: the tickets of all arms but imp; `train` and the measuring rules take them from there.


localrules:
    construct,


rule construct:
    """Make the ticket of an arm: its mask source's mask, its weight source's weights."""
    input:
        unpack(material),
    output:
        ticket="<results>/checkpoints/{study}/seed{seed}/round{round}/{arm}/ticket.h5",
    log:
        "<logs>/construct/{study}/seed{seed}/round{round}/{arm}.log",
    wildcard_constraints:
        arm=any_arm_of([name for name, arm in RECIPES.items() if arm.mask not in SALIENCIES]),
    conda:
        "../../envs/analyse.yaml"
    resources:
        mem_mb=1000,
    params:
        code=code("construct"),
        arm=recipe,
    script:
        "../scripts/construct.py"


rule construct_with_saliency:
    """Make the ticket of an arm whose mask needs gradients: SNIP, GraSP, SynFlow."""
    input:
        unpack(material),
    output:
        ticket="<results>/checkpoints/{study}/seed{seed}/round{round}/{arm}/ticket.h5",
    log:
        "<logs>/construct/{study}/seed{seed}/round{round}/{arm}.log",
    wildcard_constraints:
        arm=any_arm_of([name for name, arm in RECIPES.items() if arm.mask in SALIENCIES]),
    conda:
        "../../envs/train.yaml"
    resources:
        mem_mb=3000,
    params:
        code=code("construct_with_saliency"),
        arm=recipe,
    script:
        "../scripts/construct_with_saliency.py"
