"""The whole analysis of one pruned network at once: `look` returns the workflow's own tables.

Any 2-D and 4-D weights are measured against the nulls that keep their mask; with images, and layers
that are a chain, the signal too. Layers are read one by one: memory stays near the largest.

    >>> from ticketlens import bank, lens
    >>> tables = lens.look(bank.load("convnet-reduced-normal", seed=0, round=7).layers[:2])
    >>> sorted(tables)
    ['degrees', 'spectra', 'spectral_densities', 'weight_statistics']
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ticketlens import exchange
from ticketlens.architecture import READOUT, is_convolutional, is_residual
from ticketlens.checkpoint import Checkpoint, Layer
from ticketlens.exchange import Layers, OpenLayers
from ticketlens.files.dataset import channel_moments, normalise
from ticketlens.files.pictures import read_pictures
from ticketlens.measure import graph
from ticketlens.measure.layers import array, of_module
from ticketlens.seeds import stream
from ticketlens.spec import NetworkSpec, Spec
from ticketlens.tables import columns, large_spectra, spectra, weights

if TYPE_CHECKING:
    import pandas as pd

MAX_IMAGES = 200
LADDER_IMAGES = 50
JACOBIAN_IMAGES = 1
ISOMETRY_IMAGES = 10
Tables = dict[str, list[columns.Row]]
Source = Any
"""A checkpoint, layers, a torch module, or a path of a file or folder that `exchange` reads."""


def look(
    layers_or_model: Source,
    images: Any = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    *,
    network: NetworkSpec | Mapping[str, Any] | None = None,
    masks: str | os.PathLike[str] | None = None,
    state: str | None = None,
    apply_mask: bool = False,
) -> dict[str, pd.DataFrame]:
    """Measure one pruned network; return its tables by the names they have in results/tables.

    Always: weight_statistics, degrees, spectra, spectral_densities, over all layers (of a chain
    spectra leave the readout out). With `images` of a chain of layers also qmap, chi, cmap, ladder,
    decomposition, jacobian, isometry and, fully connected, jacobian_spectrum.
    `images` are arrays (n, channels, height, width) or (n, features) as the network sees them, or a
    folder of images, normalised by its own channel mean and std unless `mean` and `std` (of pixels
    from 0 to 1) are given. `network` says what a file of weights does not, e.g.
    ``{"activation": "relu"}``; `masks` and `state` as in `exchange.read`.
    What was assumed stands in the `attrs["notes"]` of every table. Raises ValueError, naming the
    layer, where a measurement that was asked for is not possible, or weights are off the mask.
    """
    import pandas as pd

    found, notes = measure(
        layers_or_model, images, mean, std, network=network, masks=masks, state=state,
        apply_mask=apply_mask,
    )  # fmt: skip
    frames = {name: pd.DataFrame(rows) for name, rows in found.items() if rows}
    for frame in frames.values():
        frame.attrs["notes"] = list(notes)
    return frames


def measure(
    source: Source,
    images: Any = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    *,
    network: NetworkSpec | Mapping[str, Any] | None = None,
    masks: str | os.PathLike[str] | None = None,
    state: str | None = None,
    apply_mask: bool = False,
) -> tuple[Tables, list[str]]:
    """Return what `look` does as rows, and the notes; without pandas. Raises as `look`."""
    notes: list[str] = []
    opened = _opened(source, masks, state)
    if isinstance(opened, Checkpoint) and network is not None:
        opened = Layers(opened.layers, "init" if opened.kind == "ticket" else "trained", "ticket")
    if network is None:
        network = _network_of(source)
    chain = _chain(opened, images, network, notes)
    found: Tables = {}
    if chain is not None:
        chain = dataclasses.replace(chain, layers=tuple(_held(chain.layers, apply_mask)))
        _add(found, _weights_of_chain(chain))
        if images is not None:
            pixels = _images(images, chain, mean, std, notes)
            _add(found, _signal(chain, pixels, notes))
    else:
        for number, layer in enumerate(_streamed(opened), start=1):
            _add(found, _weights_of_layer(layer, number, opened, apply_mask))
    if isinstance(opened, (Layers, OpenLayers)):
        notes += _remarks(opened)
    return found, notes


# --- what is looked at ---------------------------------------------------------------------------


def _opened(
    source: Source, masks: str | os.PathLike[str] | None, state: str | None
) -> Checkpoint | Layers | OpenLayers:
    if isinstance(source, (str, os.PathLike)):
        path = Path(source)
        if path.suffix in (".h5", ".hdf5"):
            from ticketlens.checkpoint import read

            return read(path)
        opened = exchange.open_layers(path, masks, state)
        if opened.metadata:
            whole = exchange.read(path, masks=masks, state=state)
            return whole
        return opened
    if isinstance(source, (Checkpoint, Layers, OpenLayers)):
        return source
    if hasattr(source, "named_modules"):
        return Layers(of_module(source), state or "trained", type(source).__name__)
    layers = tuple(source)
    for layer in layers:
        if not isinstance(layer, Layer):
            raise ValueError(
                f"{type(layer).__name__} is not a layer; allowed: a checkpoint, a sequence of "
                "ticketlens.checkpoint.Layer, a torch module, or the path of a file"
            )
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
    if skipped:
        names = ", ".join(f"{name} ({what})" for name, what in list(skipped.items())[:6])
        more = "" if len(skipped) <= 6 else f" and {len(skipped) - 6} more"
        remarks.append(f"not measured: {names}{more}")
    return remarks


def _network_of(source: Source) -> NetworkSpec | Mapping[str, Any] | None:
    """Return what a torch module says of its own network: ours, or an nn.Sequential."""
    if not hasattr(source, "named_modules"):
        return None
    names = {"Tanh": "tanh", "ReLU": "relu", "Hardtanh": "hard_tanh", "Identity": "linear"}
    if hasattr(source, "preactivations") and hasattr(source, "activation"):
        from ticketlens.networks import ACTIVATIONS

        modules = list(source.layers)[:-1]
        function = [name for name, phi in ACTIVATIONS.items() if phi is source.activation]
        return None if not function else {"activation": function[0], **_geometry(modules)}
    children = [child for _, child in source.named_children()]
    if type(source).__name__ != "Sequential":
        return None
    used = {names[type(x).__name__] for x in children[:-1] if type(x).__name__ in names}
    convolutions = [x for x in children if hasattr(x, "kernel_size") and hasattr(x, "groups")]
    return {"activation": used.pop(), **_geometry(convolutions)} if len(used) == 1 else None


def _geometry(modules: Sequence[Any]) -> dict[str, Any]:
    """Return stride and padding of convolutions. Raises ValueError for what no family has."""
    modules = [module for module in modules if hasattr(module, "groups")]
    if not modules:
        return {}
    paddings = set()
    for number, module in enumerate(modules):
        side = module.kernel_size[0]
        for what, is_allowed in (
            ("is grouped", module.groups == 1),
            ("is dilated", set(module.dilation) == {1}),
            ("has another stride down than across", len(set(module.stride)) == 1),
            ("is not padded by half its kernel", tuple(module.padding) == (side // 2,) * 2),
            ("is padded otherwise", module.padding_mode in ("zeros", "circular")),
        ):
            if not is_allowed:
                raise ValueError(
                    f"convolution {number + 1} {what}: q, chi and Jacobians are measured on chains "
                    "of plain convolutions only; without images weights and spectra are"
                )
        paddings.add(module.padding_mode)
    if len(paddings) > 1:
        raise ValueError(f"convolutions are padded in several ways: {sorted(paddings)}")
    return {"stride": [module.stride[0] for module in modules], "padding": paddings.pop()}


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
        own = channel_moments(pixels) if mean is None or std is None else (mean, std)
        means, stds = (np.asarray(values, dtype=float).ravel() for values in own)
        if len(means) != channels or len(stds) != channels or not (stds > 0).all():
            raise ValueError(f"mean and std are of {channels} channels, and std is positive")
        if mean is None:
            notes.append(
                f"images: normalised by their own channel means {np.round(means, 4).tolist()} and "
                f"stds {np.round(stds, 4).tolist()}; mean= and std= give those of the training"
            )
        return normalise(pixels, means, stds).astype(np.float64)
    given = array(images)
    assert given is not None
    found = np.asarray(given, dtype=np.float64)
    if mean is not None and std is not None:
        if found.ndim != 4:
            raise ValueError(f"mean= and std= are of channels; images have shape {found.shape}")
        found = (found - np.reshape(mean, (-1, 1, 1))) / np.reshape(std, (-1, 1, 1))
    first = chain.layers[0]
    if found.ndim == 2 and first.kind == "linear" and found.shape[1] == first.mask.shape[1]:
        found = found.reshape(len(found), channels, height, width)
    wanted = (channels, height, width) if first.kind == "linear" else (channels, *found.shape[2:])
    if found.ndim != 4 or found.shape[1:] != wanted or len(found) < 2:
        raise ValueError(
            f"images have shape {np.shape(given)}; allowed: (n, {channels}, {height}, {width}), "
            "n at least 2"
        )
    if len(found) > MAX_IMAGES:
        notes.append(f"images: the first {MAX_IMAGES} of {len(found)}")
    return found[:MAX_IMAGES]


def _held(layers: Sequence[Layer], apply_mask: bool) -> Iterator[Layer]:
    from ticketlens.measure.layers import plain

    yield from plain(layers, apply_mask)


# --- tables --------------------------------------------------------------------------------------


def _add(found: Tables, more: Tables) -> None:
    for name, rows in more.items():
        found.setdefault(name, []).extend(rows)


def _weights_of_chain(chain: Checkpoint) -> Tables:
    found: Tables = {
        "weight_statistics": weights.weight_statistics(chain),
        "degrees": weights.degree_rows(chain),
    }
    for number, layer in columns.hidden(chain):
        _add(found, _spectra(chain, number, layer))
    return found


def _spectra(checkpoint: Checkpoint, number: int, layer: Layer) -> Tables:
    if not layer.mask.any() or min(layer.mask.shape[:2]) < 2:
        return {}  # no spectrum to speak of
    if large_spectra.is_large(layer):
        statistics, densities = large_spectra.large_spectra_rows(checkpoint, number)
    else:
        single = dataclasses.replace(checkpoint, layers=(layer,))
        statistics, densities = spectra.spectra_rows(single)
        for row in (*statistics, *densities):
            row["layer"] = number
    return {"spectra": statistics, "spectral_densities": densities}


def _weights_of_layer(
    layer: Layer, number: int, opened: Checkpoint | Layers | OpenLayers, apply_mask: bool
) -> Tables:
    """Return the tables of one layer of a file that is not, or need not be, a chain."""
    assert not isinstance(opened, Checkpoint)
    kind = "ticket" if opened.state == "init" else "trained"
    study = re.sub(r"[^A-Za-z0-9-]+", "-", Path(opened.source).stem).strip("-") or "file"
    single = Checkpoint(kind, study, 0, 1, "imp", Spec(), (layer,), extra={"source": study})
    key = {**columns.keys(single), "layer": number, "density": layer.density}
    found: Tables = {
        "degrees": [
            {**key, "name": layer.name, **asdict(graph.degree_summary(layer.mask, direction))}
            for direction in ("in", "out")
        ]
    }
    if layer.weight is None:
        return found
    single = dataclasses.replace(single, layers=tuple(_held((layer,), apply_mask)))
    found["weight_statistics"] = weights.weight_statistics(single)
    if layer.name != READOUT:
        _add(found, _spectra(single, 1, single.layers[0]))
    for rows in found.values():
        for row in rows:
            row["layer"] = number
    for name in ("spectra", "spectral_densities"):
        for index, row in enumerate(found.get(name, ())):
            keyed = {**key, "name": layer.name}
            found[name][index] = keyed | {k: v for k, v in row.items() if k not in keyed}
    return found


def _signal(chain: Checkpoint, images: npt.NDArray[np.float64], notes: list[str]) -> Tables:
    """Return the tables that need images. Raises ValueError for residual networks."""
    from ticketlens.tables import jacobian, signal

    if is_residual(chain.spec.network):
        raise ValueError("networks with skips: their signal is measured by the workflow only")
    rng = stream(chain.seed, "perturbation")
    activation = chain.spec.network.activation
    found: Tables = {}
    few = images[:ISOMETRY_IMAGES]
    if is_convolutional(chain.spec):
        from ticketlens.measure.conv.signal import measure as measure_conv
        from ticketlens.tables import jacobian_conv

        measured = measure_conv(chain.layers, chain.spec, images, rng)
        if len(chain.layers) > 2:
            found["jacobian"] = jacobian_conv.jacobian_rows(chain, few)
            found["isometry"] = jacobian_conv.isometry_rows(chain, few)
    else:
        from ticketlens.measure.signal import measure as measure_dense

        measured = measure_dense(chain.layers, activation, images, rng)
        if len(chain.layers) > 2:
            statistics, spectrum = jacobian.jacobian_rows(chain, images[:JACOBIAN_IMAGES])
            found["jacobian"], found["jacobian_spectrum"] = statistics, spectrum
            found["isometry"] = jacobian.isometry_rows(chain, few)
    found["qmap"] = signal.qmap_rows(chain, measured.q)
    found["cmap"] = signal.cmap_rows(chain, measured)
    if len(chain.layers) > 2:
        found["chi"] = signal.chi_rows(chain, measured, images)
    else:
        notes.append("one hidden layer: chi and Jacobians belong to two or more")
    found["ladder"] = signal.ladder_rows(chain, images[:LADDER_IMAGES])
    found["decomposition"] = signal.decomposition_rows(chain, images[:LADDER_IMAGES])
    return found
