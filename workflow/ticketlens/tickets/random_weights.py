"""Ways to draw the weights of a ticket on a given mask.

Each is one function (masks, layers, spec, rng) -> layers; arms (`arm_weights`) and nulls
(`jacobian`) use them.
`layers` is where values, signs or moments come from: a ticket, or theta_0 with full masks, which
has a value for every position. `masks` may be other masks than those of `layers`. All sources keep
the biases of `layers` and put exactly 0.0 off the mask; each checks that what it claims to keep is
kept and that every layer's weights have changed, and raises InvariantError otherwise. A layer whose
weights cannot change (an empty one, for instance) is left alone; if all layers are like that the
source raises NotApplicable.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import cast

import numpy as np

from ticketlens.architecture import layer_shapes
from ticketlens.checkpoint import Checkpoint, Layer
from ticketlens.spec import Spec
from ticketlens.tickets.initialization import initial_layers
from ticketlens.tickets.pruning import InvariantError
from ticketlens.tickets.random_masks import ATTEMPTS, NotApplicable

MOMENT_TOLERANCE = 1e-6
"""Relative error of E w² that rounding to float32 may leave behind."""


def rewind(masks: Sequence[np.ndarray], theta: Sequence[Layer]) -> tuple[Layer, ...]:
    """Return the ticket mask × theta: weights of theta on the mask, exactly 0.0 off it.

    `theta` is theta_0, or theta_k for late rewinding; biases are theta's. Raises InvariantError if
    a mask keeps weights that theta lacks.
    """
    for mask, layer in zip(masks, theta, strict=True):
        if mask.shape != layer.mask.shape or (mask & ~layer.mask).any():
            raise InvariantError(
                f"layer {layer.name}: the mask keeps weights that theta lacks: shape {mask.shape} "
                f"with {np.count_nonzero(mask)} weights; expected a part of theta's "
                f"{layer.mask.shape} with {np.count_nonzero(layer.mask)}"
            )
    layers = tuple(
        Layer(
            name=layer.name,
            kind=layer.kind,
            weight=np.where(mask, layer.weight, np.float32(0.0)),
            bias=layer.bias,
            mask=mask,
        )
        for mask, layer in zip(masks, theta, strict=True)
    )
    check_rewound(layers, theta)
    return layers


def check_rewound(ticket: Sequence[Layer], theta: Sequence[Layer]) -> None:
    """Assert that a rewound ticket equals where(mask, theta, 0) and theta's biases, bit for bit.

    Raises InvariantError naming the layer.
    """
    for layer, source in zip(ticket, theta, strict=True):
        bits = layer.weight.view(np.uint32)
        wanted = np.where(layer.mask, source.weight.view(np.uint32), np.uint32(0))
        if not np.array_equal(bits, wanted):
            raise InvariantError(
                f"layer {layer.name}: {np.count_nonzero(bits != wanted)} rewound weights differ "
                "from mask × theta; expected 0"
            )
        if layer.bias.tobytes() != source.bias.tobytes():
            raise InvariantError(
                f"layer {layer.name}: rewound biases differ from theta's; expected the same bits"
            )


def check_theta(mask: Checkpoint, theta: Checkpoint) -> None:
    """Assert that `theta` is what `mask` rewinds to: its own chain's theta_0, or theta_k.

    Raises InvariantError saying what it is instead.
    """
    epoch = mask.spec.pruning.rewind_epoch
    same_spec = theta.spec.of_round(0) == mask.spec.of_round(0)
    kind = "trained" if epoch else "ticket"
    same_chain = same_spec and (theta.study, theta.seed) == (mask.study, mask.seed)
    if not same_chain or (theta.kind, theta.round, theta.extra.get("epoch", 0)) != (kind, 0, epoch):
        raise InvariantError(
            f"theta is {theta.study} seed {theta.seed} round {theta.round}, kind {theta.kind}, "
            f"epoch {theta.extra.get('epoch', 'not given')}"
            + (", made by another spec" if not same_spec else "")
            + f"; expected what {mask.study} seed {mask.seed} rewinds to: epoch {epoch} of its "
            f"round 0, kind {kind}"
        )


# --- redraws -------------------------------------------------------------------------------------


def shuffled_values(
    masks: Sequence[np.ndarray], layers: Sequence[Layer], spec: Spec, rng: np.random.Generator
) -> tuple[Layer, ...]:
    """Each layer's own kept values in random order: the law of the weights stays, their places go.

    Raises ValueError if a mask has another number of weights than the layer's own.
    """

    def draw(layer: Layer, mask: np.ndarray) -> np.ndarray:
        values = layer.weight[layer.mask]
        if values.size != np.count_nonzero(mask):
            raise ValueError(
                f"shuffled values: layer {layer.name}: {values.size} values for a mask with "
                f"{np.count_nonzero(mask)} weights; the counts must agree"
            )
        return cast(np.ndarray, rng.permutation(values))

    def unchangeable(layer: Layer, mask: np.ndarray) -> bool:
        values = layer.weight[layer.mask]
        if not values.any():  # no values, or zeros only: these look alike on any mask
            return True
        return cast(bool, values.min() == values.max()) and np.array_equal(mask, layer.mask)

    ticket = _redraw("shuffled values", masks, layers, draw, unchangeable)
    for layer, source in zip(ticket, layers, strict=True):
        kept, wanted = (np.sort(x.weight[x.mask]) for x in (layer, source))
        changed = np.count_nonzero(kept != wanted)
        _claim(not changed, "shuffled values", layer, f"{changed} values have changed; expected 0")
    return ticket


def signs_redrawn(
    masks: Sequence[np.ndarray], layers: Sequence[Layer], spec: Spec, rng: np.random.Generator
) -> tuple[Layer, ...]:
    """Magnitudes in place, each sign an independent fair coin.

    Raises NotApplicable where a kept weight is exactly zero and so has no sign (the off-centre
    weights of a delta-orthogonal convolution), and ValueError if a mask reaches beyond the layer's.
    """
    source = "redrawn signs"
    _require_signs(source, masks, layers)

    def draw(layer: Layer, mask: np.ndarray) -> np.ndarray:
        magnitudes = np.abs(layer.weight[mask])
        return cast(
            np.ndarray, np.where(rng.random(magnitudes.size) < 0.5, -magnitudes, magnitudes)
        )

    ticket = _redraw(source, masks, layers, draw, _empty)
    for layer, wanted in zip(ticket, layers, strict=True):
        same = np.array_equal(np.abs(layer.weight[layer.mask]), np.abs(wanted.weight[layer.mask]))
        _claim(same, source, layer, "magnitudes have changed; expected the same bits")
    return ticket


def sign_kept(
    masks: Sequence[np.ndarray], layers: Sequence[Layer], spec: Spec, rng: np.random.Generator
) -> tuple[Layer, ...]:
    """Signs in place, magnitudes of fresh weights of the study's own scheme.

    Raises NotApplicable where a kept weight is exactly zero, in `layers` or in the fresh draw, and
    ValueError if a mask reaches beyond the layer's or `spec` describes other layers.
    """
    source = "kept signs"
    _require_signs(source, masks, layers)
    drawn = _FreshWeights(layers, spec, rng)
    _require_signs(source, masks, tuple(drawn.first.values()))

    def draw(layer: Layer, mask: np.ndarray) -> np.ndarray:
        return cast(np.ndarray, np.copysign(drawn.next(layer.name)[mask], layer.weight[mask]))

    def unchangeable(layer: Layer, mask: np.ndarray) -> bool:
        size = abs(drawn.first[layer.name].weight[mask])  # of a 1×1 orthogonal matrix: always 1
        return not mask.any() or (mask.size == 1 and np.array_equal(size, abs(layer.weight[mask])))

    ticket = _redraw(source, masks, layers, draw, unchangeable)
    for layer, wanted in zip(ticket, layers, strict=True):
        same = np.array_equal(np.sign(layer.weight[layer.mask]), np.sign(wanted.weight[layer.mask]))
        _claim(same, source, layer, "signs have changed; expected all kept")
    return ticket


def gaussian_matched(
    masks: Sequence[np.ndarray], layers: Sequence[Layer], spec: Spec, rng: np.random.Generator
) -> tuple[Layer, ...]:
    """Independent centred normal weights with the E w² of each layer's own kept weights.

    The sample is scaled so that its mean square is the ticket's to rounding, not only on average.
    Raises ValueError if a layer has no weights to take E w² from, but the mask has some.
    """
    source = "matched Gaussian"

    def second_moment(layer: Layer) -> float:
        return float(np.mean(layer.weight[layer.mask].astype(np.float64) ** 2))

    def draw(layer: Layer, mask: np.ndarray) -> np.ndarray:
        if not mask.any():
            return np.empty(0)
        if not layer.mask.any():
            raise ValueError(f"{source}: layer {layer.name} has no weights to take E w² from")
        values = rng.standard_normal(np.count_nonzero(mask))
        return cast(np.ndarray, values * np.sqrt(second_moment(layer) / np.mean(values**2)))

    def unchangeable(layer: Layer, mask: np.ndarray) -> bool:
        return not mask.any() or cast(bool, layer.mask.any() and not layer.weight.any())

    ticket = _redraw(source, masks, layers, draw, unchangeable)
    for layer, wanted in zip(ticket, layers, strict=True):
        if layer.mask.any():
            found, moment = second_moment(layer), second_moment(wanted)
            same = abs(found - moment) <= MOMENT_TOLERANCE * moment
            _claim(
                same, source, layer,
                f"E w² is {found:.8g}; expected {moment:.8g}, up to {MOMENT_TOLERANCE:g} of it",
            )  # fmt: skip
    return ticket


def fresh(
    masks: Sequence[np.ndarray], layers: Sequence[Layer], spec: Spec, rng: np.random.Generator
) -> tuple[Layer, ...]:
    """New weights of the study's own scheme `spec.init`, from another seed than the ticket's.

    Raises ValueError if `spec` describes other layers than `layers`.
    """
    drawn = _FreshWeights(layers, spec, rng)

    def draw(layer: Layer, mask: np.ndarray) -> np.ndarray:
        return cast(np.ndarray, drawn.next(layer.name)[mask])

    def unchangeable(layer: Layer, mask: np.ndarray) -> bool:
        weight = drawn.first[layer.name].weight[mask]
        return not weight.any()  # all off the centre of a delta-orthogonal kernel

    return _redraw("fresh", masks, layers, draw, unchangeable)


def masked_orthogonal(
    masks: Sequence[np.ndarray], layers: Sequence[Layer], spec: Spec, rng: np.random.Generator
) -> tuple[Layer, ...]:
    """Masked orthogonal weights of the study's own sigma_w: `fresh` with the orthogonal scheme."""
    init = dataclasses.replace(spec.init, scheme="orthogonal")
    return fresh(masks, layers, spec.replace(init=init), rng)


