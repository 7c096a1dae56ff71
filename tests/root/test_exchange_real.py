"""Files that other systems wrote themselves are read as those systems compute with them.

tests/root/foreign has files and outputs; tests/tools/write_foreign.py says how they were made:
sparsimony 0.1.0, TurboPrune 9db458e, jaxpruner f133ee5 on JAX 0.7.2 and Flax 0.12.0, open_lth
2ce732f; PyTorch 2.13.0.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from ticketlens import exchange, lens
from ticketlens.networks import build

FOLDER = Path(__file__).parent / "foreign"
# name, file or folder, state, activation, the density that the system was told
FILES = (
    ("sparsimony", "sparsimony.pt", None, "tanh", 0.4),
    ("turboprune", "turboprune.pt", None, "tanh", 0.4),
    ("jaxpruner", "jaxpruner.npz", None, "tanh", 0.4),
    ("jaxpruner-packed", "jaxpruner-packed.npz", None, "tanh", 0.4),
    ("open_lth-init", "open_lth/level_1/main", "init", "relu", 0.4),
    ("open_lth-trained", "open_lth/level_1/main", "trained", "relu", 0.4),
)


@pytest.mark.parametrize(("name", "file", "state", "activation", "density"), FILES)
def test_a_file_of_the_real_software_computes_what_it_computed_there(
    name, file, state, activation, density
):
    layers = exchange.read(FOLDER / file, state=state)
    # Flax numbered them as they were constructed: in Dense(3)(tanh(Dense(9)(x))) the outer first.
    in_order = [layers[0], layers[2], layers[1]] if name.startswith("jaxpruner") else layers
    ordered = exchange.Layers(tuple(in_order), layers.state)
    found = exchange.to_checkpoint(ordered, {"activation": activation})
    assert found.kind == ("ticket" if state == "init" else "trained")
    assert found.density == pytest.approx(density, abs=0.02)
    with np.load(FOLDER / f"{name}.expected.npz") as expected:
        inputs, outputs = expected["inputs"], expected["outputs"]
    with torch.no_grad():
        own = build(found)(torch.from_numpy(inputs.reshape(len(inputs), -1)))
    assert np.allclose(own.numpy(), outputs, atol=1e-5)


def test_a_level_of_open_lth_says_which_of_its_models_was_taken():
    found = exchange.read(FOLDER / "open_lth/level_1/main")
    assert found.state == "init"
    assert any("model_ep0_it0.pth" in note and "initial" in note for note in found.notes)


def test_what_a_training_keeps_beside_its_masks_is_no_layer():
    """RigL of sparsimony keeps dense gradients of the weights' shape beside every mask."""
    found = exchange.read(FOLDER / "sparsimony.pt")
    assert [layer.name for layer in found] == ["0", "2", "4"]
    assert all(name.endswith("dense_grad") for name in found.skipped)


def test_a_real_file_is_looked_at_whole():
    images = np.random.default_rng(0).standard_normal((20, 12))
    tables = lens.look(FOLDER / "sparsimony.pt", images, network={"activation": "tanh"})
    assert {"degrees", "spectra", "qmap", "ladder", "chi", "jacobian"} <= set(tables)


def test_a_file_in_another_order_than_its_network_says_so_and_the_way_out():
    with pytest.raises(ValueError, match=r"Dense_1 .* comes after Dense_2, .* another order"):
        exchange.read(FOLDER / "jaxpruner.npz", network={"activation": "tanh"})


def test_a_tensor_without_a_single_weight_is_no_layer(tmp_path):
    file = tmp_path / "empty.npz"
    np.savez(file, **{"a.weight": np.zeros((0, 4)), "b.weight": np.eye(3)})
    found = exchange.read(file)
    assert [layer.name for layer in found] == ["b"]
    assert found.skipped == {"a": "weight of shape (0, 4)"}
