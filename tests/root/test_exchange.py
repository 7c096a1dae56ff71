"""`ticketlens.exchange` against files that the real software wrote, and against bad ones."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import safetensors.numpy
import safetensors.torch
import torch
from torch import nn
from torch.nn.utils import parametrize, prune

from core_tools import same_bits
from ticketlens import checkpoint, exchange
from ticketlens.exchange import ForeignFileError
from ticketlens.networks import Mask, build
from ticketlens.spec import NetworkSpec

SIZES = (12, 8, 6, 3)


def sequential(bias=True, seed=0):
    torch.manual_seed(seed)
    layers = [nn.Linear(a, b, bias=bias) for a, b in pairwise(SIZES)]
    return nn.Sequential(layers[0], nn.Tanh(), layers[1], nn.Tanh(), layers[2])


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


# --- round trips -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["t.safetensors", "t.pt", "level_3"])
@pytest.mark.parametrize("family", ["fully-connected", "convolutional"])
@pytest.mark.parametrize("is_trained", [True, False])
def test_round_trips_are_exact_to_the_bit(
    tmp_path, make_ticket, make_trained, name, family, is_trained
):
    ticket = make_ticket(0.4, round_=3, network={"family": family}, init={"scheme": "orthogonal"})
    thing = make_trained(ticket) if is_trained else ticket
    exchange.write(thing, tmp_path / name)
    found = exchange.read(tmp_path / name)
    assert found.attrs == thing.attrs and found.kind == thing.kind
    for one, other in zip(found.layers, thing.layers, strict=True):
        assert same_bits(one.weight, np.ascontiguousarray(other.weight))
        assert same_bits(one.bias, other.bias) and same_bits(one.mask, other.mask)
        assert one.name == other.name


@pytest.mark.parametrize("name", ["t.safetensors", "t.pt"])
def test_modules_under_torch_prune_load_it_strictly(tmp_path, make_ticket, name):
    ticket = make_ticket(0.4)
    path = tmp_path / name
    exchange.write(ticket, path)
    state = safetensors.torch.load_file(path) if "safe" in name else torch.load(path)
    model = build(make_ticket(seed=9), masked=False)
    for layer in model.layers:
        prune.identity(layer, "weight")
    model.load_state_dict(state, strict=True)
    images = torch.randn(4, 3, 6, 6)
    with torch.no_grad():
        assert torch.equal(model(images), build(ticket)(images))


@pytest.mark.parametrize("place", ["t.pt", "t.safetensors", "level_1/main"])
def test_plain_layers_keep_the_names_that_they_have_in_their_model(tmp_path, make_ticket, place):
    names = ["encoder.first", "encoder.second", "head"]
    plain = [replace(x, name=n) for x, n in zip(make_ticket(0.5).layers, names, strict=True)]
    exchange.write(exchange.Layers(tuple(plain), "trained", "model.pt"), tmp_path / place)
    again = exchange.read(tmp_path / place)
    assert [layer.name for layer in again] == names
    for one, other in zip(plain, again, strict=True):
        assert one.weight.tobytes() == other.weight.tobytes()
        assert np.array_equal(one.mask, other.mask) and np.array_equal(one.bias, other.bias)


def test_names_of_your_own_modules_are_used(tmp_path, make_ticket):
    exchange.write(make_ticket(0.5), tmp_path / "t.pt", names=["a", "b", "c"])
    assert set(torch.load(tmp_path / "t.pt")) == {
        f"{n}.{part}" for n in "abc" for part in ("bias", "weight_orig", "weight_mask")
    }
    with pytest.raises(ValueError, match="2 different names for 3 layers"):
        exchange.write(make_ticket(), tmp_path / "t.pt", names=["a", "b", "b"])


def test_an_open_lth_folder_is_not_written_over(tmp_path, make_ticket):
    exchange.write(make_ticket(), tmp_path / "level")
    with pytest.raises(ValueError, match="not an empty folder"):
        exchange.write(make_ticket(), tmp_path / "level")
    with pytest.raises(ValueError, match="form is 'onnx'"):
        exchange.write(make_ticket(), tmp_path / "x", form="onnx")


# --- bad files -------------------------------------------------------------------------------


class Evil:
    def __reduce__(self):
        return (print, ("code ran",))


def npy(array, shape=None):
    buffer = io.BytesIO()
    if shape is None:
        np.save(buffer, array, allow_pickle=True)
    else:
        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(buffer, header)
        buffer.write(array.tobytes())
    return buffer.getvalue()


def zipped(**members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name + ".npy", content)
    return buffer.getvalue()


def safe(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def entry(shape, begin, end, kind="F32"):
    return {"dtype": kind, "shape": shape, "data_offsets": [begin, end]}


BAD = {
    "empty.safetensors": (b"", "not a safetensors file"),
    "long.safetensors": (b"\xff" * 8 + b"{}", "not a safetensors file"),
    "json.safetensors": (safe(b"{nonsense}"), "not JSON"),
    "deep.safetensors": (safe(b"[" * 10**5), "not JSON"),
    "list.safetensors": (safe([1]), "not an object"),
    "none.safetensors": (safe({}), "no tensors"),
    "cut.safetensors": (safe({"a.weight": entry([2, 2], 0, 16)}, b"123"), "ends beyond the file"),
    "wrong.safetensors": (safe({"a.weight": entry([2, 3], 0, 16)}, b"0" * 16), "16 bytes for"),
    "huge.safetensors": (safe({"a.weight": entry([2**40, 2**40], 0, 16)}, b"0" * 16), "bytes for"),
    "negative.safetensors": (safe({"a.weight": entry([-1, 2], 0, 16)}, b"0" * 16), "not numbers"),
    "twice.safetensors": (
        safe(b'{"a.weight":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},'
             b'"a.weight":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', b"0000"),
        "stands twice",
    ),
    "overlap.safetensors": (
        safe({f"{n}.weight": entry([2, 2], 0, 16) for n in "ab"}, b"0" * 16), "overlap",
    ),
    "fp8.safetensors": (safe({"a.weight": entry([2, 2], 0, 4, "F8_E4M3")}, b"0" * 4), "dequantise"),
    "nan.safetensors": (
        safe({"a.weight": entry([1, 1], 0, 4)}, np.float32("nan").tobytes()), "not finite",
    ),
    "vector.safetensors": (safe({"a.weight": entry([4], 0, 16)}, b"0" * 16), "no layer with a 2-D"),
    "empty.npz": (b"", "not a whole .npz"),
    "text.npz": (b"hello", "not a whole .npz"),
    "pickle.npz": (zipped(a=npy(np.array([Evil()], dtype=object))), "which are pickles"),
    "bomb.npz": (zipped(a=npy(np.zeros(4, np.float32), (2**20, 2**20))), "more than its member"),
    "half.npz": (zipped(a=npy(np.zeros((4, 4), np.float32)))[:-40], "not a whole .npz"),
    "empty.pt": (b"", "PyTorch file"),
    "text.pt": (b"hello world", "PyTorch file"),
    "evil.pt": (pickle.dumps(Evil()), "could run code|PyTorch file"),
    "page.pth": (b"<!DOCTYPE html><html>", "neither a zip nor a pickle"),
    "pointer.pt": (b"version https://git-lfs.github.com/spec/v1\nsize 9\n", "git lfs pull"),
    "model.onnx": (b"\x08\x07", "suffix '.onnx'"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_one_clear_line_and_run_no_code(tmp_path, name, capsys):
    content, message = BAD[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ForeignFileError, match=message) as caught:
        exchange.read(tmp_path / name)
    assert name in str(caught.value) and "\n" not in str(caught.value)
    assert "code ran" not in capsys.readouterr().out


def test_a_pickled_module_is_refused_with_the_way_out(tmp_path):
    torch.save(sequential(), tmp_path / "module.pt")
    with pytest.raises(ForeignFileError, match=r"save `model.state_dict\(\)`"):
        exchange.read(tmp_path / "module.pt")


def test_a_zip_with_compressed_weights_is_refused_not_read_as_other_weights(tmp_path):
    """A memory-mapped torch.load takes compressed bytes for weights, without a word (2.13)."""
    torch.save({"a.weight": torch.zeros(4, 4)}, tmp_path / "plain.pt")
    new = zipfile.ZipFile(tmp_path / "zipped.pt", "w", zipfile.ZIP_DEFLATED)
    with new, zipfile.ZipFile(tmp_path / "plain.pt") as old:
        for member in old.infolist():
            new.writestr(member.filename, old.read(member))
    with pytest.raises(ForeignFileError, match=r"zipped.pt: .*compressed"):
        exchange.read(tmp_path / "zipped.pt")


def test_a_tensor_that_poses_as_a_large_one_is_refused(tmp_path):
    torch.save({"a.weight": torch.zeros(1).expand(2**14, 2**14)}, tmp_path / "wide.pt")
    with pytest.raises(ForeignFileError, match="more than its storage holds"):
        exchange.read(tmp_path / "wide.pt")


def test_every_cut_of_a_file_is_refused(tmp_path, make_ticket):
    for name in ("t.safetensors", "t.pt"):
        path = tmp_path / name
        exchange.write(make_ticket(0.5), path)
        whole = path.read_bytes()
        for length in range(0, len(whole), max(1, len(whole) // 25)):
            path.write_bytes(whole[:length])
            with pytest.raises(ForeignFileError, match=name):
                exchange.read(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"a.mask": torch.full((2, 3), 0.5)}, "values other than 0 and 1"),
        ({"a.mask": torch.ones(3, 2)}, r"mask has shape \(3, 2\)"),
        ({"a.bias": torch.ones(5)}, "bias has shape"),
        ({"a.mask": torch.ones(2, 3), "a.weight_mask": torch.ones(2, 3)}, "two of a kind"),
    ],
)
def test_tensors_that_do_not_fit_are_refused_by_layer(tmp_path, change, message):
    torch.save({"a.weight": torch.ones(2, 3)} | change, tmp_path / "m.pt")
    with pytest.raises(ForeignFileError, match=message) as caught:
        exchange.read(tmp_path / "m.pt")
    assert "layer a" in str(caught.value)


def test_masks_of_layers_that_are_not_there_are_refused(tmp_path):
    torch.save({"a.weight": torch.ones(2, 3)}, tmp_path / "m.pt")
    np.savez(tmp_path / "masks.npz", **{"b.weight": np.ones((2, 3), bool)})
    with pytest.raises(ForeignFileError, match=r"b\.weight is not the mask of a layer; layers: a"):
        exchange.read(tmp_path / "m.pt", masks=tmp_path / "masks.npz")
    with pytest.raises(FileNotFoundError, match="no such file"):
        exchange.read(tmp_path / "absent.pt")
    (tmp_path / "folder").mkdir()
    with pytest.raises(ForeignFileError, match="not the folder of an open_lth level"):
        exchange.read(tmp_path / "folder")


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
