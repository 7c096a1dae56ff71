"""The sparse step: the masked dense step's numbers, at the support alone, in a fixed order."""

from __future__ import annotations

import platform
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from core_tools import same_bits
from ticketlens.checkpoint import check
from ticketlens.networks import ACTIVATIONS, build
from ticketlens.training import compiled, gradients_sparse, loop, sparse
from ticketlens.training.loop import train

# 108 inputs and 100 neurons: two blocks of columns, straight and transposed.
NETWORK = {"hidden_layers": 3, "width": 100}
SPARSE = {"sparse_below": 0.99}
OPTIMIZERS = {
    "SGD": {"momentum": 0.0},
    "SGD with momentum and decay": {"weight_decay": 0.01},
    "Adam with decay": {"optimizer": "adam", "learning_rate": 1e-3, "weight_decay": 0.01},
}


def sparse_model(ticket, below=0.99):
    masks = [layer.mask for layer in ticket.layers]
    spec = replace(ticket.spec.training, sparse_below=below)
    return sparse.compressed(build(ticket, masked=False), masks, ticket.spec.network, spec)


def with_densities(ticket, densities):
    """Return the ticket on random masks of one density a layer."""
    rng = np.random.default_rng(5)
    layers = []
    for layer, density in zip(ticket.layers, densities, strict=True):
        mask = rng.random(layer.mask.shape) < density
        weight = np.where(mask, layer.weight, np.float32(0))
        layers.append(replace(layer, mask=mask, weight=weight))
    return replace(ticket, layers=tuple(layers))


def batch(count, seed=0):
    rng = np.random.default_rng(seed)
    images = rng.standard_normal((count, 3, 6, 6)).astype(np.float32)
    return torch.from_numpy(images), torch.from_numpy(rng.integers(0, 3, count))


def support_gradients(model, ticket):
    """Return (weight gradient at the mask, bias gradient) per layer, in the mask's own order."""
    found = []
    runs = [stage for stage in getattr(model, "stages", ()) if isinstance(stage, sparse.SparseRun)]
    at = {}
    for run in runs:
        sizes = [len(view) for layer in run.layers for view in (layer.values, layer.bias)]
        parts = run.parameter.grad.split(sizes)
        at |= {id(layer): parts[2 * i : 2 * i + 2] for i, layer in enumerate(run.layers)}
    for layer, told in zip(model.layers, ticket.layers, strict=True):
        if id(layer) in at:
            values, bias = at[id(layer)]
            weight = torch.zeros(told.mask.size).index_put((layer.support,), values)
            weight = weight.view(told.mask.shape)
        else:
            weight, bias = layer.weight.grad, layer.bias.grad
        found += [weight[torch.from_numpy(told.mask)], bias]
    return found


def assert_close(found, exact):
    """Assert float32 rounding: 3e-6 of the largest entry."""
    assert found.shape == exact.shape
    if exact.numel():
        assert (found.double() - exact).abs().max() <= 3e-6 * exact.abs().max() + 1e-12


# --- numbers -----------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 10, 16, 100, 128, 200])
@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_outputs_and_gradients_are_those_of_the_dense_network_in_float64(
    make_ticket, activation, count
):
    ticket = make_ticket(0.3, network={**NETWORK, "activation": activation})
    images, labels = batch(count)
    exact, found = build(ticket, masked=False).double(), sparse_model(ticket)
    assert all(sparse.is_sparse(layer) for layer in found.layers)
    for model, x in ((exact, images.double()), (found, images)):
        model.logits = model(x)
        functional.cross_entropy(model.logits, labels).backward()
    assert_close(found.logits, exact.logits)
    for one, other in zip(
        support_gradients(found, ticket), support_gradients(exact, ticket), strict=True
    ):
        assert_close(one, other)


@pytest.mark.parametrize(
    "densities",
    [(0.1, 1, 0.1, 0.1), (1, 0.1, 0.1, 1), (0.1, 0.6, 0.2, 0.9), (0, 0.02, 1, 0.3), (1, 1, 1, 0.1)],
)
@pytest.mark.parametrize("activation", ["tanh", "erf"])
def test_layers_mix_and_each_goes_by_its_own_density(make_ticket, densities, activation):
    ticket = make_ticket(network={**NETWORK, "activation": activation})
    ticket = with_densities(ticket, densities)
    found, exact = sparse_model(ticket, 0.5), build(ticket, masked=False).double()
    assert [sparse.is_sparse(layer) for layer in found.layers] == [d < 0.5 for d in densities]
    images, labels = batch(24)
    for model, x in ((exact, images.double()), (found, images)):
        functional.cross_entropy(model(x), labels).backward()
    for one, other in zip(
        support_gradients(found, ticket), support_gradients(exact, ticket), strict=True
    ):
        assert_close(one, other)


