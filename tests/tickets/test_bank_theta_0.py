"""theta_0 of a bank is drawn again on any machine, or what is drawn is refused."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bank_tools import SHIPPED
from core_tools import edited_copy
from ticketlens.architecture import layer_shapes
from ticketlens.checkpoint import Checkpoint, read, write
from ticketlens.seeds import stream
from ticketlens.spec import InitSpec
from ticketlens.tickets import bank, initialization
from ticketlens.tickets.bank import BankError, export, read_bank
from ticketlens.tickets.initialization import initial_layers, theta_sha256


def test_theta_0_is_drawn_again_from_seed_and_spec(chain, packed):
    layers = bank.theta_0(read_bank(packed))
    assert theta_sha256(layers) == theta_sha256(read(chain[0][0]).layers)


@pytest.mark.parametrize("change", ["seed", "init", "digest", "streams"])
def test_another_theta_0_is_refused(packed, monkeypatch, change):
    found = read_bank(packed)
    if change == "seed":
        found = replace(found, seed=6)
    elif change == "init":
        found = replace(found, spec=found.spec.replace(init=InitSpec(sigma_w=1.3)))
    elif change == "digest":
        found = replace(found, theta_0_sha256="0" * 64)
    else:  # another library version that draws other numbers
        draw = "ticketlens.tickets.initialization.stream"
        monkeypatch.setattr(draw, lambda seed, *purpose: stream(seed + 1, *purpose))
    with pytest.raises(BankError, match=r"theta_0 drawn here has SHA-256 .*refusing to rebuild"):
        bank.ticket(found, 2)


# --- theta_0 on other machines -------------------------------------------------------------------


def elsewhere(monkeypatch, round_otherwise):
    """Let this machine draw theta_0 with `round_otherwise` of each orthogonal layer's weights."""
    draw = initialization.orthogonal_weight

    def other(shape, init, rng):
        return round_otherwise(draw(shape, init, rng), shape)

    scheme = initialization.Scheme(*initialization.SCHEMES["orthogonal"])
    monkeypatch.setitem(initialization.SCHEMES, "orthogonal", scheme._replace(weight=other))


@pytest.fixture(scope="module")
def orthogonal(make_spec, make_trained, tmp_path_factory):
    """Return (ticket, trained, bank file, layer, index) of a dense chain that has a border."""
    network, folder = {"width": 200}, tmp_path_factory.mktemp("orthogonal")
    for seed in range(100):
        spec = make_spec(network=network, init={"scheme": "orthogonal"})
        if found := initialization.border(spec, seed):
            break
    ticket = Checkpoint("ticket", "tiny", seed, 0, "imp", spec, initial_layers(spec, seed))
    write(folder / "ticket.h5", ticket)
    write(folder / "trained.h5", make_trained(ticket))
    export(folder / "bank.h5", folder / "ticket.h5", [], [folder / "trained.h5"])
    layer, index = next(iter(found.items()))
    return folder / "ticket.h5", folder / "trained.h5", folder / "bank.h5", layer, index


def to_the_other_side(orthogonal):
    """Return what rounds the border weights of a layer to the float32 on the other side."""
    _, _, _, name, index = orthogonal

    def round_otherwise(weight, shape):
        if shape.name == name:
            exact = weight.flat[index]
            near = exact.astype(np.float32)
            away = np.where(exact > near, np.inf, -np.inf).astype(np.float32)
            middle = (near.astype(float) + np.nextafter(near, away)) / 2
            weight.flat[index] = 2 * middle - exact  # as far beyond the middle as it was before it
        return weight

    return round_otherwise


def test_a_bank_is_rebuilt_where_border_weights_round_otherwise(orthogonal, monkeypatch):
    expected, packed = read(orthogonal[0]), orthogonal[2]
    assert read_bank(packed).border
    elsewhere(monkeypatch, to_the_other_side(orthogonal))
    found = read_bank(packed)
    assert theta_sha256(initial_layers(found.spec, found.seed)) != found.theta_0_sha256
    assert bank.ticket(found, 0).content_sha256 == expected.content_sha256


def test_export_takes_what_init_drew_on_another_machine(orthogonal, monkeypatch, tmp_path):
    ticket, trained, packed, _, _ = orthogonal
    elsewhere(monkeypatch, to_the_other_side(orthogonal))
    export(tmp_path / "bank.h5", ticket, [], [trained])
    assert read_bank(tmp_path / "bank.h5").theta_0_sha256 == read_bank(packed).theta_0_sha256


