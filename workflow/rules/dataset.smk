# Needs: images (embedded, a folder or zip, or torchvision's CIFAR-10).
# Makes: resources/{dataset}.h5, split, shuffled and fingerprinted.


rule prepare_dataset:
    """Split images into train, validation and test; shuffle; normalisation constants."""
    input:
        # If it is one file; a folder cannot be an input. Ancient, as the params have a digest of its
        # bytes: a copy with a newer time would train all anew.
        archive=[ancient(path) for path in [config["dataset"]["path"]] if os.path.isfile(path)],
    output:
        dataset=DATASET,
    log:
        "<logs>/prepare_dataset.log",
    benchmark:
        "<benchmarks>/prepare_dataset.tsv"
    # First of all, so that a run without images fails at once.
    priority: 100
    conda:
        "../../envs/train.yaml"
    resources:
        mem_mb=2500,
    params:
        code=code("prepare_dataset"),
        name=config["dataset"]["name"],
        source=config["dataset"]["source"],
        path=lambda wildcards: config["dataset"]["path"],
        files=lambda wildcards: source_digest(config["dataset"]),
        split=dataset_split(config),
    script:
        "../scripts/prepare_dataset.py"