# --- what the sources share ----------------------------------------------------------------------


def _redraw(
    source: str,
    masks: Sequence[np.ndarray],
    layers: Sequence[Layer],
    draw: Callable[[Layer, np.ndarray], np.ndarray],
    unchangeable: Callable[[Layer, np.ndarray], bool],
) -> tuple[Layer, ...]:
    """Put `draw(layer, mask)` on each mask, drawing again while it equals the layer's own weights.

    Raises InvariantError if it never differs, and NotApplicable if all layers are unchangeable.
    """
    settled = list(map(unchangeable, layers, masks))
    if all(settled):
        raise NotApplicable(f"{source} does not apply: no layer has a weight that could change")
    ticket = []
    for layer, mask, leave_alone in zip(layers, masks, settled, strict=True):
        weight = np.zeros(mask.shape, dtype=np.float32)
        for _ in range(ATTEMPTS):
            weight[mask] = draw(layer, mask)
            if leave_alone or not np.array_equal(weight, layer.weight):
                break
        else:
            raise InvariantError(
                f"{source}: layer {layer.name}: {ATTEMPTS} draws all gave the source's own "
                "weights; expected others"
            )
        ticket.append(Layer(layer.name, layer.kind, weight, layer.bias, mask))
    return tuple(ticket)


class _FreshWeights:
    """Weights of a new theta_0, and of further ones for layers that came out as they were.

    A 1×1 orthogonal matrix is 1 or −1: every other draw of it is the ticket's own.
    """

    def __init__(self, layers: Sequence[Layer], spec: Spec, rng: np.random.Generator) -> None:
        self.layers, self.spec, self.rng = layers, spec, rng
        self.first = _fresh_layers(layers, spec, rng)
        self._is_used: set[str] = set()

    def next(self, name: str) -> np.ndarray:
        """Return the weights of layer `name`: first those of `first`, then new ones each time."""
        if name not in self._is_used:
            self._is_used.add(name)
            return self.first[name].weight
        return _fresh_layers(self.layers, self.spec, self.rng)[name].weight


