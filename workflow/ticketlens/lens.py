"""The whole analysis of one pruned network at once: `look` returns the workflow's own tables.

Any 2-D and 4-D weights are measured against the nulls that keep their mask; with images, and layers
that are a chain, the signal too. Layers are read one by one: memory stays near the largest.

    >>> from ticketlens import bank, lens
    >>> layers = bank.load("convnet-reduced-normal", seed=0, round=5).layers[:2]
    >>> tables = lens.look(layers)
    >>> sorted(tables)
    ['degrees', 'spectra', 'spectral_densities', 'weight_statistics']
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from ticketlens import exchange
from ticketlens.architecture import READOUT, NotAChainError
from ticketlens.checkpoint import Checkpoint, CheckpointError, Layer
from ticketlens.exchange import Layers, OpenLayers
from ticketlens.files.dataset import channel_moments, normalise
from ticketlens.files.pictures import read_labels, read_pictures
from ticketlens.measure import modules
from ticketlens.measure.layers import array, of_module, plain
from ticketlens.measure.module_geometry import geometry, is_module
from ticketlens.spec import NetworkSpec
from ticketlens.tables import look as look_tables
from ticketlens.tables.look import Tables

if TYPE_CHECKING:
    import pandas as pd

MAX_IMAGES = 200
MAX_NAMES = 6  # of layers in a remark
NOT_MEASURED = "not measured: q, chi, Jacobians and gradients"
_OF_A_LAYER = re.compile(r"layer (?P<name>\S+): (?P<count>\d+(?= ))?(?P<what>.+)")
Source = Any
"""A checkpoint, layers, a torch module, or a path of a file or folder that `exchange` reads."""


def look(
    layers_or_model: Source,
    images: Any = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    *,
    labels: Any = None,
    network: NetworkSpec | Mapping[str, Any] | None = None,
    masks: str | os.PathLike[str] | None = None,
    state: str | None = None,
    apply_mask: bool = False,
    strict: bool = True,
) -> dict[str, pd.DataFrame]:
    """Measure one pruned network; return its tables by the names they have in results/tables.

    Always: weight_statistics, degrees, spectra, spectral_densities, over all layers (of a chain
    spectra leave the readout out). With `images` of a chain of layers also qmap, chi, cmap, ladder,
    decomposition, jacobian, isometry, gradients and, fully connected, jacobian_spectrum, ntk,
    ntk_spectra.
    `images` are arrays (n, channels, height, width) or (n, features) as the network sees them, or a
    folder of images, normalised by its own channel mean and std unless `mean` and `std` (of pixels
    from 0 to 1) are given. `labels` (n,) are for gradients of the loss and the kernel's alignment;
    in a folder the classes are its sub-folders. `network` says what a file of weights does not,
    e.g. ``{"activation": "relu"}``; a torch module is run on some images instead, to find its
    activation and what else lies between its layers. `masks` and `state` as in `exchange.read`.
    What was assumed stands in the `attrs["notes"]` of every table. Raises ValueError, naming the
    layer, where a measurement that was asked for is not possible, or weights are off the mask.
    With `strict=False` layers that are no chain (norms, groups, skips) have the tables of weights
    all the same, and the first note says why there are no others.

    >>> tables = lens.look(layers)
    >>> sorted(tables)[:2]
    ['degrees', 'spectra']
    """
    import pandas as pd

    tables, notes = measure(
        layers_or_model, images, mean, std, labels=labels, network=network, masks=masks,
        state=state, apply_mask=apply_mask, strict=strict,
    )  # fmt: skip
    frames = {name: pd.DataFrame(rows) for name, rows in tables.items() if rows}
    for frame in frames.values():
        frame.attrs["notes"] = list(notes)
    return frames


def measure(
    source: Source,
    images: Any = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    *,
    labels: Any = None,
    network: NetworkSpec | Mapping[str, Any] | None = None,
    masks: str | os.PathLike[str] | None = None,
    state: str | None = None,
    apply_mask: bool = False,
    strict: bool = True,
) -> tuple[Tables, list[str]]:
    """Return what `look` does as rows, and the notes; without pandas. Raises as `look`.

    >>> rows, notes = lens.measure(layers)
    >>> sorted(rows)[:2]
    ['degrees', 'spectra']
    """
    if not strict:
        try:
            return measure(
                source, images, mean, std, labels=labels, network=network, masks=masks,
                state=state, apply_mask=apply_mask,
            )  # fmt: skip
        except NotAChainError as error:
            tables, notes = measure(source, masks=masks, state=state, apply_mask=apply_mask)
            return tables, [f"{NOT_MEASURED}: {error}", *notes]
    notes = []
    images = _as_arrays(images)
    opened = _opened(source, masks, state)
    if isinstance(opened, Checkpoint) and network is not None:
        opened = Layers(opened.layers, "init" if opened.kind == "ticket" else "trained", "ticket")
    is_run = is_module(source) and images is not None
    said = {**geometry(source), "activation": "tanh"} if is_run and not network else network
    chain = _chain(opened, images, said, notes)
    tables = {}
    if chain is None:
        for number, layer in enumerate(_streamed(opened), start=1):
            held = layer if layer.weight is None else plain((layer,), apply_mask)[0]
            layers_read = cast(Layers | OpenLayers, opened)
            rows = look_tables.weights_of_layer(held, number, layers_read.state, layers_read.source)
            look_tables.add(tables, rows)
    else:
        chain = dataclasses.replace(chain, layers=plain(chain.layers, apply_mask))
        if images is not None:
            pixels = _images(images, chain, mean, std, notes)
            classes = _labels(images, labels, len(pixels), chain.layers[-1], notes)
            if is_run:
                chain = _as_the_module_computes(
                    source, cast(Layers, opened), chain, pixels, network, notes
                )
            look_tables.add(tables, look_tables.signal_of_chain(chain, pixels, classes, notes))
        tables = {**look_tables.weights_of_chain(chain), **tables}
    if isinstance(opened, (Layers, OpenLayers)):
        if chain is not None:
            names = [layer.name for layer in opened] if isinstance(opened, Layers) else opened.names
            notes += _names(chain, names)
        notes += _remarks(opened)
    return tables, notes


def _names(chain: Checkpoint, names: Sequence[str]) -> list[str]:
    """Say what the layers of a chain, hidden1 … readout, are called where they come from."""
    if [layer.name for layer in chain.layers] == list(names):
        return []
    more = f" … ({len(names)} in all)" if len(names) > 2 * MAX_NAMES else ""
    return [f"hidden1 to readout are the layers {', '.join(names[: 2 * MAX_NAMES])}{more}"]


def _as_the_module_computes(
    module: Any,
    layers: Layers,
    chain: Checkpoint,
    images: npt.NDArray[np.float64],
    network: NetworkSpec | Mapping[str, Any] | None,
    notes: list[str],
) -> Checkpoint:
    """Return the chain of a module's layers, compared with the module on `images`."""
    shape = chain.spec.dataset.shape

    def make(said: Mapping[str, Any]) -> Checkpoint:
        settings = (
            dataclasses.replace(network, **said) if isinstance(network, NetworkSpec) else said
        )
        return exchange.to_checkpoint(layers, settings, shape)

    said = {"activation": network.activation} if isinstance(network, NetworkSpec) else network
    return modules.chain_of(module, images, make, said or {}, notes)


