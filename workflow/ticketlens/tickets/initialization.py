"""Initial weights theta_0: each scheme is one function, each layer has its own random streams.

`sigma_w` and `sigma_b` are standard deviations in mean-field scale: Var W = sigma_w²/fan_in and
Var b = sigma_b² (Poole et al. 2016, arXiv:1606.05340).

Normal weights are the same bits everywhere. Orthogonal ones come from a QR decomposition, whose
last bits depend on the CPU's kernels in the linear-algebra library; rounded to float32 almost all
are the same. `border` names the few that may not be.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt

from ticketlens.architecture import LayerShape, layer_shapes
from ticketlens.checkpoint import Layer
from ticketlens.seeds import stream
from ticketlens.spec import InitSpec, Spec

Floats = npt.NDArray[np.float64]
Draw = Callable[[LayerShape, InitSpec, np.random.Generator], Floats]
UNIT_ROUNDOFF = 2.0**-53


def gaussian_weight(shape: LayerShape, init: InitSpec, rng: np.random.Generator) -> Floats:
    """Independent normal weights of variance sigma_w²/fan_in, of the layer's shape."""
    return cast(Floats, init.sigma_w / np.sqrt(shape.fan_in) * rng.standard_normal(shape.shape))


def orthogonal_matrix(rows: int, columns: int, rng: np.random.Generator) -> Floats:
    """Return a Haar-distributed (rows, columns) matrix: whichever are fewer are orthonormal.

    QR of a normal matrix, columns multiplied by the sign of R's diagonal, without which the law is
    not Haar (Mezzadri 2007, arXiv:math-ph/0609050).
    """
    return _haar(rows, columns, rng)[0]


