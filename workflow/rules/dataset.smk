# Needs: images (embedded, a folder or zip, or torchvision's CIFAR-10).
# Makes: resources/{dataset}.h5, split, shuffled and fingerprinted.


def dataset_files(wildcards):
    """Archive that the data set is made from, if it is one file; a folder cannot be an input.

    Ancient, as `dataset_images` has its bytes: a copy with a newer time would train all anew.
    """
    path = config["dataset"]["path"]
    return ancient(path) if os.path.isfile(path) else []


def dataset_images(wildcards):
    """Digest of the images or their archive: a rerun trigger."""
    path, source = config["dataset"]["path"], config["dataset"]["source"]
    if not os.path.exists(path) or source in PUBLISHED:
        return ""
    return idx_digest(path) if source == "idx" else images_digest(path)


rule prepare_dataset:
    """Split images into train, validation and test; shuffle; normalisation constants."""
    input:
        archive=dataset_files,
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
        files=dataset_images,
        split=dataset_split(config),
    script:
        "../scripts/prepare_dataset.py"
