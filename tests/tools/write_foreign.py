"""Files of other pruning systems, written by themselves: tests/root/foreign has what this wrote.

    PYTHONPATH=<the system's folder> python tests/tools/write_foreign.py SYSTEM FOLDER

One system a call, in an environment that has it; nothing of ticketlens is imported. Each trains a
small network with the system's own pruning, saves as the system does, and keeps beside it a few
inputs and the network's outputs, `NAME.expected.npz`: whoever reads the file must compute the same.

sparsimony  `pip install --no-deps sparsimony==0.1.0`; RigL, whose masks move while it trains
turboprune  a clone of TurboPrune, and `pip install fastargs omegaconf rich`; magnitude pruning
jaxpruner   a clone of jaxpruner, and `pip install jax==0.7.2 flax==0.12.0 ml_collections`; the
            `jax.tree_map` that it calls and newer JAX lacks is given back to it
open_lth    a clone of open_lth; of its torch classes one must be told its bases in the order that
            today's PyTorch takes: `class Model(torch.nn.Module, abc.ABC)` in models/base.py
"""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path

import numpy as np

EXAMPLES = 8


def keep(folder: Path, name: str, inputs: object, outputs: object) -> None:
    """Keep what the network made of some inputs."""
    np.savez_compressed(
        folder / f"{name}.expected.npz", inputs=np.asarray(inputs), outputs=np.asarray(outputs)
    )


def sparsimony(folder: Path) -> None:
    """RigL on a small chain of linear layers, ERK densities."""
    import torch
    from sparsimony.distributions.base import ERKDistribution
    from sparsimony.dst.rigl import RigL
    from sparsimony.schedulers.base import CosineDecayScheduler
    from torch import nn

    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(12, 16), nn.Tanh(), nn.Linear(16, 9), nn.Tanh(), nn.Linear(9, 3)
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    sparsifier = RigL(CosineDecayScheduler(0.3, 20, 5), ERKDistribution(), optimizer, sparsity=0.6)
    sparsifier.prepare(model, [{"tensor_fqn": f"{number}.weight"} for number in (0, 2, 4)])
    for _ in range(12):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(torch.randn(32, 12)), torch.arange(32) % 3)
        loss.backward()
        optimizer.step()
        sparsifier.step()
    torch.save(model.state_dict(), folder / "sparsimony.pt")
    inputs = torch.randn(EXAMPLES, 12)
    keep(folder, "sparsimony", inputs, model(inputs).detach())


def turboprune(folder: Path) -> None:
    """Masked layers, pruned by magnitude over all layers, trained on; saved as its harness does."""
    import torch
    from torch import nn
    from utils.mask_layers import LinearMask
    from utils.pruning_utils import prune_mag

    torch.manual_seed(0)
    sizes = (12, 16, 9, 3)
    layers: list[nn.Module] = []
    for inside, outside in pairwise(sizes):
        layers += [LinearMask(in_features=inside, out_features=outside), nn.Tanh()]
    model = nn.Sequential(*layers[:-1])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
    for density in (0.8, 0.64, 0.4):
        model = prune_mag(model, density)
        for _ in range(5):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(torch.randn(32, 12)), torch.arange(32) % 3)
            loss.backward()
            optimizer.step()
    torch.save(model.state_dict(), folder / "turboprune.pt")
    inputs = torch.randn(EXAMPLES, 12)
    keep(folder, "turboprune", inputs, model(inputs).detach())


