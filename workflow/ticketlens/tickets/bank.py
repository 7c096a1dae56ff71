"""The ticket bank: a chain as one small file, from which every ticket is rebuilt.

Per weight the round that removed it, the spec, the seed and the SHA-256 of theta_0; theta_0 itself
is drawn again from the seed. The histories of the runs come along, so that accuracies outlive the
checkpoints. The few weights whose last bit depends on the machine that draws them are stored
(`initialization.border`). Format: root attributes format, format_version, study, seed, rounds,
spec, spec_sha256, theta_0_sha256; `/layers/NN-name/removed_in` uint8 of the weight's shape (0:
never removed, r: off from round r on) and, where there are any, `border` uint32, the flat indices
of such weights, and `border_values` float32, what they were; `/history/roundNN/…` as in a trained
network's file, of rounds 0 to `rounds`, or of all but the last if that ticket is still to be
trained (root attribute `is_open`, 1).
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ticketlens.checkpoint import Checkpoint, Layer, RunSummary, read, read_summary
from ticketlens.spec import Spec
from ticketlens.tickets.bank_file import (
    MAX_ROUNDS,
    Bank,
    BankError,
    Border,
    _check_rule,  # under its old name: another would run finished jobs again
    border_of,
    reach,
    read_bank,
    removed_mask,
    write_bank,
)
from ticketlens.tickets.initialization import initial_layers, theta_sha256
from ticketlens.tickets.pruning import check_nested
from ticketlens.tickets.random_weights import check_theta, rewind

__all__ = [
    "MAX_ROUNDS", "Bank", "BankError", "Border", "border_of", "check_chain", "check_place",
    "export", "next_ticket", "reach", "read_bank", "removed_mask", "summaries", "theta_0",
    "ticket", "write_bank",
]  # fmt: skip

LARGEST_UNCERTAINTY = 1e-8  # of a weight; about one step of float32 at 0.1


def export(
    output: str | os.PathLike[str],
    dense_ticket: str | os.PathLike[str],
    masks: Sequence[str | os.PathLike[str]],
    trained: Sequence[str | os.PathLike[str]],
    earlier: str | os.PathLike[str] | None = None,
    may_be_open: bool = False,
) -> Bank:
    """Write the chain of `dense_ticket` (round 0), `masks` (rounds 1…n), `trained` (0…n).

    Of a chain that went on from round r of the bank file `earlier`, `masks` are those of rounds
    r+1…n and `trained` those of rounds r…n. If the chain `may_be_open`, the last ticket need not be
    trained. Raises BankError for a chain with late rewinding (theta_k needs training), for files
    that are not one chain, and for tickets that start from trained weights (pruning.rewind). Raises
    InvariantError if masks are not nested or do not follow the pruning rule.
    """
    ticket = read(dense_ticket, kind="ticket")
    if ticket.spec.pruning.rewind_epoch:
        raise BankError(
            f"{dense_ticket}: rewinds to epoch {ticket.spec.pruning.rewind_epoch}; the bank "
            "rebuilds tickets that rewind to theta_0 only"
        )
    if ticket.spec.pruning.rewind != "weights":
        raise BankError(_not_rewound(dense_ticket, ticket.spec))
    start = _nothing_pruned(ticket) if earlier is None else read_bank(earlier)
    if earlier is not None:
        check_chain(start, ticket.study, ticket.seed, ticket.spec)
    removed_in = {name: removed.copy() for name, removed in start.removed_in.items()}
    previous = [removed_mask(removed, start.rounds) for removed in removed_in.values()]
    spec = start.spec  # of the last round, as round 0 has not been pruned
    if masks:
        spec = spec.replace(pruning=read_summary(masks[-1]).spec.pruning)
    if spec.pruning.rewind != "weights":
        raise BankError(_not_rewound(masks[-1], spec))
    for number, path in enumerate(masks, start=start.rounds + 1):
        mask = read(path, kind="mask")
        _check_member(path, mask, ticket, number, spec)
        current = [layer.mask for layer in mask.layers]
        check_nested(previous, current, list(removed_in))
        for name, old, new in zip(removed_in, previous, current, strict=True):
            removed_in[name][old & ~new] = number
        previous = current
    last = start.rounds + len(masks)
    is_short = may_be_open and 0 < len(trained) == len(masks)
    if len(trained) != len(masks) + 1 and not is_short:
        raise BankError(
            f"{len(trained)} trained networks for rounds {start.rounds} to {last}; expected one "
            f"for each round{', or for each but the last' if may_be_open else ''}"
        )
    runs = [read_summary(path) for path in trained]
    for number, (path, run) in enumerate(zip(trained, runs, strict=True), start=start.rounds):
        _check_member(path, run, ticket, number, spec)
    bank = Bank(
        ticket.study,
        ticket.seed,
        last,
        spec,
        theta_sha256(ticket.layers),
        removed_in,
        (*start.histories[: start.rounds], *(dict(run.history) for run in runs)),
        border_of(ticket.layers, spec, ticket.seed),
    )
    if theta_sha256(theta_0(bank)) != bank.theta_0_sha256:
        raise BankError(f"{dense_ticket}: is not the theta_0 that its seed and spec draw")
    if start.theta_0_sha256 != bank.theta_0_sha256:
        raise BankError(f"{dense_ticket}: is not the theta_0 of {earlier}")
    _check_rule(bank)
    write_bank(output, bank)
    return bank


def _nothing_pruned(ticket: Checkpoint) -> Bank:
    removed_in = {layer.name: np.zeros(layer.mask.shape, np.uint8) for layer in ticket.layers}
    digest = theta_sha256(ticket.layers)
    return Bank(ticket.study, ticket.seed, 0, ticket.spec, digest, removed_in, ())


def _not_rewound(path: str | os.PathLike[str], spec: Spec) -> str:
    return (
        f"{path}: pruning.rewind is {spec.pruning.rewind!r}, with which tickets start from trained "
        "weights; the bank rebuilds tickets that rewind to theta_0 only"
    )


def _check_member(
    path: str | os.PathLike[str],
    found: Checkpoint | RunSummary,
    ticket: Checkpoint,
    number: int,
    spec: Spec,
) -> None:
    wanted = (ticket.study, ticket.seed, number, "imp", spec.of_round(number))
    own = found.spec.of_round(number)
    if (found.study, found.seed, found.round, found.arm, own) != wanted:
        raise BankError(
            f"{path}: not round {number} of {ticket.study} seed {ticket.seed}; it holds round "
            f"{found.round} of {found.study} seed {found.seed}, arm {found.arm}"
            + ("" if own == wanted[4] else ", made by another spec")
        )


def check_chain(bank: Bank, study: str, seed: int, spec: Spec) -> None:
    """Assert that `bank` is the chain that a config asks for, data set apart.

    Raises BankError saying what differs: tickets of other settings must not pass for these.
    """
    name = f"bank of {bank.study} seed {bank.seed}"
    check_place(name, bank, study, seed)
    wanted = dataclasses.asdict(spec.replace(dataset=bank.spec.dataset).of_round(bank.rounds))
    for part, values in dataclasses.asdict(bank.spec.of_round(bank.rounds)).items():
        for key, value in values.items():
            if value != wanted[part][key]:
                raise BankError(
                    f"{name}: {part}.{key} is {value!r}, the config says {wanted[part][key]!r}; "
                    "change the config, or train the study (`tickets: train`)"
                )


def check_place(name: str | os.PathLike[str], bank: Bank, study: str, seed: int) -> None:
    """Raise BankError, saying `name`, if the bank is another chain than that of its place."""
    if (bank.study, bank.seed) != (study, seed):
        raise BankError(
            f"{name}: the file holds the chain of {bank.study} seed {bank.seed} and is in the "
            f"place of {study} seed {seed}; put it back in its own"
        )


def theta_0(bank: Bank) -> tuple[Layer, ...]:
    """Draw the chain's initial weights again, the stored ones in their places.

    Raises BankError for a stored weight that is not next to the one drawn here: it was not drawn.
    """
    return tuple(
        _with_border(layer, *bank.border[layer.name]) if layer.name in bank.border else layer
        for layer in initial_layers(bank.spec, bank.seed)
    )


def _with_border(
    layer: Layer, index: npt.NDArray[np.uint32], values: npt.NDArray[np.float32]
) -> Layer:
    weight = layer.weight.copy()
    drawn = weight.flat[index]
    # One step of float32; a weight near 0, whose steps are small, may move by its uncertainty.
    step = np.maximum(np.spacing(abs(drawn)), LARGEST_UNCERTAINTY)
    is_next = abs(values.astype(float) - drawn) <= step  # False for NaN
    if not is_next.all():
        raise BankError(
            f"layer {layer.name}: the stored weight {values[~is_next][0]} is not next to the "
            f"{drawn[~is_next][0]} that is drawn here; restore the bank, or export the chain again"
        )
    weight.flat[index] = values
    return dataclasses.replace(layer, weight=weight)


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


def next_ticket(bank: Bank, mask: Checkpoint) -> Checkpoint:
    """Put theta_0 on the mask of a later round: the chain continues from the bank.

    Raises BankError as `ticket`, InvariantError if the mask is another chain's.
    """
    dense = ticket(bank, 0)
    check_theta(mask, dense)
    layers = rewind([layer.mask for layer in mask.layers], dense.layers)
    return dataclasses.replace(mask, kind="ticket", layers=layers)


def summaries(bank: Bank, rounds: int) -> list[RunSummary]:
    """Return the runs of rounds 0 to `rounds` (none of them: −1) for the tables.

    Raises BankError if the bank has fewer, or if one of them has not been trained.
    """
    name = f"bank of {bank.study} seed {bank.seed}"
    if rounds > bank.rounds:
        raise BankError(f"{name} holds rounds 0 to {bank.rounds}, not {rounds}")
    if rounds >= len(bank.histories):
        raise BankError(
            f"{name}: round {rounds} has not been trained; set pruning.rounds of the study to "
            f"{rounds - 1}, or train on (`tickets: continue`)"
        )
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
        for number, history in enumerate(bank.histories[: rounds + 1])
    ]