@pytest.mark.parametrize("options", OPTIMIZERS.values(), ids=OPTIMIZERS.keys())
def test_several_steps_equal_masked_dense_steps_to_rounding(make_ticket, options):
    runs = []
    for below in (0.0, 0.99):
        ticket = make_ticket(0.2, network=NETWORK, training={**options, "sparse_below": below})
        model = sparse_model(ticket, below)
        runs.append(loop._Run(ticket, ticket.spec.training, model, torch.device("cpu")))
    for number in range(8):
        for run in runs:
            run.take_step(*batch(32, number), 0.01)
    dense, found = (run.snapshot() for run in runs)
    start = [array for layer in ticket.layers for array in (layer.weight, layer.bias)]
    for one, other, before in zip(found, dense, start, strict=True):
        assert np.abs(one - other).max() < 1e-3 * np.abs(other - before).max()
    for weight, layer in zip(found[::2], ticket.layers, strict=True):
        assert not weight.view(np.uint32)[~layer.mask].any()


@pytest.mark.parametrize("count", [16, 24])
@pytest.mark.parametrize(
    "densities", [(0.1, 0.2, 0.1, 0.1), (0.1, 1, 0.1, 1), (1, 0.1, 0.2, 0.1), (1, 1, 1, 0.1)]
)
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_gradients_written_out_have_the_bits_of_autograd(make_ticket, activation, densities, count):
    ticket = make_ticket(network={**NETWORK, "activation": activation})
    ticket = with_densities(ticket, densities)
    masks = [layer.mask for layer in ticket.layers]
    spec = replace(ticket.spec.training, sparse_below=0.5)
    model = sparse.compressed(
        build(ticket, "onednn", masked=False), masks, ticket.spec.network, spec
    )
    images, labels = batch(count)
    loss, logits, found = gradients_sparse.gradients(model)(images, labels)
    exact = model(images)
    expected = functional.cross_entropy(exact, labels)
    by_autograd = torch.autograd.grad(expected, list(model.parameters()))
    assert same_bits(loss.numpy(), expected.detach().numpy())
    assert same_bits(logits.contiguous().numpy(), exact.detach().contiguous().numpy())
    for one, other in zip(found, by_autograd, strict=True):
        assert same_bits(one.numpy(), other.contiguous().numpy())
    assert gradients_sparse.gradients(build(ticket, masked=False)) is None


