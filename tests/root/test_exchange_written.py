"""What `ticketlens.exchange` writes is read again to the bit, and by PyTorch itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import safetensors.torch
import torch
from torch.nn.utils import prune

from core_tools import same_bits
from ticketlens import exchange
from ticketlens.networks import build


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
