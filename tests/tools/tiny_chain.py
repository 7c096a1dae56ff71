"""A tiny chain with the installed package: `python tiny_chain.py FOLDER`; see `make test-install`.

Images, a ticket, training, pruning, rewinding, training again, the bank; what is measured becomes
tables and a figure. Every library of `dependencies` but tqdm's progress bars has something to do.
Nothing of the repository is imported.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import ticketlens
from ticketlens.checkpoint import Checkpoint, read, write
from ticketlens.figures.saving import save
from ticketlens.figures.signal import qmap
from ticketlens.files.csv_tables import concatenated, read_table, write_csv, write_rows
from ticketlens.files.dataset import PreparedDataset, images_of, prepare
from ticketlens.spec import NetworkSpec, Spec, TrainingSpec
from ticketlens.tables.jacobian import measure_jacobian
from ticketlens.tables.signal import measure_ladder, measure_signal
from ticketlens.tables.signal_conv import measure_signal as measure_signal_conv
from ticketlens.tables.weights import measure_weights
from ticketlens.tickets.bank import export, read_bank, ticket
from ticketlens.tickets.initialization import initial_layers
from ticketlens.tickets.pruning import prune
from ticketlens.tickets.random_weights import check_theta, rewind
from ticketlens.training.loop import train
from ticketlens.verdicts.inference import holm

ROUNDS = 2
VERSIONS = ("numpy", "h5py", "torch", "pandas", "scipy", "statsmodels", "matplotlib", "snakemake")
NETWORKS = {
    "fcnet": NetworkSpec(hidden_layers=2, width=16),
    "convnet": NetworkSpec(family="convolutional", hidden_layers=2, width=4),
}


def draw_images(folder: Path) -> Path:
    """Write noise of two brightnesses as {train,test}/<class>/N.png."""
    rng = np.random.default_rng(0)
    for part, count in (("train", 30), ("test", 6)):
        for label in range(2):
            (folder / part / "ab"[label]).mkdir(parents=True)
            for number in range(count):
                pixels = rng.integers(0, 160, (6, 6, 3)) + 60 * label
                image = Image.fromarray(pixels.astype(np.uint8))
                image.save(folder / part / "ab"[label] / f"{number}.png")
    return folder


def run_chain(folder: Path, name: str, data: PreparedDataset) -> list[Path]:
    """Train, prune and rewind; return the files of the tickets, whose bank rebuilds each."""
    spec = Spec(NETWORKS[name], training=TrainingSpec(epochs=2, batch_size=10), dataset=data.spec)
    theta = Checkpoint("ticket", name, 0, 0, "imp", spec, initial_layers(spec, 0))
    tickets, trained, masks = [keep(folder, theta)], [], []
    for number in range(1, ROUNDS + 2):
        start = read(tickets[-1], kind="ticket")
        trained.append(keep(folder, train(start, data)[0]))
        if number > ROUNDS:
            break
        network = read(trained[-1], kind="trained")
        found = prune(network.layers, start.layers, spec.pruning, 0, number)
        nothing: Any = None
        layers = tuple(
            replace(layer, weight=nothing, bias=nothing, mask=mask)
            for layer, mask in zip(start.layers, found, strict=True)
        )
        mask = replace(theta, kind="mask", round=number, layers=layers)
        masks.append(keep(folder, mask))
        check_theta(read(masks[-1], kind="mask"), theta)
        rewound = rewind(found, theta.layers)
        tickets.append(keep(folder, replace(mask, kind="ticket", layers=rewound)))
    export(folder / f"{name}.h5", tickets[0], masks, trained)
    bank = read_bank(folder / f"{name}.h5")
    for number, path in enumerate(tickets):
        assert ticket(bank, number).content_sha256 == read(path).content_sha256, path
    return tickets


def keep(folder: Path, checkpoint: Checkpoint) -> Path:
    """Write a checkpoint into its place; return the path."""
    place = f"checkpoints/{checkpoint.study}/seed{checkpoint.seed}/round{checkpoint.round:02d}/imp"
    path = folder / place / f"{checkpoint.kind}.h5"
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path, checkpoint)
    return path


def measure(folder: Path, tickets: Sequence[Path], data: PreparedDataset) -> None:
    """Measure every ticket, gather the tables, and draw one of them."""
    rows: dict[str, list[Path]] = {}
    for path in tickets:
        found = read(path)
        images = images_of(found.spec.dataset, data.path)
        is_conv = found.spec.network.family == "convolutional"
        measured = [
            (measure_signal_conv if is_conv else measure_signal)(found, images),
            measure_ladder(found, images),
            measure_weights(found, found),
            {} if is_conv else measure_jacobian(found, images[:2], images[:8]),
        ]
        for table, made in [item for one in measured for item in one.items()]:
            if not callable(made):
                place = path.parent / "init"
                place.mkdir(exist_ok=True)
                rows.setdefault(table, []).append(place / f"{table}.csv")
                write_rows(rows[table][-1], made)
    study = read(tickets[0]).study
    for table, files in rows.items():
        write_csv(folder / f"{study}-{table}.csv", concatenated(files))
    table = read_table(folder / f"{study}-qmap.csv")
    assert len(table) == 2 * len(tickets) and (table["q"] > 0).all(), table
    save(qmap(table, {study: study}), folder / f"{study}.png", folder / f"{study}.pdf")


def main(folder: Path) -> None:
    """Run both chains, and say what was made with which versions."""
    source = Path(ticketlens.__file__)
    assert "site-packages" in source.parts, f"{source} is not an installed package"
    data = prepare(folder / "tiny.h5", "tiny", "folder", draw_images(folder / "images"), 20)
    for name in NETWORKS:
        measure(folder, run_chain(folder, name, data), data)
    verdicts = holm({"a": 0.01, "b": 0.2})
    assert verdicts["a"].rejected and not verdicts["b"].rejected
    made = sorted(path.name for path in folder.iterdir() if path.is_file())
    print(f"two chains of {ROUNDS} rounds, measured: {', '.join(made)}")
    print("with " + ", ".join(f"{name} {version(name)}" for name in VERSIONS))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
