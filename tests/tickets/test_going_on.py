"""Chains that go on from the bank: the same bits as the uninterrupted chain, or a clear refusal."""

from __future__ import annotations

import shutil
from dataclasses import replace

import h5py
import pytest

from config_tools import merged
from core_tools import edited_copy, same_bits
from ticketlens.checkpoint import read, read_summary, write
from ticketlens.study.config import ConfigError, checked
from ticketlens.study.plan import Plan
from ticketlens.study.so_far import of_chain, of_next_ticket, under_way
from ticketlens.study.trainings import trainings
from ticketlens.tickets import bank
from ticketlens.tickets.bank import BankError, export, read_bank, summaries
from ticketlens.tickets.pruning import prune
from ticketlens.tickets.random_weights import rewind
from ticketlens.training.loop import train

LAST = 3
NETWORKS = {
    "fcnet": {},
    "convnet in bfloat16": {
        "network": {"family": "convolutional", "width": 4},
        "training": {"precision": "bfloat16"},
    },
}


def mask_of(trained, ticket):
    """Return the mask of the next round, as the rule `prune` makes it."""
    number = trained.round + 1
    found = prune(trained.layers, ticket.layers, trained.spec.pruning, trained.seed, number)
    layers = tuple(
        replace(layer, weight=None, bias=None, mask=mask)
        for layer, mask in zip(ticket.layers, found, strict=True)
    )
    return replace(ticket, kind="mask", round=number, layers=layers, history={})


@pytest.fixture(scope="module", params=NETWORKS.values(), ids=NETWORKS)
def chain(request, make_ticket, prepared, tmp_path_factory):
    """Return the folder of a chain that was trained without a break, files by round and kind."""
    folder = tmp_path_factory.mktemp("chain")
    ticket = theta = make_ticket(seed=5, **request.param)
    for number in range(LAST + 1):
        write(folder / f"ticket{number}.h5", ticket)
        trained, _ = train(ticket, prepared)
        write(folder / f"trained{number}.h5", trained)
        if number < LAST:
            mask = mask_of(trained, ticket)
            write(folder / f"mask{number + 1}.h5", mask)
            layers = rewind([layer.mask for layer in mask.layers], theta.layers)
            ticket = replace(mask, kind="ticket", layers=layers)
    return folder


def files(folder, kind, *rounds):
    return [folder / f"{kind}{number}.h5" for number in rounds]


def packed(chain, output, last, is_open):
    """Pack rounds 0 to `last`, the last of them not trained if the chain is open."""
    masks = files(chain, "mask", *range(1, last + 1))
    trained = files(chain, "trained", *range(last if is_open else last + 1))
    export(output, chain / "ticket0.h5", masks, trained, may_be_open=is_open)
    return output


@pytest.mark.parametrize("is_open", [False, True], ids=["trained again", "next ticket"])
def test_a_chain_that_goes_on_is_the_uninterrupted_one_bit_for_bit(
    chain, prepared, tmp_path, is_open
):
    held = read_bank(packed(chain, tmp_path / "held.h5", 1, is_open))
    assert (held.is_open, bank.reach(tmp_path / "held.h5")) == (is_open, (1, is_open))
    ticket = bank.ticket(held, 1)
    for number in range(1, LAST + 1):
        assert ticket.content_sha256 == read(chain / f"ticket{number}.h5").content_sha256
        trained, _ = train(ticket, prepared)
        write(tmp_path / f"trained{number}.h5", trained)
        whole = read(chain / f"trained{number}.h5")
        assert trained.content_sha256 == whole.content_sha256
        for one, other in zip(trained.layers, whole.layers, strict=True):
            assert same_bits(one.weight, other.weight) and same_bits(one.bias, other.bias)
        if number < LAST:
            write(tmp_path / f"mask{number + 1}.h5", mask := mask_of(trained, ticket))
            ticket = bank.next_ticket(held, mask)
    # Packed again, with what was added, it is the file of the uninterrupted chain.
    masks, networks = files(tmp_path, "mask", 2, 3), files(tmp_path, "trained", 1, 2, 3)
    grown = tmp_path / "grown.h5"
    export(grown, chain / "ticket0.h5", masks, networks, tmp_path / "held.h5")
    whole = packed(chain, tmp_path / "whole.h5", LAST, is_open=False)
    assert grown.read_bytes() == whole.read_bytes()


