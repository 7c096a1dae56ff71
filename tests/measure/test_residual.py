"""Residual networks: forward pass, q and chi against autograd, theory and wide random networks."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest
import torch

from ticketlens import ladder
from ticketlens import meanfield as mf
from ticketlens.architecture import is_convolutional, layer_shapes
from ticketlens.checkpoint import Checkpoint, Layer
from ticketlens.measure import graph as degrees
from ticketlens.measure import residual, signal
from ticketlens.measure.conv import residual as residual_conv
from ticketlens.measure.conv import signal as signal_conv
from ticketlens.measure.gains import GAINS
from ticketlens.networks import build
from ticketlens.spec import DatasetSpec, InitSpec, NetworkSpec, Spec
from ticketlens.tables.residual import residual_rows
from ticketlens.tables.weights import degree_rows
from ticketlens.tickets import initialization
from ticketlens.tickets.pruning import prune
from ticketlens.tickets.random_weights import rewind
from ticketlens.tickets.saliency import SCORES
from ticketlens.training.loop import train

FC = Spec(
    network=NetworkSpec(family="resnet-fc", hidden_layers=5, width=7),
    dataset=DatasetSpec(shape=(3, 3, 2), classes=4),
)
CONV = Spec(
    network=NetworkSpec(family="resnet-conv", hidden_layers=5, width=3),
    dataset=DatasetSpec(shape=(5, 5, 2), classes=4),
)
SPECS = {"resnet-fc": FC, "resnet-conv": CONV}
FAMILIES = pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)


def random_ticket(spec: Spec, seed: int = 0, density: float = 0.6) -> Checkpoint:
    theta = initialization.initial_layers(spec, seed)
    rng = np.random.default_rng(seed)
    layers = rewind([rng.random(layer.mask.shape) < density for layer in theta], theta)
    return Checkpoint("ticket", "residual", seed, 1, "imp", spec, tuple(layers))


def make_images(spec: Spec, count: int = 5, seed: int = 1) -> np.ndarray:
    height, width, channels = spec.dataset.shape
    return np.random.default_rng(seed).standard_normal((count, channels, height, width))


def measure(ticket: Checkpoint, images: np.ndarray, **options) -> residual.ResidualSignal:
    rng, spec = np.random.default_rng(2), ticket.spec
    if is_convolutional(spec):
        probes = np.random.default_rng(3)
        return residual_conv.measure(ticket.layers, spec, images, rng, probes, **options)
    return residual.measure(ticket.layers, spec.network.activation, images, rng, **options)


def module(ticket: Checkpoint) -> torch.nn.Module:
    return build(ticket).double().requires_grad_(False)


def autograd_preactivations(ticket: Checkpoint, images: np.ndarray) -> list[np.ndarray]:
    h = module(ticket).preactivations(torch.from_numpy(images))
    return [x.flatten(1).numpy() for x in h]


def block_jacobians(ticket: Checkpoint, image: np.ndarray) -> list[np.ndarray]:
    """dh'/dh of each block at one image, by autograd on the formula of the block."""
    model = module(ticket)
    h = model.preactivations(torch.from_numpy(image[None]))
    found = []
    for number in range(1, len(h), 2):
        inner, outer = model.layers[number], model.layers[number + 1]

        def block(x, inner=inner, outer=outer):
            return x + outer(torch.tanh(inner(torch.tanh(x))))

        torch.testing.assert_close(block(h[number - 1]), h[number + 1])
        size = h[number - 1].numel()
        found.append(torch.func.jacrev(block)(h[number - 1]).reshape(size, size).numpy())
    return found


# --- The network -----------------------------------------------------------------------------