# --- what is looked at ---------------------------------------------------------------------------


def _opened(
    source: Source, masks: str | os.PathLike[str] | None, state: str | None
) -> Checkpoint | Layers | OpenLayers:
    if isinstance(source, (str, os.PathLike)):
        path = Path(source)
        if path.suffix in (".h5", ".hdf5"):
            from ticketlens.checkpoint import read

            try:
                return read(path)
            except CheckpointError as error:  # whose way out is the workflow's
                what = str(error).partition(";")[0]
                raise CheckpointError(
                    f"{what}; allowed as .h5: a checkpoint of ticketlens (ticket.h5, trained.h5)"
                ) from error
        opened = exchange.open_layers(path, masks, state)
        if opened.metadata:
            whole = exchange.read(path, masks=masks, state=state)
            return whole
        return opened
    if isinstance(source, (Checkpoint, Layers, OpenLayers)):
        return source
    if is_module(source):
        return Layers(of_module(source), state or "trained", type(source).__name__)
    layers = tuple(source)
    for layer in layers:
        if not isinstance(layer, Layer):
            raise ValueError(
                f"{type(layer).__name__} is not a layer; allowed: a checkpoint, a sequence of "
                "ticketlens.checkpoint.Layer, a torch module, or the path of a file"
            )
    if not layers:
        raise ValueError("no layers to look at")
    return Layers(layers, state or "init", "layers")


