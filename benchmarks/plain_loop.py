"""The loop that one would write with PyTorch's own means: what a training step is compared with.

Images are decoded bytes in memory, as torchvision's CIFAR10 keeps them; each becomes a PIL image,
then a normalised tensor, by torchvision's transforms; a DataLoader without workers shuffles and
stacks. Masks are those of torch.nn.utils.prune, the optimiser is torch.optim.SGD as it comes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import prune
from torch.utils.data import DataLoader, Dataset

from ticketlens.checkpoint import Checkpoint
from ticketlens.files.sources import _torchvision_cifar10_class

MEAN, STD = (0.491, 0.482, 0.447), (0.247, 0.243, 0.262)


def random_images(count: int) -> Dataset:
    """torchvision's CIFAR10 with random images (32 × 32 × 3, uint8) in place of its files."""
    base = _torchvision_cifar10_class()  # first: torchvision imports everywhere only after it
    from torchvision import transforms

    class Random(base):
        def __init__(self) -> None:
            rng = np.random.default_rng(0)
            self.data = rng.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
            self.targets = rng.integers(0, 10, count).tolist()
            steps = [transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
            self.transform, self.target_transform = transforms.Compose(steps), None

    return Random()


def network(ticket: Checkpoint) -> nn.Sequential:
    """A tanh network with the ticket's weights, its masks held by torch.nn.utils.prune."""
    layers = []
    for layer in ticket.layers:
        linear = nn.Linear(layer.mask.shape[1], layer.mask.shape[0])
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(layer.weight))
            linear.bias.copy_(torch.from_numpy(layer.bias))
        if not layer.mask.all():
            prune.custom_from_mask(linear, "weight", torch.from_numpy(layer.mask))
        layers += [linear, nn.Tanh()]
    return nn.Sequential(nn.Flatten(), *layers[:-1])


def without_end(loader: DataLoader) -> Iterator[tuple[Tensor, Tensor]]:
    """The loader's batches, epoch after epoch."""
    while True:
        yield from loader


def step(
    ticket: Checkpoint,
    batch: int,
    images: int,
    batches: Iterator[tuple[Tensor, Tensor]] | None = None,
) -> Callable[[], None]:
    """One step of the plain loop; `batches` replaces the data set and its loader."""
    model = network(ticket)
    if batches is None:
        batches = without_end(
            DataLoader(random_images(images), batch, shuffle=True, drop_last=True)
        )
    loss_of = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.001, momentum=0.9)

    def take() -> None:
        images, labels = next(batches)
        optimizer.zero_grad()
        loss = loss_of(model(images), labels)
        loss.backward()
        optimizer.step()

    return take