def test_the_forward_pass_is_the_pre_activation_form_with_a_stem() -> None:
    ticket, images = random_ticket(FC), make_images(FC)
    model = module(ticket)
    w = [layer.weight.astype(float) for layer in ticket.layers]
    b = [layer.bias.astype(float) for layer in ticket.layers]
    h = images.reshape(5, -1) @ w[0].T + b[0]
    expected = [h]
    for k in (1, 3):
        inside = np.tanh(h) @ w[k].T + b[k]
        h = h + np.tanh(inside) @ w[k + 1].T + b[k + 1]
        expected += [inside, h]
    for mine, theirs in zip(expected, autograd_preactivations(ticket, images), strict=True):
        np.testing.assert_allclose(theirs, mine, atol=1e-12)
    logits = np.tanh(h) @ w[5].T + b[5]
    np.testing.assert_allclose(model(torch.from_numpy(images)).numpy(), logits, atol=1e-12)


def test_convolutions_have_the_same_blocks_and_are_pooled_before_the_readout() -> None:
    ticket, images = random_ticket(CONV), torch.from_numpy(make_images(CONV))
    model = module(ticket)
    h, inside, trunk, _, last = model.preactivations(images)
    assert all(x.shape == (5, 3, 5, 5) for x in (h, inside, trunk, last))
    torch.testing.assert_close(trunk, h + model.layers[2](torch.tanh(inside)))
    pooled = torch.tanh(last).mean(dim=(2, 3))
    torch.testing.assert_close(model(images), model.layers[-1](pooled))


@FAMILIES
def test_a_residual_network_has_the_layers_of_a_chain(spec: Spec) -> None:
    chain = {"resnet-fc": "fully-connected", "resnet-conv": "convolutional"}[spec.network.family]
    plain = spec.replace(network=dataclasses.replace(spec.network, family=chain))
    assert layer_shapes(spec) == layer_shapes(plain)


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ({"hidden_layers": 8}, "hidden_layers is 8; allowed for family 'resnet-conv': odd numbers"),
        ({"stride": 2}, "stride is 2; allowed for family 'resnet-conv': 1"),
        ({"padding": "zeros"}, "padding is 'zeros'; allowed for family 'resnet-conv': 'circular'"),
    ],
)
def test_layers_that_no_skip_fits_are_refused(part: dict, message: str) -> None:
    network = dataclasses.replace(CONV.network, **part)
    with pytest.raises(ValueError, match=message):
        initialization.initial_layers(CONV.replace(network=network), 0)


# --- Measurements against autograd -----------------------------------------------------------


@FAMILIES
def test_q_and_c_are_those_of_the_trained_network(spec: Spec) -> None:
    ticket, images = random_ticket(spec), make_images(spec, 11)  # more than a batch, and odd
    found, h = measure(ticket, images), autograd_preactivations(ticket, images)
    np.testing.assert_allclose(found.q, np.stack([(x**2).mean(1) for x in h], 1), rtol=1e-12)
    added = [h[k + 2] - h[k] for k in (0, 2)]
    np.testing.assert_allclose(found.branch, np.stack([(x**2).mean(1) for x in added], 1))
    for column, trunk in enumerate(h[::2]):
        for row in range(5):
            one, two = trunk[2 * row], trunk[2 * row + 1]
            cosine = one @ two / np.sqrt((one @ one) * (two @ two))
            assert found.pair_distance[row, column] == pytest.approx(1 - cosine, abs=1e-12)


@FAMILIES
def test_chi_of_a_block_is_the_mean_squared_singular_value_with_its_identity(spec: Spec) -> None:
    ticket, images = random_ticket(spec), make_images(spec, 3)
    options = {"probes": 4000} if is_convolutional(spec) else {}
    found = measure(ticket, images, jacobian_images=2, **options).chi
    expected = [
        [np.sum(j**2) / len(j) for j in block_jacobians(ticket, image)] for image in images[:2]
    ]
    np.testing.assert_allclose(found, expected, rtol=0.02 if options else 1e-12)


@FAMILIES
def test_slopes_along_tiny_perturbations_are_those_of_the_blocks_jacobians(spec: Spec) -> None:
    ticket, images = random_ticket(spec), make_images(spec, 2)
    found = measure(ticket, images).perturbation_slope
    moved = signal.perturbed(images, signal.EPS, np.random.default_rng(2))
    for row in range(2):
        trunk = autograd_preactivations(ticket, images[row : row + 1])[::2]
        others = autograd_preactivations(ticket, moved[row : row + 1])[::2]
        step = (others[0] - trunk[0])[0]
        lengths = []
        for h, jacobian in zip(trunk, [None, *block_jacobians(ticket, images[row])], strict=True):
            step = step if jacobian is None else jacobian @ step
            unit = h[0] / np.linalg.norm(h[0])
            lengths.append(np.sum((step - unit * (unit @ step)) ** 2) / np.sum(h[0] ** 2))
        np.testing.assert_allclose(found[row], np.divide(lengths[1:], lengths[:-1]), rtol=1e-4)