def test_the_width_of_blocks_changes_no_bits(make_ticket, monkeypatch):
    ends = []
    for block, weights in ((16, 1), (96, 24), (40, 1), (10_000, 1)):
        monkeypatch.setattr(sparse, "BLOCK", block)
        monkeypatch.setattr(sparse, "PER_BLOCK", weights)
        ticket = make_ticket(0.2, network=NETWORK, training={"sparse_below": 0.99})
        model = sparse_model(ticket, 0.99)
        run = loop._Run(ticket, ticket.spec.training, model, torch.device("cpu"))
        for number in range(3):
            run.take_step(*batch(32, number), 0.01)
        ends.append(run.snapshot())
        blocks = model.layers[0].order.blocks
        assert blocks == -(-ticket.layers[0].mask.shape[1] // max(block, 5 * weights))
    for end in ends[1:]:
        assert all(map(same_bits, ends[0], end))


@pytest.mark.parametrize("count", [16, 17, 128])
def test_images_gathered_as_sparse_layers_read_them_are_those_images(count):
    images, _ = batch(200)
    chosen = torch.from_numpy(np.random.default_rng(1).permutation(200)[:count])
    found = sparse.gather(images, chosen)
    assert same_bits(found.flatten(1).contiguous().numpy(), images[chosen].flatten(1).numpy())
    assert (found.ndim == 2 and found.t().is_contiguous()) == (count % 16 == 0)
    with pytest.raises(IndexError):
        sparse.gather(images, torch.full((16,), 200))


def test_tanh_is_within_three_units_in_the_last_place_and_keeps_nan():
    layer = sparse.SparseLinear(np.ones((1, 1), bool))
    run = sparse.SparseRun([layer], [sparse.KINDS["tanh"]])
    layer.values.fill_(1)
    layer.bias.zero_()
    x = np.concatenate([np.linspace(-12, 12, 100_001), np.logspace(-30, 0, 10_000)])
    x = x.astype(np.float32)
    with torch.no_grad():
        found = run(torch.from_numpy(x)[:, None])[:, 0].numpy()
        ends = run(torch.tensor([[np.nan], [np.inf], [-np.inf], [0.0]]))[:, 0].tolist()
    exact = np.tanh(x.astype(float))
    assert (np.abs(found - exact) / np.spacing(np.abs(exact).astype(np.float32))).max() < 3
    assert np.isnan(ends[0]) and ends[1:] == [1.0, -1.0, 0.0]


# --- bits, checkpoints -------------------------------------------------------------------------


def test_a_run_repeats_itself_and_its_checkpoint_is_that_of_any_run(
    make_ticket, prepared, monkeypatch
):
    compress, models = sparse.compressed, []
    monkeypatch.setattr(
        sparse, "compressed", lambda *args: models.append(compress(*args)) or models[-1]
    )
    ticket = make_ticket(0.3, training=SPARSE, pruning={"rewind_epoch": 1})
    one, other = (train(ticket, prepared) for _ in range(2))
    for a, b in zip(one, other, strict=True):
        assert a.content_sha256 == b.content_sha256
        check(a)
    # Which kernel ran is asked of the model: whether its bits differ is up to the CPU.
    assert len(models) == 2
    assert all(sparse.is_sparse(layer) for model in models for layer in model.layers)
    dense, _ = train(make_ticket(0.3), prepared)
    assert not any(sparse.is_sparse(layer) for layer in models[-1].layers)
    for layer, wanted in zip(one[0].layers, dense.layers, strict=True):
        assert np.allclose(layer.weight, wanted.weight, atol=1e-5)


def test_the_bits_are_the_same_whatever_the_width_of_the_machines_vectors(
    make_ticket, monkeypatch, tmp_path
):
    if platform.machine() != "x86_64" or "fma" not in Path("/proc/cpuinfo").read_text():
        pytest.skip("compares AVX2 with what this machine has")
    ticket = make_ticket(0.3, network=NETWORK)
    found = []
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for native in ("-march=native", "-march=haswell"):
        monkeypatch.setattr(compiled, "NATIVE", (native,))
        compiled.library.cache_clear()
        model = sparse_model(ticket)
        logits = model(batch(100)[0])
        logits.backward(torch.linspace(-1, 1, logits.numel()).view(logits.shape))
        found.append([logits, *support_gradients(model, ticket)])
    compiled.library.cache_clear()
    assert len(list((tmp_path / "ticketlens").glob("sparse-*.so"))) == 2
    for one, other in zip(*found, strict=True):
        assert same_bits(one.detach().numpy(), other.detach().numpy())


def test_weights_round_trip_between_the_dense_matrix_and_the_values(make_ticket):
    ticket = make_ticket(0.3, network=NETWORK)
    model = sparse_model(ticket)
    for layer, told in zip(model.layers, ticket.layers, strict=True):
        assert same_bits(layer.weight.numpy(), told.weight)
        layer.set_weight(torch.from_numpy(2 * told.weight))
        assert same_bits(layer.weight.numpy(), 2 * told.weight)
        assert same_bits(layer.bias.numpy(), told.bias)
    stored = torch.cat([view for layer in model.layers for view in (layer.values, layer.bias)])
    assert same_bits(model.stages[0].parameter.detach().numpy(), stored.numpy())


# --- what is refused, and what is left alone ---------------------------------------------------


def test_nothing_switches_by_itself(make_ticket):
    ticket = make_ticket(0.3)
    assert ticket.spec.training.sparse_below == 0
    model = build(ticket, masked=False)
    masks = [layer.mask for layer in ticket.layers]
    for below in (0.0, 0.1):
        spec = replace(ticket.spec.training, sparse_below=below)
        assert sparse.compressed(model, masks, ticket.spec.network, spec) is model


def test_a_full_layer_stays_dense_even_below_one(make_ticket):
    assert not any(map(sparse.is_sparse, sparse_model(make_ticket(), 1.0).layers))


@pytest.mark.parametrize(
    ("training", "network", "message"),
    [
        ({"sparse_kernel": "csr"}, {}, "training.sparse_kernel is 'csr'; allowed: c, or"),
        ({}, {"family": "resnet-fc", "hidden_layers": 3}, "network.family is 'resnet-fc'; allow"),
    ],
)
def test_what_the_sparse_step_cannot_do_is_refused(
    make_ticket, prepared, training, network, message
):
    ticket = make_ticket(0.3, training={**SPARSE, **training}, network=network)
    with pytest.raises(ValueError, match=f"sparse_below is 0.99, and {message}"):
        train(ticket, prepared)


def test_another_device_is_refused(make_ticket):
    ticket = make_ticket(0.3, training=SPARSE)
    masks = [layer.mask for layer in ticket.layers]
    model = build(ticket, masked=False).to("meta")
    with pytest.raises(ValueError, match="and the device is 'meta'; allowed: cpu, or"):
        sparse.compressed(model, masks, ticket.spec.network, ticket.spec.training)


def test_float64_is_refused_rather_than_misread(make_ticket):
    with pytest.raises(TypeError, match=r"float32, not torch\.float64"):
        sparse_model(make_ticket(0.3))(batch(4)[0].double())


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"PATH": "", "CC": ""}, r"no C compiler found \(looked for cc, gcc, clang\)"),
        ({"CC": "no-such-compiler"}, r"no C compiler found \(looked for no-such-compiler\)"),
        ({"CC": "false"}, "the C compiler failed: false"),
    ],
)
def test_without_a_compiler_the_way_out_is_named(
    make_ticket, prepared, monkeypatch, tmp_path, environment, message
):
    for name, value in {"XDG_CACHE_HOME": str(tmp_path), **environment}.items():
        monkeypatch.setenv(name, value)
    compiled.library.cache_clear()
    with pytest.raises(ValueError, match=f"(?s){message}.*install gcc.*sparse_below to 0"):
        train(make_ticket(0.3, training=SPARSE), prepared)
    compiled.library.cache_clear()