def _streamed(opened: Checkpoint | Layers | OpenLayers) -> Iterator[Layer]:
    """Yield layers one by one; nothing holds the ones before."""
    if isinstance(opened, OpenLayers):
        yield from (opened.load(index) for index in range(len(opened.names)))
    else:
        yield from opened.layers


def _remarks(opened: Layers | OpenLayers) -> list[str]:
    if isinstance(opened, OpenLayers):
        remarks, skipped = list(opened.remarks), opened.found.skipped
    else:
        remarks, skipped = list(opened.notes), opened.skipped
    remarks = _grouped(remarks)
    if skipped:
        names = ", ".join(f"{name} ({what})" for name, what in list(skipped.items())[:6])
        more = "" if len(skipped) <= 6 else f" and {len(skipped) - 6} more"
        remarks.append(f"not measured: {names}{more}")
    return remarks


def _grouped(remarks: Sequence[str]) -> list[str]:
    """Return remarks, those that only layers and their numbers tell apart as one."""
    groups: dict[str, list[tuple[str, int]]] = {}
    for remark in remarks:
        match = _OF_A_LAYER.fullmatch(remark)
        key = f"{'#' if match['count'] else ''}{match['what']}" if match else remark
        groups.setdefault(key, []).append(
            (match["name"], int(match["count"] or 0)) if match else ("", 0)
        )
    lines = []
    for key, layers in groups.items():
        names = [name for name, _ in layers if name]
        if names:
            more = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
            count = f"{sum(number for _, number in layers):,}" if key.startswith("#") else ""
            where = f"layer{'s' * (len(names) > 1)} {', '.join(names[:MAX_NAMES])}{more}"
            what = key.removeprefix("#")
            if len(names) > 1:
                what = what.replace("its mask", "their masks").replace("the mask", "the masks")
            lines.append(f"{where}: {count}{what}")
        else:
            lines.append(key)
    return lines


def _chain(
    opened: Checkpoint | Layers | OpenLayers,
    images: Any,
    network: NetworkSpec | Mapping[str, Any] | None,
    notes: list[str],
) -> Checkpoint | None:
    """Return the network as a checkpoint where it is one, or has to be because of images."""
    if isinstance(opened, Checkpoint):
        return opened
    is_named = isinstance(opened, Layers) and opened.layers[-1].name == READOUT
    if images is None and network is None and not is_named:
        return None
    layers = (
        Layers(tuple(_streamed(opened)), opened.state, opened.source, (), opened.found.skipped)
        if isinstance(opened, OpenLayers)
        else opened
    )
    if network is None:
        network = {}
        if all(layer.kind == "linear" for layer in layers):
            notes.append("activation: taken as tanh; say network={'activation': …} if it is not")
        elif images is None:
            return None
    try:
        return exchange.to_checkpoint(layers, network, _shape_of(images, layers))
    except ValueError:
        if images is not None:
            raise
        return None