# --- Theory ----------------------------------------------------------------------------------


WIDE = Spec(
    network=NetworkSpec(family="resnet-fc", hidden_layers=7, width=1000),
    init=InitSpec(sigma_w=1.7, sigma_b=0.4),
    dataset=DatasetSpec(shape=(20, 20, 1)),
)


@pytest.fixture(scope="module")
def wide() -> tuple[Checkpoint, residual.ResidualSignal]:
    layers = initialization.initial_layers(WIDE, 0)
    ticket = Checkpoint("ticket", "wide", 0, 0, "imp", WIDE, layers)
    return ticket, measure(ticket, make_images(WIDE, 20), jacobian_images=5)


def test_q_of_a_wide_random_network_follows_the_recursion(wide) -> None:
    ticket, found = wide
    q = found.q.mean(axis=0)
    np.testing.assert_allclose(q, mf.dense_q(q[0], 1.7, 0.4, 3), rtol=0.03)
    for reading in GAINS:
        theory = residual.predict(reading, ticket.layers, make_images(WIDE, 20), WIDE.network)
        np.testing.assert_allclose(q, theory.q, rtol=0.05)


def test_chi_and_slope_of_a_wide_random_network_are_those_of_theory(wide) -> None:
    ticket, found = wide
    q = found.q.mean(axis=0)
    expected = mf.residual_chi(q[:-1:2], 1.7, 0.4)
    np.testing.assert_allclose(found.chi.mean(axis=0), expected, rtol=0.03)
    np.testing.assert_allclose(residual.chi_at(q, ticket.layers, "tanh"), expected, rtol=0.03)
    slope = np.median(found.perturbation_slope, axis=0)
    np.testing.assert_allclose(slope, expected * q[:-1:2] / q[2::2], rtol=0.05)


def test_q_grows_about_linearly_and_chi_stays_above_one() -> None:
    q = mf.dense_q(2.0, 1.4, 0.3, 60)[::2]
    steps = np.diff(q)
    assert steps.min() > 0.8 and steps.max() < 1.4**2 + 0.3**2
    assert (np.diff(mf.residual_chi(q, 1.4, 0.3)) < 0).all()
    assert mf.residual_chi(q[-1], 1.4, 0.3) > 1


@pytest.mark.parametrize("network", [{"family": "resnet-fc"}, {"family": "resnet-conv"}])
def test_the_second_moment_meets_randomly_masked_networks_and_the_naive_one_does_not(
    network: dict,
) -> None:
    """Sparsity dilutes: on a random mask R1 is right, and R0, which ignores zeros, is too high."""
    is_conv = network["family"] == "resnet-conv"
    spec = Spec(
        network=NetworkSpec(hidden_layers=5, width=96 if is_conv else 500, **network),
        dataset=DatasetSpec(shape=(8, 8, 3) if is_conv else (16, 16, 1)),
    )
    ticket, images = random_ticket(spec, density=0.4), make_images(spec, 6)
    found = measure(ticket, images)
    naive, diluted = (
        residual.predict(reading, ticket.layers, images, spec.network)
        for reading in ("naive", "second_moment")
    )
    np.testing.assert_allclose(found.q.mean(axis=0), diluted.q, rtol=0.1)
    np.testing.assert_allclose(found.chi.mean(axis=0), diluted.chi, rtol=0.05)
    assert (naive.q > 1.3 * found.q.mean(axis=0)).all()