def _fresh_layers(
    layers: Sequence[Layer], spec: Spec, rng: np.random.Generator
) -> dict[str, Layer]:
    """Draw theta_0 of a new 63-bit seed. The ticket's seed is a small number: they never meet."""
    described = {shape.name: shape.shape for shape in layer_shapes(spec)}
    found = {layer.name: layer.mask.shape for layer in layers}
    if described != found:
        raise ValueError(
            f"fresh weights: the spec describes the layers {described}, the ticket has {found}"
        )
    drawn = initial_layers(spec, int(rng.integers(2**32, 2**63)))
    return {layer.name: layer for layer in drawn}


def _require_signs(source: str, masks: Sequence[np.ndarray], layers: Sequence[Layer]) -> None:
    for mask, layer in zip(masks, layers, strict=True):
        outside = np.count_nonzero(mask & ~layer.mask)
        if outside:
            raise ValueError(
                f"{source}: layer {layer.name}: the mask has {outside} weights where the source of "
                "the values has none; give theta_0 as the source"
            )
        zeros = np.count_nonzero(layer.weight[mask] == 0)
        if zeros:
            raise NotApplicable(
                f"{source} does not apply: {zeros} of the {np.count_nonzero(mask)} kept weights of "
                f"layer {layer.name} are exactly 0 and have no sign (delta-orthogonal convolutions "
                "are zero off the kernel's centre)"
            )


def _empty(layer: Layer, mask: np.ndarray) -> bool:
    return not mask.any()


def _claim(holds: bool, source: str, layer: Layer, otherwise: str) -> None:
    if not holds:
        raise InvariantError(f"{source}: layer {layer.name}: {otherwise}")
