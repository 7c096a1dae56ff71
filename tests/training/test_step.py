"""The step: gradients written out, captured and replayed, without a word to the host."""

from __future__ import annotations

import os

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils import deterministic
from torch.utils._python_dispatch import TorchDispatchMode

from core_tools import kernels, same_bits
from ticketlens.networks import build
from ticketlens.training import gradients, gradients_conv, loop, optimization, step
from ticketlens.training.loop import train

CONV = {"family": "convolutional", "width": 4}
RESNET = {"family": "resnet-conv", "hidden_layers": 3, "width": 4}
NETWORKS = {"fcnet": {}, "convnet": CONV, "resnet": RESNET}
ADAM = {"optimizer": "adam", "learning_rate": 0.01, "weight_decay": 0.01, "schedule": "cosine"}
needs_onednn = pytest.mark.skipif("onednn" not in kernels(), reason="this PyTorch has no oneDNN")


def batch(number, count=16):
    rng = np.random.default_rng(number)
    images = torch.from_numpy(rng.standard_normal((count, 3, 6, 6)).astype(np.float32))
    return images, torch.from_numpy(rng.integers(0, 3, count))


def new_run(ticket, device="cpu"):
    model = build(ticket, ticket.spec.training.kernel, masked=False).to(device)
    return loop._Run(ticket, ticket.spec.training, model, torch.device(device))


def bits(run):
    return [tensor.detach().numpy() for tensor in run.descent.state()]


def assert_same(one, other):
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        assert same_bits(a, b)


# --- written out -------------------------------------------------------------------------------


@needs_onednn
@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("strides", [1, [1, 2, 1]])
def test_channels_last_are_the_gradients_of_float64_with_two_runs_alike(
    make_ticket, strides, activation
):
    network = {**CONV, "hidden_layers": 3, "width": 16, "stride": strides, "activation": activation}
    ticket = make_ticket(0.5, network=network, training={"kernel": "onednn-channels-last"})
    model = build(ticket, "onednn-channels-last", masked=False)
    exact = build(ticket, "aten", masked=False).double()
    images, labels = batch(0, 37)
    found = gradients_conv.gradients(model)
    first, again = found(images, labels), found(images, labels)
    _, logits, wanted = step._by_autograd(exact, list(exact.parameters()))(images.double(), labels)
    torch.testing.assert_close(first[1].double(), logits, rtol=1e-5, atol=1e-5)
    for one, other, true in zip(first[2], again[2], wanted, strict=True):
        assert one.is_contiguous()
        assert same_bits(one.numpy(), other.numpy())
        scale = float(true.abs().max())
        torch.testing.assert_close(one.double(), true, rtol=0, atol=1e-5 * scale)


@needs_onednn
@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize(
    ("module", "network"),
    [
        (gradients, {"hidden_layers": 3, "width": 100}),
        (gradients_conv, {**CONV, "hidden_layers": 3}),
        (gradients_conv, {**CONV, "hidden_layers": 3, "width": 16, "kernel": 5}),
        (gradients_conv, {**CONV, "hidden_layers": 2, "kernel": 1}),
        (gradients_conv, {**CONV, "hidden_layers": 3, "stride": 2}),
        (gradients_conv, {**CONV, "kernel": [5, 1, 3], "stride": [1, 2, 1], "widths": [8, 4, 6]}),
        (gradients, {"widths": [30, 10]}),
    ],
    ids=["linear", "3×3", "5×5", "1×1", "stride", "lists", "widths"],
)
def test_gradients_written_out_are_autograds_bit_for_bit(make_ticket, module, network, activation):
    ticket = make_ticket(
        0.5, network={**network, "activation": activation}, training={"kernel": "onednn"}
    )
    model = build(ticket, "onednn", masked=False)
    by_hand = module.gradients(model)
    by_autograd = step._by_autograd(model, list(model.parameters()))
    for number, count in enumerate((37, 37, 16)):
        one, other = (found(*batch(number, count)) for found in (by_hand, by_autograd))
        assert_same([x.numpy() for x in one[:2]], [x.numpy() for x in other[:2]])
        assert_same([x.numpy() for x in one[2]], [x.numpy() for x in other[2]])


