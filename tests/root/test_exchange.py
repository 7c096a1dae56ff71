"""`ticketlens.exchange` reads what other software writes as that software computes with it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import safetensors.numpy
import safetensors.torch
import torch
from torch import nn
from torch.nn.utils import parametrize, prune

from foreign_model import sequential
from ticketlens import checkpoint, exchange
from ticketlens.exchange import ForeignFileError
from ticketlens.networks import Mask, build
from ticketlens.spec import NetworkSpec


def linears(model):
    return [module for module in model if isinstance(module, nn.Linear)]


def pruned(model, amount=0.5):
    for module in linears(model):
        prune.l1_unstructured(module, "weight", amount)
    return model


def effective(model):
    """The weights that the model computes with, as arrays."""
    return [module.weight.detach().numpy().copy() for module in linears(model)]


def assert_holds(found, weights, masks=None):
    masks = [weight != 0 for weight in weights] if masks is None else masks
    for layer, weight, mask in zip(found, weights, masks, strict=True):
        assert layer.weight.dtype == np.float32 and layer.weight.flags.c_contiguous
        assert np.array_equal(layer.weight, weight)
        assert np.array_equal(layer.mask, mask)
        assert not np.signbit(layer.weight[~layer.mask]).any()  # no −0.0


# --- forms -----------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_torch_prune_is_read_as_the_network_computes(tmp_path, suffix):
    model = pruned(sequential())
    path = tmp_path / f"model{suffix}"
    save = torch.save if suffix == ".pt" else safetensors.torch.save_file
    save(model.state_dict(), path)
    found = exchange.read(path)
    assert_holds(found, effective(model), [m.weight_mask.numpy() == 1 for m in linears(model)])
    assert all(
        np.array_equal(a.bias, b.bias.detach()) for a, b in zip(found, linears(model), strict=True)
    )
    assert [layer.name for layer in found] == ["0", "2", "4"]
    assert any("off its mask are not zero" in note for note in found.notes)  # weight_orig


def test_torch_ao_pruning_after_squash_is_read(tmp_path):
    from torch.ao.pruning import WeightNormSparsifier

    model = sequential()
    sparsifier = WeightNormSparsifier(0.5, sparse_block_shape=(1, 1), zeros_per_block=1)
    sparsifier.prepare(model, [{"tensor_fqn": "0.weight"}, {"tensor_fqn": "2.weight"}])
    sparsifier.step()
    # Its state dict lacks the masks: refused, saying what to save.
    torch.save(model.state_dict(), tmp_path / "bare.pt")
    with pytest.raises(ForeignFileError, match="squash_mask"):
        exchange.read(tmp_path / "bare.pt")
    # With the sparsifier's own state beside it the masks are there.
    state = sparsifier.state_dict()["state"]
    masks = {name: {"mask": entry["mask"]} for name, entry in state.items()}
    torch.save({"model": model.state_dict(), "sparsifier": {"state": masks}}, tmp_path / "both.pt")
    expected = effective(model)
    assert_holds(exchange.read(tmp_path / "both.pt"), expected)
    sparsifier.squash_mask()
    torch.save(model.state_dict(), tmp_path / "squashed.pt")
    assert_holds(exchange.read(tmp_path / "squashed.pt"), expected)


def test_parametrizations_with_masks_are_read(tmp_path):
    model = sequential()
    for module in linears(model):
        mask = torch.rand_like(module.weight) < 0.5
        parametrize.register_parametrization(module, "weight", Mask(mask))
    torch.save(model.state_dict(), tmp_path / "m.pt")
    masks = [m.parametrizations.weight[0].mask.numpy() for m in linears(model)]
    assert_holds(exchange.read(tmp_path / "m.pt"), effective(model), masks)


def test_a_mask_buffer_beside_the_weight_wins_over_the_weights_values(tmp_path):
    rng = np.random.default_rng(0)
    weight = rng.standard_normal((4, 5)).astype(np.float32)
    mask = rng.random((4, 5)) < 0.5
    weight[0, np.flatnonzero(mask[0])[0]] = 0.0  # a weight that training left at zero
    state = {"fc.weight": torch.from_numpy(weight), "fc.mask": torch.from_numpy(mask).float()}
    torch.save(state, tmp_path / "turbo.pt")
    found = exchange.read(tmp_path / "turbo.pt")
    assert_holds(found, [np.where(mask, weight, 0)], [mask])
    assert any("on its mask are exactly zero, and kept" in note for note in found.notes)


def open_lth_level(folder, with_init=True):
    model = sequential()
    names = ["fc_layers.0", "fc_layers.1", "fc"]
    torch.manual_seed(3)
    trained = {}
    mask = {}
    for name, module in zip(names, linears(model), strict=True):
        trained |= {f"{name}.weight": module.weight.detach(), f"{name}.bias": module.bias.detach()}
        mask[f"{name}.weight"] = (torch.rand_like(module.weight) < 0.5).int()
    del mask["fc.weight"]  # a level edited by hand: open_lth keeps full masks of what it ignores
    initial = {key: value + 1 for key, value in trained.items()}
    folder.mkdir()
    torch.save(mask, folder / "mask.pth")
    if with_init:
        torch.save(initial, folder / "model_ep0_it0.pth")
    torch.save(trained, folder / "model_ep40_it0.pth")
    torch.save(initial, folder / "model_ep4_it0.pth")
    return initial, trained, mask


@pytest.mark.parametrize("state", ["init", "trained"])
def test_a_level_of_open_lth_gives_theta_0_and_trained_weights_apart(tmp_path, state):
    initial, trained, mask = open_lth_level(tmp_path / "main")
    found = exchange.read(tmp_path / "main", state=state)
    assert found.state == state
    weights = initial if state == "init" else trained
    full = {"fc.weight": torch.ones(3, 6)} | mask
    for layer in found:
        expected = torch.where(
            full[f"{layer.name}.weight"] == 1, weights[f"{layer.name}.weight"], 0
        )
        assert np.array_equal(layer.weight, expected)
    assert [layer.name for layer in found] == ["fc_layers.0", "fc_layers.1", "fc"]


@pytest.mark.parametrize("suffix", [".npz", ".safetensors", ".pt"])
def test_masks_come_in_a_file_of_their_own(tmp_path, suffix):
    model = sequential()
    torch.save(model.state_dict(), tmp_path / "weights.pt")
    rng = np.random.default_rng(1)
    masks = {
        f"{i}.weight": rng.random(linears(model)[i // 2].weight.shape) < 0.5 for i in (0, 2, 4)
    }
    path = tmp_path / f"masks{suffix}"
    if suffix == ".npz":
        np.savez(path, **masks)
    elif suffix == ".pt":
        torch.save({key: torch.from_numpy(value) for key, value in masks.items()}, path)
    else:
        safetensors.numpy.save_file(masks, path)
    weights = [np.where(m, w, 0) for m, w in zip(masks.values(), effective(model), strict=True)]
    assert_holds(exchange.read(tmp_path / "weights.pt", masks=path), weights, list(masks.values()))
    alone = exchange.read(path)
    assert all(layer.weight is None for layer in alone)
    assert all(np.array_equal(a.mask, b) for a, b in zip(alone, masks.values(), strict=True))


@pytest.mark.parametrize("is_packed", [True, False])
def test_mask_trees_of_jaxpruner_are_read_and_their_kernels_transposed(tmp_path, is_packed):
    rng = np.random.default_rng(2)
    kernels = {"Conv_0": rng.standard_normal((3, 3, 2, 5)), "Dense_0": rng.standard_normal((5, 3))}
    masks = {name: (rng.random(k.shape) < 0.4).astype(np.uint8) for name, k in kernels.items()}
    arrays = {f"params/{name}/kernel": k.astype(np.float32) for name, k in kernels.items()}
    for name, mask in masks.items():
        arrays[f"masks/{name}/kernel"] = np.packbits(mask) if is_packed else mask
    np.savez(tmp_path / "jax.npz", **arrays)
    conv, dense = exchange.read(tmp_path / "jax.npz")
    assert conv.mask.shape == (5, 2, 3, 3) and dense.mask.shape == (3, 5)
    for out, inside in ((0, 1), (4, 0)):
        expected = kernels["Conv_0"][:, :, inside, out] * masks["Conv_0"][:, :, inside, out]
        assert np.allclose(conv.weight[out, inside], expected, atol=1e-6)
    assert np.array_equal(dense.mask, masks["Dense_0"].T == 1)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_other_types_of_weights_are_taken(tmp_path, dtype, suffix):
    model = pruned(sequential()).to(dtype)
    path = tmp_path / f"m{suffix}"
    (torch.save if suffix == ".pt" else safetensors.torch.save_file)(model.state_dict(), path)
    # Not `module.weight`: torch's prune leaves that as it was until the next forward pass.
    masks = [module.weight_mask.float().numpy() == 1 for module in linears(model)]
    weights = [module.weight_orig.detach().float().numpy() for module in linears(model)]
    expected = [np.where(mask, weight, 0) for mask, weight in zip(masks, weights, strict=True)]
    assert_holds(exchange.read(path), expected, masks)


def test_layers_beyond_ten_keep_their_order(tmp_path):
    state = {f"layers.{i}.weight": torch.full((2, 2), float(i + 1)) for i in range(12)}
    safetensors.torch.save_file(state, tmp_path / "m.safetensors")  # sorts by text: 10 before 2
    found = exchange.read(tmp_path / "m.safetensors")
    assert [layer.weight[0, 0] for layer in found] == list(range(1, 13))


def test_layers_without_biases_and_norms_between_layers(tmp_path):
    model = nn.Sequential(nn.Linear(4, 4, bias=False), nn.BatchNorm1d(4), nn.Linear(4, 2))
    torch.save(model.state_dict(), tmp_path / "m.pt")
    found = exchange.read(tmp_path / "m.pt")
    assert [layer.name for layer in found] == ["0", "2"] and found[0].bias is None
    with pytest.raises(ValueError, match="layer 1 is a batch norm"):
        exchange.to_checkpoint(found, {})


def test_an_optimisers_tensors_beside_the_model_are_not_layers(tmp_path):
    model = sequential()
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.randn(3, 12)).sum().backward()
    optimizer.step()
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3}
    torch.save(state, tmp_path / "run.pt")
    found = exchange.read(tmp_path / "run.pt")
    assert [layer.name for layer in found] == ["0", "2", "4"]
    assert "optimizer.state.0.exp_avg" in found.skipped


# --- as checkpoints --------------------------------------------------------------------------


def test_with_a_network_the_layers_become_a_checkpoint_that_computes_the_same(tmp_path):
    model = pruned(sequential())
    torch.save(model.state_dict(), tmp_path / "m.pt")
    ticket = exchange.read(tmp_path / "m.pt", {"activation": "tanh"}, state="init")
    checkpoint.check(ticket)
    assert ticket.kind == "ticket" and ticket.spec.network.widths == (8, 6)
    images = torch.randn(5, *(ticket.spec.dataset.shape[2], *ticket.spec.dataset.shape[:2]))
    with torch.no_grad():
        assert torch.allclose(build(ticket)(images), model(images.flatten(1)), atol=1e-6)
    with pytest.raises(ValueError, match="3 layers; the network has 9"):
        exchange.read(tmp_path / "m.pt", NetworkSpec())


def test_stride_and_padding_of_convolutions_are_asked_for_and_used(tmp_path):
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(),
        nn.Conv2d(4, 4, 3, stride=2, padding=1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2),
    )  # fmt: skip
    torch.save(model.state_dict(), tmp_path / "m.pt")
    with pytest.raises(ValueError, match="leaves out stride and padding"):
        exchange.read(tmp_path / "m.pt", {"activation": "relu"})
    said = {"activation": "relu", "stride": [1, 2], "padding": "zeros"}
    ticket = exchange.read(tmp_path / "m.pt", said)
    images = torch.randn(3, 3, 8, 8)
    with torch.no_grad():
        assert torch.allclose(build(ticket)(images), model(images), atol=1e-6)


def test_a_grouped_convolution_is_refused_by_its_name_where_it_matters(tmp_path):
    model = nn.Sequential(nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 3, groups=2), nn.Linear(4, 2))
    torch.save(model.state_dict(), tmp_path / "m.pt")
    found = exchange.read(tmp_path / "m.pt")
    assert len(found) == 3
    with pytest.raises(ValueError, match=r"layer 1 has shape \(4, 2, 3, 3\).*grouped") as caught:
        exchange.to_checkpoint(found, {"stride": 1, "padding": "zeros"})
    assert "another order" not in str(caught.value)  # the readout's two outputs are no input here


def test_bfloat16_in_npz_is_taken_where_numpy_wrote_two_bytes_without_a_type(tmp_path):
    """numpy 2.4.1 with ml_dtypes 0.5.4, as JAX users have it: the header says |V2."""
    weight = torch.randn(4, 3).bfloat16()
    bits = weight.view(torch.int16).numpy().view("V2")
    for name, array, wanted in (("params/Dense_0/kernel", bits, weight.T), ("w", bits, weight),
                                ("w", np.asfortranarray(bits), weight)):  # fmt: skip
        np.savez(tmp_path / "m.npz", **{name: array})
        (layer,) = exchange.read(tmp_path / "m.npz")
        assert np.array_equal(layer.weight, wanted.float().numpy())


def test_a_ticket_of_a_study_is_checked_against_network_and_data_set(tmp_path, make_ticket):
    own = make_ticket(0.5)
    exchange.write(own, tmp_path / "t.safetensors")
    taken = exchange.ticket(tmp_path / "t.safetensors", own.spec, "mine", 3, 4)
    assert (taken.kind, taken.study, taken.seed, taken.round) == ("ticket", "mine", 3, 4)
    for one, other in zip(taken.layers, own.layers, strict=True):
        assert np.array_equal(one.weight, other.weight) and one.name == other.name
    other = replace(own.spec.network, hidden_layers=3)
    with pytest.raises(ForeignFileError, match=r"t.safetensors: 3 layers; the network has 4"):
        exchange.ticket(tmp_path / "t.safetensors", own.spec.replace(network=other), "mine", 3, 4)
    images = replace(own.spec.dataset, shape=(5, 5, 3))
    with pytest.raises(ForeignFileError, match=r"hidden1 has shape|layers.0 has shape"):
        exchange.ticket(tmp_path / "t.safetensors", own.spec.replace(dataset=images), "mine", 3, 4)


def test_a_level_that_rewinds_later_starts_where_its_first_model_was_saved(tmp_path):
    """open_lth saves a level at its start, ep0_it500 with rewinding to step 500, and at its end."""
    initial, trained, _ = open_lth_level(tmp_path / "main", with_init=False)
    (tmp_path / "main/model_ep4_it0.pth").rename(tmp_path / "main/model_ep0_it500.pth")
    for state, weights in (("init", initial), ("trained", trained), (None, initial)):
        found = exchange.read(tmp_path / "main", state=state)
        assert found.state == (state or "init")
        kept = found[0].mask
        assert np.array_equal(found[0].weight[kept], weights["fc_layers.0.weight"].numpy()[kept])