def test_theory_of_one_image_is_the_scalar_map_of_its_layers() -> None:
    ticket = random_ticket(FC, density=1.0)
    images = make_images(FC, 1)
    found = residual.predict("second_moment", ticket.layers, images, FC.network)
    sums = [np.sum(layer.weight.astype(float) ** 2) / len(layer.bias) for layer in ticket.layers]
    bias = [np.mean(layer.bias.astype(float) ** 2) for layer in ticket.layers]
    q = sums[0] * np.mean(images**2) + bias[0]
    for k in (1, 3):
        inside = sums[k] * mf.second_moment(q) + bias[k]
        chi = 1 + sums[k] * mf.derivative_moment(q, 1) * sums[k + 1] * mf.derivative_moment(
            inside, 1
        )
        q = q + sums[k + 1] * mf.second_moment(inside) + bias[k + 1]
        assert found.q[[k, k + 1]] == pytest.approx([inside, q], rel=1e-7)
        assert found.chi[k // 2] == pytest.approx(chi, rel=1e-7)


# --- Tables ----------------------------------------------------------------------------------


@FAMILIES
def test_rows_say_which_q_a_layer_has(spec: Spec) -> None:
    ticket, images = random_ticket(spec), make_images(spec, 4)
    found = measure(ticket, images)
    rows = residual_rows(ticket, found, images)
    assert [(row["layer"], row["block"], row["part"]) for row in rows] == [
        (1, 0, "trunk"), (2, 1, "inside"), (3, 1, "trunk"), (4, 2, "inside"), (5, 2, "trunk"),
    ]  # fmt: skip
    assert [row["q"] for row in rows] == pytest.approx(found.q.mean(axis=0))
    behind = [row for row in rows if row["part"] == "trunk" and row["block"]]
    assert [row["chi"] for row in behind] == pytest.approx(found.chi.mean(axis=0))
    assert all(np.isfinite(row["slope_expected"]) for row in behind)
    others = [row for row in rows if row not in behind]
    assert all(np.isnan([row["chi"], row["slope"], row["q_branch"]]).all() for row in others)
    assert [np.isfinite(row["c"]) for row in rows] == [True, False, True, False, True]


# --- Degrees: paths take the skips -----------------------------------------------------------


def walked(masks: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Mark the weights on every path from input to output, skips included, by walking them."""
    live = [np.zeros_like(mask) for mask in masks]

    def walk(level: int, unit: int, path: list[tuple[int, int, int]]) -> None:
        if level == len(masks):
            for layer, target, source in path:
                live[layer][target, source] = True
            return
        if level in (1, 3) and level + 2 < len(masks):
            walk(level + 2, unit, path)
        for target in np.flatnonzero(masks[level][:, unit]):
            walk(level + 1, target, [*path, (level, target, unit)])

    for unit in range(masks[0].shape[1]):
        walk(0, unit, [])
    return live


@pytest.mark.parametrize("seed", range(6))
def test_effective_masks_keep_exactly_the_weights_on_some_path_with_skips(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shapes = [(4, 5), (3, 4), (4, 3), (3, 4), (4, 3), (2, 4)]
    masks = [rng.random(shape) < 0.35 for shape in shapes]
    expected = walked(masks)
    for found, reference in zip(degrees.effective_masks(masks, True), expected, strict=True):
        np.testing.assert_array_equal(found, reference)
    kept = sum(mask.sum() for mask in expected)
    assert degrees.effective_density(masks, True) == kept / sum(mask.size for mask in masks)


def test_an_empty_block_cuts_a_chain_but_not_a_residual_network() -> None:
    masks = [np.ones((3, 3), bool), *[np.zeros((3, 3), bool)] * 2, np.ones((3, 3), bool)]
    assert [row.dead for row in degrees.connectivity(masks)] == [3, 3, 3, 3]
    assert [row.dead for row in degrees.connectivity(masks, residual=True)] == [0, 3, 0, 0]


def test_the_degree_table_heeds_the_skips_of_the_ticket() -> None:
    ticket = random_ticket(FC, density=1.0)
    empty = np.zeros_like(ticket.layers[1].mask)
    layers = list(ticket.layers)
    layers[1] = dataclasses.replace(layers[1], mask=empty, weight=empty.astype(np.float32))
    rows = degree_rows(dataclasses.replace(ticket, layers=tuple(layers)))
    assert [row["dead"] for row in rows if row["direction"] == "in"] == [0, 7, 0, 0, 0, 0]


# --- The chain of training, pruning and rewinding ------------------------------------------


@pytest.mark.parametrize("family", SPECS)
def test_a_residual_ticket_trains_holds_its_mask_and_is_pruned(
    make_ticket, prepared, family: str
) -> None:
    ticket = make_ticket(0.8, network={"family": family, "hidden_layers": 3, "width": 6})
    trained, _ = train(ticket, prepared)
    assert trained.history["train_loss"][-1] < trained.history["train_loss"][0]
    for before, after in zip(ticket.layers, trained.layers, strict=True):
        assert not after.weight[~before.mask].any()
        assert (after.weight[after.mask] != before.weight[after.mask]).mean() > 0.8
    masks = prune(trained.layers, ticket.layers, ticket.spec.pruning, ticket.seed, 1)
    for layer, mask in zip(ticket.layers, masks, strict=True):
        assert not (mask & ~layer.mask).any() and mask.sum() < layer.mask.sum()


# --- The rest of the library -----------------------------------------------------------------


def test_synflow_counts_the_paths_over_the_skips() -> None:
    small = FC.replace(
        network=dataclasses.replace(FC.network, hidden_layers=3, width=3),
        dataset=DatasetSpec(shape=(2, 2, 1), classes=2),
    )
    dense = random_ticket(small, density=1.0)
    stem, inner, outer, readout = (np.abs(layer.weight.astype(float)) for layer in dense.layers)
    scores = SCORES["synflow"](dense, [layer.mask for layer in dense.layers])
    skip_and_branch = np.eye(3) + outer @ inner
    flow = np.ones(2) @ readout @ skip_and_branch
    np.testing.assert_allclose(scores[0], stem * np.outer(flow, np.ones(4)), rtol=1e-6)
    into = stem @ np.ones(4)
    expected = outer * np.outer(np.ones(2) @ readout, inner @ into)
    np.testing.assert_allclose(scores[2], expected, rtol=1e-6)


@FAMILIES
def test_orthogonal_blocks_have_the_second_moment_of_the_scheme(spec: Spec) -> None:
    init = InitSpec(scheme="orthogonal", sigma_w=1.2, sigma_b=0.0)
    for layer in initialization.initial_layers(spec.replace(init=init), 0)[:-1]:
        assert np.sum(layer.weight**2.0) / len(layer.weight) == pytest.approx(1.44, rel=1e-5)


# --- What is refused -------------------------------------------------------------------------


def test_formulas_of_chains_refuse_networks_with_skips_and_say_where_to_go() -> None:
    images = make_images(CONV)
    ticket = random_ticket(CONV)
    with pytest.raises(
        ValueError, match=r"'resnet-conv', which has skips.*ticketlens.measure.residual"
    ):
        ladder.predict("naive", ticket.layers, images, network=CONV.network)
    with pytest.raises(ValueError, match=r"'resnet-conv'; allowed here: 'convolutional'"):
        signal_conv.measure(ticket.layers, CONV, images, np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"'resnet-fc'; allowed here: 'resnet-conv'"):
        residual_conv.network(random_ticket(FC).layers, FC)


@FAMILIES
def test_a_single_image_makes_no_pair(spec: Spec) -> None:
    with pytest.raises(ValueError, match="at least 2"):
        measure(random_ticket(spec), make_images(spec, 1))


def test_incomplete_blocks_and_unknown_readings_are_refused() -> None:
    ticket, images = random_ticket(FC), make_images(FC)
    layers: tuple[Layer, ...] = (*ticket.layers[:4], ticket.layers[-1])
    with pytest.raises(ValueError, match="4 hidden layers; allowed in a residual network: 3, 5"):
        residual.measure(layers, "tanh", images, np.random.default_rng(0))
    with pytest.raises(ValueError, match="reading is 'r2'; allowed: naive, second_moment"):
        residual.predict("r2", ticket.layers, images, FC.network)