@needs_onednn
def test_what_is_not_a_plain_chain_of_onednn_layers_in_float32_is_left_to_autograd(make_ticket):
    assert gradients.gradients(build(make_ticket(), "onednn", masked=False))
    assert gradients.gradients(build(make_ticket(), "aten", masked=False)) is None
    assert gradients.gradients(build(make_ticket(0.5), "onednn")) is None  # holds its mask itself
    assert gradients.gradients(build(make_ticket(), "onednn", masked=False).double()) is None
    assert (
        gradients.gradients(
            build(make_ticket(network={"activation": "erf"}), "onednn", masked=False)
        )
        is None
    )
    for network in (CONV, RESNET, {"family": "resnet-fc", "hidden_layers": 3}):
        assert (
            gradients.gradients(build(make_ticket(network=network), "onednn", masked=False)) is None
        )


@needs_onednn
def test_convolutions_that_are_not_a_plain_circular_chain_are_left_to_autograd(make_ticket):
    plain = make_ticket(network=CONV)
    assert gradients_conv.gradients(build(plain, "onednn", masked=False))
    assert gradients_conv.gradients(build(plain, "aten", masked=False)) is None
    assert gradients_conv.gradients(build(plain, "onednn")) is None  # holds its mask itself
    assert gradients_conv.gradients(build(plain, "onednn", masked=False).double()) is None
    for network in ({**CONV, "padding": "zeros"}, {**CONV, "activation": "erf"}, RESNET, {}):
        assert (
            gradients_conv.gradients(build(make_ticket(network=network), "onednn", masked=False))
            is None
        )


@given(st.integers(0, 2), st.integers(0, 4), st.integers(0, 4), st.integers(0, 9))
def test_folding_is_the_adjoint_of_wrapping(margin, height, width, seed):
    """<wrap x, g> = <x, fold g> for all x, g; and wrapped images are those of numpy."""
    rng = np.random.default_rng(seed)
    sides = (2, 3, margin + 1 + height, margin + 1 + width)
    images = rng.standard_normal(sides)
    wrapped = np.pad(images, ((0, 0), (0, 0), (margin, margin), (margin, margin)), mode="wrap")
    padded = torch.from_numpy(rng.standard_normal(wrapped.shape))
    gradients_conv.interior(padded, margin).copy_(torch.from_numpy(images))
    gradients_conv.wrap(padded, margin)
    assert np.array_equal(padded.numpy(), wrapped)
    grad = rng.standard_normal(wrapped.shape)
    folded = torch.from_numpy(grad.copy())
    gradients_conv.fold(folded, margin)
    inner = gradients_conv.interior(folded, margin).numpy()
    assert np.isclose((wrapped * grad).sum(), (images * inner).sum(), rtol=1e-12)


@pytest.mark.parametrize("kernel", kernels())
@pytest.mark.parametrize(
    "options",
    [{}, {"momentum": 0.0}, {"weight_decay": 0.01}, {"optimizer": "adam", "weight_decay": 0.01}],
    ids=["SGD", "no momentum", "decay", "Adam"],
)
@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS.keys())
def test_the_step_ends_in_the_bits_of_torch_optim(make_ticket, network, options, kernel):
    """The step as one would write it with backward() and an optimiser of torch.optim."""
    ticket = make_ticket(0.5, network=network, training={**options, "kernel": kernel})
    spec, run = ticket.spec.training, new_run(ticket)
    model = build(ticket, kernel, masked=False)
    masks = [torch.from_numpy(layer.mask).float() for layer in ticket.layers]
    common = {"lr": 0.1, "weight_decay": spec.weight_decay, "fused": True}
    if spec.optimizer == "sgd":
        optimizer = torch.optim.SGD(model.parameters(), momentum=spec.momentum, **common)
    else:
        optimizer = torch.optim.Adam(model.parameters(), betas=(spec.momentum, 0.999), **common)
    for number in range(5):
        images, labels = batch(number)
        rate = 0.05 / (1 + number)
        run.take_step(images, labels, rate)
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(images), labels).backward()
        for layer, mask in zip(model.layers, masks, strict=True):
            layer.weight.grad *= mask
        optimizer.param_groups[0]["lr"] = rate
        optimizer.step()
    found = [parameter.detach().numpy() for parameter in run.parameters]
    assert_same(found, [parameter.detach().numpy() for parameter in model.parameters()])


def test_every_slot_starts_at_zero_and_moves(make_ticket):
    for name, count in (("sgd", 1), ("adam", 3)):
        run = new_run(make_ticket(training={"optimizer": name}))
        slots = run.descent.optimizer.slots
        assert len(slots) == count
        assert not any(slot.any() for values in slots.values() for slot in values)
        run.take_step(*batch(0), 0.01)
        assert all(slot.any() for values in slots.values() for slot in values)


# --- captured and replayed ---------------------------------------------------------------------


