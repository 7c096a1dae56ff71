"""The ticket bank: a finished chain as one small file, from which every ticket is rebuilt.

Per weight the round that removed it, the spec, the seed and the SHA-256 of theta_0; theta_0 itself
is drawn again from the seed. The histories of the runs come along, so that accuracies outlive the
checkpoints. Format: root attributes format, format_version, study, seed, rounds, spec, spec_sha256,
theta_0_sha256; `/layers/NN-name/removed_in` uint8 of the weight's shape (0: never removed, r: off
from round r on); `/history/roundNN/…` as in a trained network's file.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from ticketlens.atomic import replacing
from ticketlens.checkpoint import Checkpoint, Layer, RunSummary, read, read_summary
from ticketlens.initialization import initial_layers, theta_sha256
from ticketlens.masks import check_nested
from ticketlens.spec import Spec
from ticketlens.weights import rewind

FORMAT = "ticketlens-bank"
FORMAT_VERSION = 1


class BankError(ValueError):
    """A bank file is damaged or foreign, or its chain cannot be rebuilt here."""


@dataclass(frozen=True)
class Bank:
    """A chain: `removed_in` maps a layer's name to the uint8 array of removal rounds."""

    study: str
    seed: int
    rounds: int
    spec: Spec
    theta_0_sha256: str
    removed_in: dict[str, np.ndarray]
    histories: tuple[dict[str, np.ndarray], ...]


def export(
    output: str | os.PathLike,
    dense_ticket: str | os.PathLike,
    masks: Sequence[str | os.PathLike],
    trained: Sequence[str | os.PathLike],
) -> Bank:
    """Write the chain of `dense_ticket` (round 0), `masks` (rounds 1…n), `trained` (0…n).

    Raises BankError for a chain with late rewinding (theta_k needs training) or files that are not
    one chain, InvariantError if masks are not nested.
    """
    ticket = read(dense_ticket, kind="ticket")
    if ticket.spec.pruning.rewind_epoch:
        raise BankError(
            f"{dense_ticket}: rewinds to epoch {ticket.spec.pruning.rewind_epoch}; the bank "
            "rebuilds tickets that rewind to theta_0 only"
        )
    removed_in = {layer.name: np.zeros(layer.mask.shape, np.uint8) for layer in ticket.layers}
    previous = [layer.mask for layer in ticket.layers]
    for number, path in enumerate(masks, start=1):
        mask = read(path, kind="mask")
        if (mask.study, mask.seed, mask.round) != (ticket.study, ticket.seed, number):
            raise BankError(f"{path}: not round {number} of {ticket.study} seed {ticket.seed}")
        current = [layer.mask for layer in mask.layers]
        check_nested(previous, current, list(removed_in))
        for name, old, new in zip(removed_in, previous, current, strict=True):
            removed_in[name][old & ~new] = number
        previous = current
    bank = Bank(
        ticket.study,
        ticket.seed,
        len(masks),
        ticket.spec,
        theta_sha256(ticket.layers),
        removed_in,
        tuple(dict(read_summary(path).history) for path in trained),
    )
    if theta_sha256(theta_0(bank)) != bank.theta_0_sha256:
        raise BankError(f"{dense_ticket}: is not the theta_0 that its seed and spec draw")
    _write(output, bank)
    return bank


def read_bank(path: str | os.PathLike) -> Bank:
    """Read a bank file. Raises BankError, naming it, if it is missing, damaged or foreign."""
    path = Path(path)
    if not path.is_file():
        raise BankError(f"{path}: no such file; chains are exported by `snakemake bank`")
    try:
        with h5py.File(path, "r") as file:
            if file.attrs["format"] != FORMAT or file.attrs["format_version"] != FORMAT_VERSION:
                raise BankError(f"{path}: not a ticket bank of version {FORMAT_VERSION}")
            rounds = int(file.attrs["rounds"])
            bank = Bank(
                study=str(file.attrs["study"]),
                seed=int(file.attrs["seed"]),
                rounds=rounds,
                spec=Spec.from_json(file.attrs["spec"]),
                theta_0_sha256=str(file.attrs["theta_0_sha256"]),
                removed_in={
                    key.partition("-")[2]: file[f"layers/{key}/removed_in"][()]
                    for key in sorted(file["layers"])
                },
                histories=tuple(
                    {key: item[()] for key, item in file[f"history/round{number:02d}"].items()}
                    for number in range(rounds + 1)
                ),
            )
            if bank.spec.sha256 != file.attrs["spec_sha256"]:
                raise BankError(f"{path}: spec does not match its SHA-256")
    except BankError:
        raise
    except (OSError, KeyError, RuntimeError, ValueError, TypeError) as error:
        raise BankError(f"{path}: damaged ({type(error).__name__}: {error})") from error
    return bank


def theta_0(bank: Bank) -> tuple[Layer, ...]:
    """Draw the chain's initial weights again."""
    return initial_layers(bank.spec, bank.seed)


def ticket(bank: Bank, round_: int) -> Checkpoint:
    """Rebuild the ticket of round `round_`, as the chain's own rules made it.

    Raises BankError for a round that the bank does not hold, or if theta_0, drawn again, has
    another SHA-256: then the ticket's masks do not belong to these weights.
    """
    if not 0 <= round_ <= bank.rounds:
        raise BankError(
            f"bank of {bank.study} seed {bank.seed} holds rounds 0 to {bank.rounds}, not {round_}"
        )
    theta = theta_0(bank)
    found = theta_sha256(theta)
    if found != bank.theta_0_sha256:
        raise BankError(
            f"bank of {bank.study} seed {bank.seed}: theta_0 drawn here has SHA-256 {found[:12]}…, "
            f"the chain's had {bank.theta_0_sha256[:12]}…; refusing to rebuild a mismatched ticket"
        )
    masks = [removed_mask(bank.removed_in[layer.name], round_) for layer in theta]
    layers = rewind(masks, theta)
    return Checkpoint("ticket", bank.study, bank.seed, round_, "imp", bank.spec, layers)


def removed_mask(removed_in: np.ndarray, round_: int) -> np.ndarray:
    """Return the mask of a round: weights never removed, or removed later."""
    return (removed_in == 0) | (removed_in > round_)


def read_summaries(path: str | os.PathLike) -> list[RunSummary]:
    """Return the runs of a bank file for the tables. Raises as `read_bank`."""
    bank = read_bank(path)
    return [
        RunSummary(
            bank.study,
            bank.seed,
            number,
            "imp",
            bank.spec,
            {
                name: (int(np.count_nonzero(removed_mask(removed, number))), removed.size)
                for name, removed in bank.removed_in.items()
            },
            history,
        )
        for number, history in enumerate(bank.histories)
    ]


def _write(output: str | os.PathLike, bank: Bank) -> None:
    packed = {"compression": "gzip", "compression_opts": 9, "fletcher32": True}
    with replacing(output) as temporary, h5py.File(temporary, "w", libver="latest") as file:
        file.attrs.update(
            format=FORMAT,
            format_version=FORMAT_VERSION,
            study=bank.study,
            seed=bank.seed,
            rounds=bank.rounds,
            spec=bank.spec.to_json(),
            spec_sha256=bank.spec.sha256,
            theta_0_sha256=bank.theta_0_sha256,
        )
        for number, (name, removed) in enumerate(bank.removed_in.items()):
            file.create_dataset(f"layers/{number:02d}-{name}/removed_in", data=removed, **packed)
        for number, history in enumerate(bank.histories):
            group = file.create_group(f"history/round{number:02d}")
            for key, values in history.items():
                group.create_dataset(key, data=np.atleast_1d(values), **packed)
