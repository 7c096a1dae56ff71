"""Initial weights theta_0: each scheme is one function, each layer has its own random streams.

`sigma_w` and `sigma_b` are standard deviations in mean-field scale: Var W = sigma_w²/fan_in and
Var b = sigma_b² (Poole et al. 2016, arXiv:1606.05340).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import numpy as np

from ticketlens.architecture import LayerShape, layer_shapes
from ticketlens.checkpoint import Layer
from ticketlens.seeds import stream
from ticketlens.spec import InitSpec, Spec

Draw = Callable[[LayerShape, InitSpec, np.random.Generator], np.ndarray]


def gaussian_weight(shape: LayerShape, init: InitSpec, rng: np.random.Generator) -> np.ndarray:
    """Independent normal weights of variance sigma_w²/fan_in, of the layer's shape."""
    return init.sigma_w / np.sqrt(shape.fan_in) * rng.standard_normal(shape.shape)


def orthogonal_matrix(rows: int, columns: int, rng: np.random.Generator) -> np.ndarray:
    """Return a Haar-distributed (rows, columns) matrix: whichever are fewer are orthonormal.

    QR of a normal matrix, columns multiplied by the sign of R's diagonal, without which the law is
    not Haar (Mezzadri 2007, arXiv:math-ph/0609050).
    """
    tall = rng.standard_normal((max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(tall)
    q *= np.where(np.diagonal(r) < 0, -1.0, 1.0)
    return q if rows >= columns else q.T


def orthogonal_weight(shape: LayerShape, init: InitSpec, rng: np.random.Generator) -> np.ndarray:
    """Orthogonal weights with ‖W‖_F²/N_out = sigma_w², also where the layer widens.

    A convolution is delta-orthogonal: the matrix sits at the kernel's centre, the rest is zero
    (Xiao et al. 2018, arXiv:1806.05393). The off-centre zeros count as weights.
    """
    rows, columns = shape.shape[:2]
    scale = init.sigma_w * np.sqrt(rows / min(rows, columns))
    matrix = scale * orthogonal_matrix(rows, columns, rng)
    if shape.kind == "linear":
        return matrix
    weight = np.zeros(shape.shape)
    weight[:, :, shape.shape[2] // 2, shape.shape[3] // 2] = matrix
    return weight


def gaussian_bias(shape: LayerShape, init: InitSpec, rng: np.random.Generator) -> np.ndarray:
    """Independent normal biases of variance sigma_b²."""
    return init.sigma_b * rng.standard_normal(shape.shape[0])


def scaled_bias(shape: LayerShape, init: InitSpec, rng: np.random.Generator) -> np.ndarray:
    """Independent normal biases of variance sigma_b²/fan_in: the slides' literal reading."""
    return gaussian_bias(shape, init, rng) / np.sqrt(shape.fan_in)


SCHEMES: dict[str, tuple[Draw, Draw]] = {
    "gaussian": (gaussian_weight, gaussian_bias),
    "normal-scaled-bias": (gaussian_weight, scaled_bias),
    "orthogonal": (orthogonal_weight, gaussian_bias),
}


def initial_layers(spec: Spec, seed: int) -> tuple[Layer, ...]:
    """Draw theta_0 with full masks: one `Layer` per layer of the network, in forward order.

    A layer's weights come from the stream (seed, "weight", name) and its biases from (seed,
    "bias", name), whatever the scheme, so that schemes are paired by seed.
    Raises ValueError for an unknown scheme.
    """
    if spec.init.scheme not in SCHEMES:
        raise ValueError(f"init scheme is {spec.init.scheme!r}; allowed: {sorted(SCHEMES)}")
    draw_weight, draw_bias = SCHEMES[spec.init.scheme]
    return tuple(
        Layer(
            name=shape.name,
            kind=shape.kind,
            weight=_float32(draw_weight(shape, spec.init, stream(seed, "weight", shape.name))),
            bias=_float32(draw_bias(shape, spec.init, stream(seed, "bias", shape.name))),
            mask=np.ones(shape.shape, dtype=bool),
        )
        for shape in layer_shapes(spec)
    )


def theta_sha256(layers: Sequence[Layer]) -> str:
    """Return the SHA-256 of all weights and biases, in forward order, little-endian float32."""
    digest = hashlib.sha256()
    for layer in layers:
        digest.update(np.ascontiguousarray(layer.weight, dtype="<f4"))
        digest.update(np.ascontiguousarray(layer.bias, dtype="<f4"))
    return digest.hexdigest()


def _float32(values: np.ndarray) -> np.ndarray:
    """Round to float32; + 0.0 turns the −0.0 of sigma_b = 0 into 0.0, as files require."""
    return values.astype(np.float32) + np.float32(0.0)