def fake_graph(body):
    """Stand for `cuda_graph` on a CPU: warm up, then replay by doing it again."""
    for _ in range(step.WARM_UP):
        body()
    body()
    return body


@pytest.fixture
def captured(monkeypatch):
    """Let trainings on the CPU take captured steps."""
    monkeypatch.setattr(loop, "is_captured", lambda device: True)
    monkeypatch.setattr(step, "cuda_graph", fake_graph)


@pytest.mark.parametrize("options", [{}, ADAM], ids=["SGD", "Adam, cosine"])
@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS.keys())
def test_captured_steps_are_the_steps_and_the_warm_up_leaves_no_trace(
    make_ticket, network, options
):
    ticket = make_ticket(0.5, network=network, training=options)
    run, plain = new_run(ticket), new_run(ticket)
    run.advance = step.Captured(run.descent, fake_graph)
    for number in range(4):
        rate = 0.5 ** (4 + number)  # a float32, as the rate of a captured step is
        run.take_step(*batch(number), rate)
        plain.take_step(*batch(number), rate)
        assert_same(bits(run), bits(plain))


def test_a_warm_up_that_is_not_undone_would_be_seen(make_ticket, monkeypatch):
    run, plain = new_run(make_ticket()), new_run(make_ticket())
    run.advance = step.Captured(run.descent, fake_graph)
    monkeypatch.setattr(step.Step, "state", lambda self: [])
    run.take_step(*batch(0), 0.5)
    plain.take_step(*batch(0), 0.5)
    assert not torch.equal(run.parameters[0], plain.parameters[0])


@pytest.mark.parametrize("options", [{}, ADAM], ids=["SGD", "Adam, cosine"])
def test_a_captured_run_that_was_stopped_ends_in_the_bits_of_one_that_was_not(
    make_ticket, prepared, tmp_path, captured, monkeypatch, options
):
    ticket, partial = make_ticket(0.5, training=options), tmp_path / "partial.h5"
    whole, _ = train(ticket, prepared)
    monkeypatch.setattr(loop.resume.Saver, "overdue", lambda saver: True)
    take_step, count = loop._Run.take_step, iter(range(100))

    def dying(run, *arguments):
        if next(count) == 9:
            raise KeyboardInterrupt
        take_step(run, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(loop._Run, "take_step", dying)
        with pytest.raises(KeyboardInterrupt):
            train(ticket, prepared, partial)
    assert partial.is_file()
    resumed, _ = train(ticket, prepared, partial)
    for one, other in zip(resumed.layers, whole.layers, strict=True):
        assert_same([one.weight, one.bias], [other.weight, other.bias])
    for name, values in whole.history.items():
        assert same_bits(np.asarray(values, float), np.asarray(resumed.history[name], float))


# --- no word to the host -----------------------------------------------------------------------


class Silent(TorchDispatchMode):
    """Refuse whatever makes the host wait for a GPU: values read, copies between devices."""

    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
        keywords, name = keywords or {}, function.overloadpacket.__name__
        if name in ("_local_scalar_dense", "item", "nonzero", "masked_select", "equal"):
            raise AssertionError(f"{name} waits for the device")
        if name == "index" and any(
            at is not None and at.dtype == torch.bool for at in arguments[1]
        ):
            raise AssertionError("index by a mask waits for its count")
        devices = {value.device.type for value in arguments if isinstance(value, torch.Tensor)}
        found = function(*arguments, **keywords)
        if isinstance(found, torch.Tensor) and name in ("_to_copy", "copy_"):
            devices |= {found.device.type}
            if len(devices) > 1:
                raise AssertionError(f"{name} between {sorted(devices)}")
        return found


def test_the_guard_sees_values_that_are_read():
    value = torch.ones(2)
    with Silent():
        for reading in (
            lambda: value.sum().item(), lambda: bool(value.any()), lambda: float(value[0]),
            lambda: value[value > 0], lambda: value.nonzero(), lambda: value.to("meta"),
        ):  # fmt: skip
            with pytest.raises(AssertionError, match=r"waits for|between"):
                reading()


@pytest.mark.parametrize("options", [{}, ADAM], ids=["SGD", "Adam, cosine"])
@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS.keys())
def test_nothing_is_read_from_the_device_within_an_epoch(
    make_ticket, prepared, captured, monkeypatch, network, options
):
    """All that an epoch does on the device, gathering batches included, but saving."""
    take = loop.take_epoch
    epochs = []

    def silent(run, *arguments):
        with Silent():
            take(run, *arguments)
        epochs.append(run.epoch)

    monkeypatch.setattr(loop, "take_epoch", silent)
    train(make_ticket(0.5, network=network, training=options), prepared)
    assert epochs == [0, 1, 2]


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS.keys())
def test_a_step_runs_where_there_are_no_values_at_all(make_ticket, monkeypatch, network):
    """On torch's `meta` device every attempt to look at a number raises."""
    monkeypatch.setattr(torch, "_fused_sgd_", lambda *_, **__: None)  # not made for it
    ticket = make_ticket(network=network)
    model = build(ticket, "aten", masked=False).to("meta")
    monkeypatch.setattr(torch.Tensor, "all", lambda _: False)  # a mask is read, once
    masks = [torch.empty_like(layer.weight, dtype=torch.bool) for layer in model.layers]
    one = step.Step(ticket.spec.training, model, masks)
    monkeypatch.undo()
    monkeypatch.setattr(torch, "_fused_sgd_", lambda *_, **__: None)
    images, labels = (tensor.to("meta") for tensor in batch(0))
    for _ in range(2):
        one(images, labels, 0.1)