def _shape_of(images: Any, layers: Layers) -> tuple[int, int, int] | None:
    """Return (height, width, channels) of images that are arrays of maps."""
    if images is None or isinstance(images, (str, os.PathLike)):
        return None
    shape = tuple(int(size) for size in images.shape)
    if len(shape) != 4:
        return None
    channels, height, width = shape[1:]
    first = layers[0]
    wanted = first.mask.shape[1]
    fits = channels == wanted if first.kind == "conv" else channels * height * width == wanted
    if not fits:
        raise ValueError(f"images have shape {shape}; layer {first.name} takes {wanted} inputs")
    return height, width, channels


def _images(
    images: Any,
    chain: Checkpoint,
    mean: Sequence[float] | None,
    std: Sequence[float] | None,
    notes: list[str],
) -> npt.NDArray[np.float64]:
    """Return images (n, channels, height, width) as the network sees them, at most MAX_IMAGES."""
    height, width, channels = chain.spec.dataset.shape
    if (mean is None) != (std is None):
        raise ValueError("mean and std go together: give both or neither")
    if isinstance(images, (str, os.PathLike)):
        pixels = read_pictures(images, (height, width, channels), MAX_IMAGES)
        moments = channel_moments(pixels) if mean is None or std is None else (mean, std)
        means, stds = (np.asarray(values, dtype=float).ravel() for values in moments)
        if len(means) != channels or len(stds) != channels or not (stds > 0).all():
            raise ValueError(f"mean and std are of {channels} channels, and std is positive")
        if mean is None:
            notes.append(
                f"images: normalised by their own channel means {np.round(means, 4).tolist()} and "
                f"stds {np.round(stds, 4).tolist()}; mean= and std= give those of the training"
            )
        return normalise(pixels, means, stds).astype(np.float64)
    pixels = images
    if mean is not None and std is not None:
        if pixels.ndim != 4:
            raise ValueError(f"mean= and std= are of channels; images have shape {pixels.shape}")
        pixels = (pixels - np.reshape(mean, (-1, 1, 1))) / np.reshape(std, (-1, 1, 1))
    first = chain.layers[0]
    if pixels.ndim == 2 and first.kind == "linear" and pixels.shape[1] == first.mask.shape[1]:
        pixels = pixels.reshape(len(pixels), channels, height, width)
    wanted = (channels, height, width) if first.kind == "linear" else (channels, *pixels.shape[2:])
    if pixels.ndim != 4 or pixels.shape[1:] != wanted or len(pixels) < 2:
        raise ValueError(
            f"images have shape {images.shape}; allowed: (n, {channels}, {height}, {width}), "
            "n at least 2"
        )
    if len(pixels) > MAX_IMAGES:
        notes.append(f"images: the first {MAX_IMAGES} of {len(pixels)}")
    return cast(np.ndarray, pixels[:MAX_IMAGES])


def _as_arrays(images: Any) -> Any:
    """Return images as a float array, or the path of their folder. ValueError if not finite."""
    if images is None or isinstance(images, (str, os.PathLike)):
        return images
    given = array(images)
    values = np.asarray(given, dtype=np.float64)
    if not np.isfinite(values).all():
        raise ValueError("images have values that are not finite")
    return values


def _labels(
    images: Any, labels: Any, count: int, readout: Layer, notes: list[str]
) -> npt.NDArray[np.int64] | None:
    """Return the labels of the first `count` images, given or by the sub-folders of a folder."""
    classes = len(readout.mask)
    if labels is None and isinstance(images, (str, os.PathLike)):
        labels = read_labels(images, MAX_IMAGES)
        if labels is not None and labels.max() >= classes:
            labels = None
        elif labels is not None:
            notes.append("labels: the sub-folders of the images, numbered by name")
    if labels is None:
        notes.append(f"no labels of {classes} classes: gradients are those of the logits alone")
        return None
    numbers = np.asarray(array(labels))
    if numbers.ndim != 1 or numbers.dtype.kind not in "iu" or len(numbers) < count:
        raise ValueError(
            f"labels have shape {numbers.shape} of {numbers.dtype}; "
            "allowed: one whole number for each image"
        )
    return numbers[:count].astype(np.int64)