def _haar(rows: int, columns: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Return the orthogonal matrix, and R of its QR decomposition."""
    tall = rng.standard_normal((max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(tall)
    q *= np.where(np.diagonal(r) < 0, -1.0, 1.0)
    return (q if rows >= columns else q.T), r


def orthogonal_weight(shape: LayerShape, init: InitSpec, rng: np.random.Generator) -> Floats:
    """Orthogonal weights with ‖W‖_F²/N_out = sigma_w², also where the layer widens.

    A convolution is delta-orthogonal: the matrix sits at the kernel's centre, the rest is zero
    (Xiao et al. 2018, arXiv:1806.05393). The off-centre zeros count as weights.
    """
    rows, columns = shape.shape[:2]
    return _placed(_orthogonal_scale(shape, init) * orthogonal_matrix(rows, columns, rng), shape)


def orthogonal_uncertainty(shape: LayerShape, init: InitSpec, rng: np.random.Generator) -> Floats:
    """Return how far each weight of `orthogonal_weight` may lie from its value elsewhere.

    A computed Q is that of a matrix whose entries differ from A's by some unit roundoffs u: n
    columns' operations add up like a random walk, to about u√n. Column j of Q then moves by about
    u√n ‖R_j⁻¹‖_F, with R_j the leading block of R (Higham, Accuracy and Stability of Numerical
    Algorithms, 2nd ed., section 19.9). Sixteen times that is returned: the kernels for eight kinds
    of CPU in NumPy 1.26 and 2.4 differ by at most 4.2 times.
    """
    rows, columns = shape.shape[:2]
    r = _haar(rows, columns, rng)[1]
    leading = np.sqrt(np.cumsum((np.linalg.inv(r) ** 2).sum(axis=0)))
    column = 16 * UNIT_ROUNDOFF * np.sqrt(len(r)) * leading * _orthogonal_scale(shape, init)
    across = column[None, :] if rows >= columns else column[:, None]
    return _placed(np.broadcast_to(across, (rows, columns)), shape)


def _orthogonal_scale(shape: LayerShape, init: InitSpec) -> float:
    rows, columns = shape.shape[:2]
    return cast(float, init.sigma_w * np.sqrt(rows / min(rows, columns)))


def _placed(matrix: Floats, shape: LayerShape) -> Floats:
    """Return the matrix at the centre of a convolution's kernel; of a linear layer, as it is."""
    if shape.kind == "linear":
        return matrix
    weight = np.zeros(shape.shape)
    weight[:, :, shape.shape[2] // 2, shape.shape[3] // 2] = matrix
    return weight


def gaussian_bias(shape: LayerShape, init: InitSpec, rng: np.random.Generator) -> Floats:
    """Independent normal biases of variance sigma_b²."""
    return init.sigma_b * rng.standard_normal(shape.shape[0])


def scaled_bias(shape: LayerShape, init: InitSpec, rng: np.random.Generator) -> Floats:
    """Independent normal biases of variance sigma_b²/fan_in: the slides' literal reading."""
    return cast(Floats, gaussian_bias(shape, init, rng) / np.sqrt(shape.fan_in))


class Scheme(NamedTuple):
    """How weights and biases are drawn; `uncertainty`: how far weights may differ elsewhere."""

    weight: Draw
    bias: Draw
    uncertainty: Draw | None = None


SCHEMES: dict[str, Scheme | tuple[Draw, Draw]] = {
    "gaussian": (gaussian_weight, gaussian_bias),
    "normal-scaled-bias": (gaussian_weight, scaled_bias),
    "orthogonal": Scheme(orthogonal_weight, gaussian_bias, orthogonal_uncertainty),
}


def _scheme(spec: Spec) -> Scheme:
    if spec.init.scheme not in SCHEMES:
        raise ValueError(f"init scheme is {spec.init.scheme!r}; allowed: {sorted(SCHEMES)}")
    return Scheme(*SCHEMES[spec.init.scheme])


def is_normal(scheme: str) -> bool:
    """Whether a scheme draws normal weights: what pruning by |theta_0| leaves of these is known."""
    return SCHEMES[scheme][0] is gaussian_weight


def initial_layers(spec: Spec, seed: int) -> tuple[Layer, ...]:
    """Draw theta_0 with full masks: one `Layer` per layer of the network, in forward order.

    A layer's weights come from the stream (seed, "weight", name) and its biases from (seed,
    "bias", name), whatever the scheme, so that schemes are paired by seed.
    Raises ValueError for an unknown scheme.
    """
    scheme = _scheme(spec)
    return tuple(
        Layer(
            name=shape.name,
            kind=shape.kind,
            weight=_float32(scheme.weight(shape, spec.init, stream(seed, "weight", shape.name))),
            bias=_float32(scheme.bias(shape, spec.init, stream(seed, "bias", shape.name))),
            mask=np.ones(shape.shape, dtype=bool),
        )
        for shape in layer_shapes(spec)
    )


def border(spec: Spec, seed: int) -> dict[str, npt.NDArray[np.int64]]:
    """Return, by layer, the flat indices of the weights that other machines may round otherwise.

    They lie within their uncertainty of the border between two float32 numbers. Layers without any
    are left out. Raises ValueError for an unknown scheme.
    """
    scheme = _scheme(spec)
    found = {}
    for shape in layer_shapes(spec) if scheme.uncertainty else ():
        weight = scheme.weight(shape, spec.init, stream(seed, "weight", shape.name))
        tolerance = cast(Draw, scheme.uncertainty)(
            shape, spec.init, stream(seed, "weight", shape.name)
        )
        unsure = _float32(weight - tolerance) != _float32(weight + tolerance)
        if unsure.any():
            found[shape.name] = np.flatnonzero(unsure)
    return found


def theta_sha256(layers: Sequence[Layer]) -> str:
    """Return the SHA-256 of all weights and biases, in forward order, little-endian float32."""
    digest = hashlib.sha256()
    for layer in layers:
        digest.update(cast(Any, np.ascontiguousarray(layer.weight, dtype="<f4")))
        digest.update(cast(Any, np.ascontiguousarray(layer.bias, dtype="<f4")))
    return digest.hexdigest()


def _float32(values: Floats) -> npt.NDArray[np.float32]:
    """Round to float32, in C order: writers of other formats save a transposed view wrongly.

    + 0.0 turns the −0.0 of sigma_b = 0 into 0.0, as files require.
    """
    return values.astype(np.float32, order="C") + np.float32(0.0)