# --- the device --------------------------------------------------------------------------------


@pytest.fixture
def pretended_gpu(monkeypatch):
    """Let torch say that there is a GPU, and put its settings back afterwards."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    places = [
        (torch.backends.cuda.matmul, "allow_tf32"), (torch.backends.cudnn, "allow_tf32"),
        (torch.backends.cudnn, "benchmark"), (deterministic, "fill_uninitialized_memory"),
    ]  # fmt: skip
    before = [getattr(*place) for place in places]
    yield
    for place, value in zip(places, before, strict=True):
        setattr(*place, value)
    torch.use_deterministic_algorithms(False)
    os.environ.pop("CUBLAS_WORKSPACE_CONFIG", None)


def test_a_gpu_is_asked_for_the_same_bits_each_time(make_ticket, pretended_gpu):
    torch.backends.cudnn.benchmark = torch.backends.cuda.matmul.allow_tf32 = True
    spec = make_ticket(training={"device": "cuda"}).spec.training
    assert optimization.prepare_device(spec).type == "cuda"
    assert torch.are_deterministic_algorithms_enabled()
    assert not torch.backends.cudnn.benchmark and not torch.backends.cuda.matmul.allow_tf32
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"


def test_the_cpu_is_left_as_it_is(make_ticket, pretended_gpu):
    """Its bits are in banked chains; there, the settings would change some, and cost time."""
    assert optimization.prepare_device(make_ticket().spec.training).type == "cpu"
    assert not torch.are_deterministic_algorithms_enabled()
    assert "CUBLAS_WORKSPACE_CONFIG" not in os.environ


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_on_a_gpu_captured_runs_repeat_themselves_and_are_near_the_cpus(make_ticket, prepared):
    tickets = [make_ticket(0.5, training={"device": name}) for name in ("cuda", "cuda", "cpu")]
    one, other, cpu = (train(ticket, prepared)[0] for ticket in tickets)
    for a, b, c in zip(one.layers, other.layers, cpu.layers, strict=True):
        assert same_bits(a.weight, b.weight) and same_bits(a.bias, b.bias)
        assert np.allclose(a.weight, c.weight, atol=1e-4)


@pytest.mark.parametrize("network", [{}, CONV, RESNET], ids=NETWORKS)
def test_autocast_rounds_to_bfloat16_and_keeps_float32_masters(make_ticket, network):
    options = {"kernel": "aten"}
    images, labels = batch(3)
    gradients_by = {}
    for precision in ("float32", "autocast"):
        run = new_run(
            make_ticket(0.5, network=network, training={**options, "precision": precision})
        )
        loss, logits, found = run.descent.gradients(images, labels)
        assert {part.dtype for part in (loss, logits, *found, *run.parameters)} == {torch.float32}
        assert all(part.is_contiguous() for part in found)
        gradients_by[precision] = torch.cat([part.flatten() for part in found])
    exact, rounded = gradients_by["float32"], gradients_by["autocast"]
    gap = ((rounded - exact).norm() / exact.norm()).item()
    assert 1e-4 < gap < 0.03  # eight bits, and not float32 by another name


def test_a_training_by_autocast_repeats_itself_and_holds_its_mask(make_ticket, prepared):
    ticket = make_ticket(0.5, network=CONV, training={"kernel": "aten", "precision": "autocast"})
    (one, _), (other, _) = (train(ticket, prepared) for _ in range(2))
    for a, b in zip(one.layers, other.layers, strict=True):
        assert same_bits(a.weight, b.weight) and not a.weight[~a.mask].any()