def test_an_open_bank_has_the_next_ticket_and_the_accuracies_before_it(chain, tmp_path):
    found = read_bank(packed(chain, tmp_path / "bank.h5", 2, is_open=True))
    assert bank.ticket(found, 2).content_sha256 == read(chain / "ticket2.h5").content_sha256
    assert [run.round for run in summaries(found, 1)] == [0, 1]
    assert not summaries(found, -1)
    expected = read_summary(chain / "trained1.h5")
    for name, values in summaries(found, 1)[1].history.items():
        assert same_bits(values, expected.history[name])
    message = "round 2 has not been trained; set pruning.rounds of the study to 1, or train on"
    with pytest.raises(BankError, match=message):
        summaries(found, 2)


def test_a_gap_and_another_chain_are_named(chain, tmp_path):
    held = packed(chain, tmp_path / "held.h5", 1, is_open=False)
    out, dense = tmp_path / "out.h5", chain / "ticket0.h5"
    masks, trained = files(chain, "mask", 2, 3), files(chain, "trained", 1, 2, 3)
    other = tmp_path / "other.h5"
    write(other, replace(read(trained[1]), seed=6))
    faster = replace(read(dense).spec.training, learning_rate=0.5)
    respelled = tmp_path / "respelled.h5"
    write(respelled, replace(read(dense), spec=read(dense).spec.replace(training=faster)))
    wrong = [
        (
            dense,
            masks[1:],
            trained,
            "mask3.h5: not round 2 of tiny-normal seed 5; it holds round 3",
        ),
        (dense, masks, trained[1:], "2 trained networks for rounds 1 to 3; expected one for each"),
        (dense, masks, [*trained[:2], trained[1]], "trained2.h5: not round 3"),
        (dense, masks, [trained[0], other, trained[2]], "other.h5: not round 2"),
        (respelled, masks, trained, r"training\.learning_rate is .*, the config says 0\.5"),
    ]
    for ticket, of_masks, networks, message in wrong:
        with pytest.raises(BankError, match=message):
            export(out, ticket, of_masks, networks, held)
    with pytest.raises(BankError, match="expected one for each round, or for each but the last"):
        export(out, dense, masks, trained[:1], held, may_be_open=True)
    assert not out.exists()

    def without_a_round(file):
        del file["history/round00"]

    gap = edited_copy(held, tmp_path / "gap.h5", without_a_round)
    with pytest.raises(BankError, match=r"gap\.h5: damaged .*round00 is missing"):
        read_bank(gap)


def test_banks_of_finished_chains_do_not_say_that_they_are_open(chain, tmp_path):
    with h5py.File(packed(chain, tmp_path / "bank.h5", 2, is_open=False)) as file:
        assert "is_open" not in file.attrs


# --- the plan ------------------------------------------------------------------------------------

STUDY = "fcnet-normal"


@pytest.fixture
def going_on(tmp_path, make_spec, make_trained):
    """Return a function from (rounds of the config, {seed: (last, is_open)}) to a plan."""

    def plan(rounds, held):
        from ticketlens.checkpoint import Checkpoint
        from ticketlens.tickets.initialization import initial_layers

        (tmp_path / STUDY).mkdir()
        for seed, (last, is_open) in held.items():
            spec = make_spec()
            ticket = Checkpoint("ticket", STUDY, seed, 0, "imp", spec, initial_layers(spec, seed))
            write(tmp_path / "ticket0.h5", ticket)
            for number in range(last + 1):
                trained = make_trained(ticket, seed=number)
                write(tmp_path / f"trained{number}.h5", trained)
                mask = mask_of(trained, ticket)
                write(tmp_path / f"mask{number + 1}.h5", mask)
                layers = rewind([layer.mask for layer in mask.layers], ticket.layers)
                ticket = replace(mask, kind="ticket", layers=layers)
            packed(tmp_path, tmp_path / STUDY / f"seed{seed}.h5", last, is_open)
        study = f"{{seeds: {sorted(held)}, tickets: continue, pruning: {{rounds: {rounds}}}}}"
        only = "convnet-normal: null, fcnet-orthogonal: null, resnet-fc-normal: null"
        config = merged(
            f"studies: {{{STUDY}: {study}, {only}, resnet-conv-normal: null}}",
            "interventions: {studies: []}",
        )
        return Plan(checked(config), "results", str(tmp_path))

    return plan