def test_a_stored_weight_near_zero_may_move_by_more_than_its_last_bit(orthogonal):
    # Of 1.6e-10 and an uncertainty of 3e-13: thousands of float32 numbers are next to each other.
    found = read_bank(orthogonal[2])
    name, (index, values) = next(iter(found.border.items()))
    for away in (1e-13, -1e-9):
        moved = (values.astype(float) + away).astype(np.float32)
        bank.theta_0(replace(found, border={name: (index, moved)}))
    with pytest.raises(BankError, match="is not next to"):
        bank.theta_0(replace(found, border={name: (index, values + np.float32(1e-6))}))


def test_stored_weights_that_nobody_draws_are_refused(orthogonal):
    found = read_bank(orthogonal[2])
    name, (index, values) = next(iter(found.border.items()))
    for wrong in (values * 2, np.full_like(values, np.nan)):
        with pytest.raises(BankError, match=f"layer {name}: the stored weight .* is not next to"):
            bank.theta_0(replace(found, border={name: (index, wrong)}))


@pytest.mark.parametrize(
    ("key", "change"),
    [
        ("border", lambda values: values[::-1] if len(values) > 1 else values + 10**6),
        ("border", lambda values: np.concatenate([values, values[-1:]])),
        ("border", lambda values: values + 2**31),
        ("border_values", lambda values: values[:-1]),
        ("border_values", lambda values: values.astype(float)),
        ("border_values", None),
    ],
)
def test_a_border_that_is_not_the_layers_own_is_refused(orthogonal, tmp_path, key, change):
    def edit(file):
        numbers = {layer.name: n for n, layer in enumerate(layer_shapes(read_bank(packed).spec))}
        path = f"layers/{numbers[name]:02d}-{name}/{key}"
        values = file[path][()]
        del file[path]
        if change is not None:
            file[path] = change(values)

    _, _, packed, name, _ = orthogonal
    path = edited_copy(packed, tmp_path / "edited.h5", edit)
    with pytest.raises(BankError, match=r"edited\.h5: damaged or foreign: .*border"):
        read_bank(path)


SETTINGS = ("Haswell", "SkylakeX", "SapphireRapids", "Zen", "Nehalem", "Prescott", "Sandybridge")
DRAW = """
import sys
from ticketlens.spec import Spec
from ticketlens.tickets import bank, initialization
from ticketlens.tickets.initialization import initial_layers, theta_sha256
for path in sys.argv[1:]:
    chain = bank.read_bank(path)
    is_other = theta_sha256(initial_layers(chain.spec, chain.seed)) != chain.theta_0_sha256
    print(theta_sha256(bank.theta_0(chain)) == chain.theta_0_sha256, is_other)
"""


def drawn_with(kernels, paths):
    """Return [rebuilt, drawn otherwise] of each bank in a process with these BLAS kernels."""
    library = Path(bank.__file__).parents[2]
    environment = os.environ | {"OPENBLAS_CORETYPE": kernels, "PYTHONPATH": str(library)}
    found = subprocess.run(
        [sys.executable, "-c", DRAW, *map(str, paths)],
        env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [[word == "True" for word in line.split()] for line in found.stdout.splitlines()]


def test_the_shipped_orthogonal_chains_are_rebuilt_with_other_kernels():
    paths = sorted(SHIPPED.glob("fcnet-orthogonal*/seed*.h5"))
    assert paths and all(read_bank(path).border for path in paths)
    for kernels in ("Haswell", "Nehalem"):
        assert all(rebuilt for rebuilt, _ in drawn_with(kernels, paths))


@pytest.mark.nightly
def test_orthogonal_chains_of_60_seeds_are_rebuilt_with_every_kernel(tmp_path):
    spec = read_bank(SHIPPED / "fcnet-orthogonal" / "seed0.h5").spec
    paths = []
    for seed in range(60):
        theta = initial_layers(spec, seed)
        removed = {layer.name: np.zeros(layer.mask.shape, np.uint8) for layer in theta}
        border = bank.border_of(theta, spec, seed)
        paths.append(tmp_path / f"seed{seed}.h5")
        digest = theta_sha256(theta)
        bank.write_bank(paths[-1], bank.Bank("x", seed, 0, spec, digest, removed, ({},), border))
    for kernels in SETTINGS:
        found = drawn_with(kernels, paths)
        print(f"{kernels}: {sum(other for _, other in found)} of {len(found)} drawn otherwise")
        assert all(rebuilt for rebuilt, _ in found), kernels