def jaxpruner(folder: Path) -> None:
    """Magnitude pruning of a Flax network, masks plain and bit-packed; flattened into .npz."""
    import jax

    if not hasattr(jax, "tree_map"):
        jax.tree_map = jax.tree_util.tree_map
    import flax.linen as nn
    import jax.numpy as jnp
    import jaxpruner as pruner
    import ml_collections
    import optax
    from flax.traverse_util import flatten_dict

    class Net(nn.Module):
        @nn.compact
        def __call__(self, inputs):  # type: ignore[no-untyped-def]
            hidden = jnp.tanh(nn.Dense(16)(inputs))
            return nn.Dense(3)(jnp.tanh(nn.Dense(9)(hidden)))

    net = Net()
    inputs = jax.random.normal(jax.random.PRNGKey(0), (EXAMPLES, 12))
    labels = jnp.arange(EXAMPLES) % 3
    for is_packed in (False, True):
        params = net.init(jax.random.PRNGKey(1), inputs)
        config = ml_collections.ConfigDict(
            {"algorithm": "magnitude", "update_freq": 2, "update_start_step": 1,
             "update_end_step": 10, "sparsity": 0.6, "dist_type": "erk",
             "use_packed_masks": is_packed}
        )  # fmt: skip
        updater = pruner.create_updater_from_config(config)
        optimizer = updater.wrap_optax(optax.sgd(0.1))
        state = optimizer.init(params)

        def loss(params):  # type: ignore[no-untyped-def]
            logits = net.apply(params, inputs)
            return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

        for _ in range(12):
            updates, state = optimizer.update(jax.grad(loss)(params), state, params)
            params = optax.apply_updates(params, updates)
            params = updater.post_gradient_update(params, state)
        arrays = {name: np.asarray(leaf) for name, leaf in flatten_dict(params, sep="/").items()}
        for name, leaf in flatten_dict(state.masks, sep="/").items():
            if leaf is not None:  # the tree has None for what is not pruned
                arrays[f"masks/{name}"] = np.asarray(leaf)
        form = "jaxpruner-packed" if is_packed else "jaxpruner"
        np.savez(folder / f"{form}.npz", **arrays)
        keep(folder, form, inputs, net.apply(params, inputs))


def open_lth(folder: Path) -> None:
    """Levels 0 and 1 of a lottery ticket run of LeNet with 4 and 3 units, as its runner makes them.

    Its data loaders alone are left out: the images are noise.
    """
    import platforms.local
    import platforms.platform
    import torch
    from foundations import hparams
    from foundations.step import Step
    from models import registry
    from pruning import sparse_global
    from pruning.mask import Mask
    from pruning.pruned_model import PrunedModel

    platforms.platform._PLATFORM = platforms.local.Platform(num_workers=0)
    torch.manual_seed(0)
    told = hparams.ModelHparams("mnist_lenet_4_3", "kaiming_normal", "uniform")
    start, end = Step.zero(10), Step.from_str("1ep2it", 10)
    first = str(folder / "open_lth" / "level_0" / "main")
    level = str(folder / "open_lth" / "level_1" / "main")
    registry.get(told, outputs=10).save(first, start)
    Mask.ones_like(registry.get(told)).save(first)
    for where in (first, level):
        pruned = PrunedModel(registry.load(first, start, told, 10), Mask.load(where))
        if where == level:
            pruned.save(where, start)
        optimizer = torch.optim.SGD(pruned.parameters(), lr=0.1, momentum=0.9)
        for _ in range(12):
            optimizer.zero_grad()
            pruned.loss_criterion(
                pruned(torch.rand(64, 1, 28, 28)), torch.arange(64) % 10
            ).backward()
            optimizer.step()
        pruned.save(where, end)
        if where == first:
            chosen = sparse_global.PruningHparams(
                "sparse_global", pruning_fraction=0.6, pruning_layers_to_ignore="fc.weight"
            )
            sparse_global.Strategy.prune(
                chosen, registry.load(first, end, told, 10), Mask.load(first)
            ).save(level)
    inputs = torch.rand(EXAMPLES, 1, 28, 28)
    for state, step in (("init", start), ("trained", end)):
        pruned = PrunedModel(registry.load(level, step, told, 10), Mask.load(level))
        keep(folder, f"open_lth-{state}", inputs, pruned(inputs).detach())


SYSTEMS = {
    "sparsimony": sparsimony,
    "turboprune": turboprune,
    "jaxpruner": jaxpruner,
    "open_lth": open_lth,
}

if __name__ == "__main__":
    SYSTEMS[sys.argv[1]](Path(sys.argv[2]).resolve())