def test_the_plan_trains_from_the_last_ticket_of_the_bank_on(going_on):
    plan = going_on(3, {0: (1, False), 1: (2, True), 2: (3, False)})
    assert plan.firsts == {(STUDY, 0): 1, (STUDY, 1): 2, (STUDY, 2): 4}
    assert sorted(trainings(plan)) == [
        (STUDY, seed, number, "imp") for seed, number in [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3)]
    ]
    assert [chain[:3] for chain in plan.bank_chains(plan.in_bank)] == [
        (STUDY, 0, 0), (STUDY, 1, 1), (STUDY, 2, 3),
    ]  # fmt: skip
    assert len(plan.chains("trained.h5", plan.trained)) == 5
    trained = [path for path in plan.measured_on_imp("qmap") if path.endswith("trained.csv")]
    assert len(trained) == 5 and len(plan.measured_on_imp("qmap")) == 3 * 4 + 5


@pytest.mark.parametrize(("rounds", "is_open"), [(2, False), (1, True)])
def test_a_finished_chain_has_nothing_to_go_on_with(going_on, rounds, is_open):
    with pytest.raises(ConfigError, match=r"holds all of rounds 0 to .*; allowed: 'bank'"):
        going_on(rounds, {0: (2, is_open)}).firsts  # noqa: B018


def test_a_chain_that_the_bank_does_not_hold_cannot_go_on(going_on, tmp_path):
    plan = going_on(2, {0: (1, True)})
    (tmp_path / STUDY / "seed0.h5").unlink()
    with pytest.raises(
        ConfigError, match=rf"studies\.{STUDY}\.tickets is 'continue', and there is"
    ):
        plan.firsts  # noqa: B018


def test_a_chain_is_packed_as_far_as_its_networks_go_without_a_gap(going_on, tmp_path, monkeypatch):
    plan = going_on(4, {0: (1, False)})
    monkeypatch.chdir(tmp_path)
    begun = under_way(plan, "<bank>", "bank")
    with pytest.raises(ConfigError, match="nothing to pack"):
        begun({})
    with pytest.raises(ConfigError, match="seed 0: no network of round 1 is trained yet"):
        of_chain(plan)({"study": STUDY, "seed": "0"})
    root = f"results/checkpoints/{STUDY}/seed0"
    for number in (1, 2, 4):
        (tmp_path / root / f"round{number:02d}/imp").mkdir(parents=True)
        shutil.copy(tmp_path / "ticket0.h5", tmp_path / root / f"round{number:02d}/imp/trained.h5")
    assert begun({}) == [f"<bank>/{STUDY}/seed0.h5"]
    files = of_chain(plan)({"study": STUDY, "seed": "0"})
    masks, trained = files["masks"], files["trained"]
    assert files["earlier"] == f"{tmp_path}/{STUDY}/seed0.h5"
    assert masks == [f"{root}/round{number:02d}/imp/mask.h5" for number in (2, 3)]
    assert trained == [f"{root}/round{number:02d}/imp/trained.h5" for number in (1, 2)]


def test_a_ticket_beyond_the_bank_is_made_of_the_bank_and_its_mask(going_on):
    plan = going_on(4, {0: (2, True)})
    of_ticket = of_next_ticket(plan)
    for number in range(5):
        files = of_ticket({"study": STUDY, "seed": "0", "round": f"{number:02d}"})
        assert bool(files) == (number > 2)
        assert not files or files.endswith(f"round{number:02d}/imp/mask.h5")
