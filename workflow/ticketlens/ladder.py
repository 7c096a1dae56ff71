"""The ladder: which assumption of mean field theory fails in a ticket?

q of a hidden layer is the mean of h² over neurons (and pixels) and images, h = W x + b. Each rung
predicts q of every hidden layer of a given ticket, and drops one assumption of the rung before.

| rung            | assumes                                                              |
|-----------------|----------------------------------------------------------------------|
| `naive`         | a dense Gaussian layer with the variance of the kept weights         |
| `second_moment` | a dense Gaussian layer with the second moment of all weights, zeros  |
|                 | included: sparsity dilutes                                           |
| `degree`        | Gaussian pre-activations, with a variance of its own for each neuron |
| `empirical_law` | weights drawn independently from the layer's own values, zeros       |
|                 | included: finite in-degree, so not Gaussian                          |
| `sign_redraw`   | the ticket's own graph and magnitudes, with independent random signs |

Modes. "free": a rung's own prediction goes on to the next layer, from the images upwards.
"layerwise": the measured PRE-activations of the layer below go in, as moments, so that errors do
not pile up: one q per image for `naive` and `second_moment`; mean and variance over the images, per
neuron, for `degree` (one Gaussian for all images, so that a spread of their norms shows). The two
Monte Carlo rungs redraw the layer below on its measured inputs and rescale each image to the
measured q: the shape of the law of h is the rung's, its scale measured. (Feeding the measured E x²
instead would turn all rungs but the first into one exact identity.) In layer 1 both modes agree.

`naive` to `degree` run image by image and are averaged at the end. In convolutions, q and the mean
square of the activations are kept per pixel, and the kernel's window, with its padding and stride,
averages them: uniformly for `naive`, by the second moment at each position of the kernel above.
A neuron is then a channel at a pixel. Only the hidden layers count, never the readout.

Compare rungs and measured q on the same images. On one core, FCNet (8 × 256) and 200 images take
0.1 s (`degree`), 0.8 s (`empirical_law`), 0.4 s (`sign_redraw`); a ConvNet (8 × 128 channels of
32×32 pixels) takes 3 s, 7 s and 7 s for ten images.

Examples of the functions below assume:

    >>> import numpy as np
    >>> from ticketlens import bank, ladder, seeds
    >>> from ticketlens.measure.propagation import hidden_stack
    >>> from ticketlens.spec import NetworkSpec
    >>> layers = bank.load("fcnet-normal", seed=0, round=7).layers
    >>> images = seeds.stream(0, "example").standard_normal((4, 3072))
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import cast

import numpy as np

from ticketlens import meanfield
from ticketlens.architecture import READOUT
from ticketlens.checkpoint import Checkpoint, Layer
from ticketlens.measure.gains import GAINS, Gain, naive_gain, second_moment_gain
from ticketlens.measure.moments import ActivationMoments as ActivationMoments
from ticketlens.measure.moments import _neuron_moments
from ticketlens.measure.moments import activation_moments as activation_moments
from ticketlens.measure.moments import measured_q as measured_q
from ticketlens.measure.propagation import (
    HiddenStack,
    Network,
    hidden_stack,
    kernel,
    mean_square,
    scalar_q,
)
from ticketlens.measure.redraws import Law, own_values, random_signs, redraw
from ticketlens.seeds import stream
from ticketlens.spec import NetworkSpec

MODES = ("free", "layerwise")
DEFAULT_REDRAWS = {"linear": 50, "conv": 20}


@dataclass(frozen=True)
class Prediction:
    """A rung's answer per hidden layer, arrays (layers,).

    `q` is the mean over the rung's ensemble, `sd` the standard deviation of q from one network of
    the ensemble to the next (NaN where the rung has no ensemble, and in mode "layerwise"), and
    `standard_error` the Monte Carlo error of `q` (zero for closed forms).
    """

    q: np.ndarray
    sd: np.ndarray
    standard_error: np.ndarray


def predict(
    rung: str,
    layers: Sequence[Layer] | Checkpoint,
    inputs: np.ndarray,
    mode: str = "free",
    *,
    activation: str | None = None,
    network: Network | None = None,
    redraws: int | None = None,
    seed: int = 0,
    apply_mask: bool = False,
) -> np.ndarray:
    """Return the q of each hidden layer that `rung` predicts, in forward order: (layers,).

    `layers` are those of a ticket or a trained network, `inputs` the images: (samples, features) or
    (samples, channels, height, width). `network` gives the activation, unless `activation`
    names one (default: tanh), and padding and stride of convolutions, which no layer holds: a
    checkpoint or a torch module in place of the layers says its own, a module its activation too,
    where a submodule is one. `redraws`
    (default: 50, convolutions 20) and `seed` concern the Monte Carlo rungs, whose random streams
    depend on (seed, rung, layer) alone: tickets are compared on the same random numbers.
    Weights off the mask that are not zero are refused, or dropped with `apply_mask`; a torch module
    is taken too.
    Raises ValueError for an unknown rung, mode, activation or padding, for convolutions of which
    stride or padding is not said, shapes that do not fit, inputs that are not finite and for
    fewer than two redraws.

    Shapes: inputs (samples, features) or (samples, channels, height, width) -> (layers,).

    >>> len(ladder.predict("degree", layers, images)) == len(layers) - 1
    True
    """
    return predict_with_spread(
        rung, layers, inputs, mode, activation=activation, network=network, redraws=redraws,
        seed=seed, apply_mask=apply_mask,
    ).q  # fmt: skip


def predict_with_spread(
    rung: str,
    layers: Sequence[Layer] | Checkpoint,
    inputs: np.ndarray,
    mode: str = "free",
    *,
    activation: str | None = None,
    network: Network | None = None,
    redraws: int | None = None,
    seed: int = 0,
    apply_mask: bool = False,
) -> Prediction:
    """Return what `predict` does, with the spread between networks and the Monte Carlo error.

    Raises ValueError as `predict`.

    Shapes: inputs as in `predict`.

    >>> float(ladder.predict_with_spread("naive", layers, images).standard_error.max())
    0.0
    """
    return predict_in_modes(
        rung, layers, inputs, (mode,), activation=activation, network=network, redraws=redraws,
        seed=seed, apply_mask=apply_mask,
    )[mode]  # fmt: skip


def predict_in_modes(
    rung: str,
    layers: Sequence[Layer] | Checkpoint,
    inputs: np.ndarray,
    modes: Collection[str] = MODES,
    *,
    activation: str | None = None,
    network: Network | None = None,
    redraws: int | None = None,
    seed: int = 0,
    apply_mask: bool = False,
) -> dict[str, Prediction]:
    """Return what `predict_with_spread` does in each of `modes`, with the same numbers.

    A Monte Carlo rung draws its networks once for all modes, which takes three quarters of the
    time. Raises as `predict`.

    Shapes: inputs as in `predict`.

    >>> list(ladder.predict_in_modes("naive", layers, images))
    ['free', 'layerwise']
    """
    if rung not in RUNGS:
        raise ValueError(f"rung is {rung!r}; allowed: {', '.join(RUNGS)}")
    for mode in modes:
        if mode not in MODES:
            raise ValueError(f"mode is {mode!r}; allowed: {', '.join(MODES)}")
    stack = hidden_stack(layers, inputs, activation, network, apply_mask=apply_mask)
    redraws = DEFAULT_REDRAWS[stack.layers[0].kind] if redraws is None else redraws
    if redraws < 2:
        raise ValueError(f"redraws is {redraws}; allowed: at least 2, for a spread")
    if rung in LAWS:
        return _redraw(rung, stack, modes, redraws, seed)
    return {mode: RUNGS[rung](stack, mode, redraws, seed) for mode in modes}


def explain_gap(
    measured: np.ndarray, predictions: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Return the signed steps from the first rung up to the measured q, in logs: (layers,) each.

    `predictions` maps rungs, in the order of `RUNGS`, to their q per layer; `measured` is the q per
    layer. The result holds log(R_k/R_{k−1}) under the name of each rung k but the first, then
    log(q/R_last) as "measured". The steps add up to log(q/R_first). Since the assumptions interact,
    a step belongs to its rung in this order only. NaN where a q is zero.
    Raises ValueError for an unknown rung or another order.

    Shapes: measured (layers,), predictions (layers,) each -> (layers,) each.

    >>> ladder.explain_gap([4.0], {"naive": [1.0], "degree": [2.0]})
    {'degree': array([0.69314718]), 'measured': array([0.69314718])}
    """
    if not predictions or [rung for rung in RUNGS if rung in predictions] != list(predictions):
        raise ValueError(
            f"predictions are of the rungs {list(predictions)}; allowed: those of {list(RUNGS)}, "
            "in this order"
        )
    names = [*predictions, "measured"]
    q = np.array([*predictions.values(), measured], dtype=float)
    steps = np.diff(np.log(np.where(q > 0, q, np.nan)), axis=0)
    return dict(zip(names[1:], steps, strict=True))


# --- Rungs in closed form ------------------------------------------------------------------------


def naive(stack: HiddenStack, mode: str, redraws: int, seed: int) -> Prediction:
    """q = fan_in · Var(kept weights) · p + mean b², with p = E phi² at the q of the layer below.

    This is the theory of a dense network (Poole et al. 2016, arXiv:1606.05340) with sigma_w² read
    off the survivors. The variance is taken about their mean.

    >>> stack = hidden_stack(layers, images)
    >>> naive = ladder.naive(stack, "free", 0, 0).q
    >>> bool(np.array_equal(naive, ladder.predict("naive", layers, images)))
    True
    """
    return _scalar_map(stack, mode, naive_gain)


def second_moment(stack: HiddenStack, mode: str, redraws: int, seed: int) -> Prediction:
    """q = (‖W‖_F²/N_out) · p + mean b², with p = E phi² at the q of the layer below.

    >>> ladder.second_moment(hidden_stack(layers, images), "free", 0, 0).q.shape
    (8,)
    """
    return _scalar_map(stack, mode, second_moment_gain)


def chi(
    rung: str,
    layers: Sequence[Layer] | Checkpoint,
    inputs: np.ndarray,
    *,
    activation: str | None = None,
    network: Network | None = None,
) -> np.ndarray:
    """Return sigma_eff² E phi'(√q z)² of hidden layers 2 … L, under a rung of `GAINS`: (L − 1,).

    sigma_eff² is the rung's reading of the layer, q its own free-running q of the layer below:
    image by image and pixel by pixel, averaged at the end. Arguments as `predict`. Raises
    ValueError as that does, and for a rung that is not in `GAINS`.

    Shapes: inputs as in `predict` -> (layers - 1,).

    >>> ladder.chi("second_moment", layers, images).shape
    (7,)
    """
    if rung not in GAINS:
        raise ValueError(f"rung is {rung!r}; allowed: {', '.join(GAINS)}")
    stack, gain = hidden_stack(layers, inputs, activation, network), GAINS[rung]
    found, below = [], None
    for layer, q in _scalar_maps(stack, "free", gain):
        if below is not None:
            mu = meanfield.derivative_moment(below, 1, stack.activation)
            found.append(
                np.mean(stack.apply(cast(np.ndarray, mu), gain(layer)[:, None, None], layer))
            )
        below = q
    return np.array(found)


def theory_chi(
    layers: Sequence[Layer], images: np.ndarray, q: np.ndarray, network: NetworkSpec
) -> dict[str, np.ndarray]:
    """Return sigma_eff² E phi'(√q z)² of hidden layers 2 … L, as theory has it: (L − 1,) each.

    `chi_naive`: R0's sigma_eff and q of the layer below; `chi_second_moment`: R1's;
    `chi_measured_q`: R1's sigma_eff with the measured `q` (images, L); `slope_expected`: the slope
    of the C-map at c = 1, chi(q)·q/V(q), with R1's sigma_eff and the measured q: a measured slope
    compares with it. All image by image, averaged at the end.

    Shapes: images (samples, ...), q (samples, layers) -> (layers - 1,) each.

    >>> q = ladder.measured_q(layers, images)
    >>> sorted(ladder.theory_chi(layers, images, q, NetworkSpec()))
    ['chi_measured_q', 'chi_naive', 'chi_second_moment', 'slope_expected']
    """
    found = {f"chi_{rung}": chi(rung, layers, images, network=network) for rung in GAINS}
    at_measured, slopes = [], []
    hidden = [layer for layer in layers if layer.name != READOUT]
    for layer, below in zip(hidden[1:], q.T[:-1], strict=True):
        gain = second_moment_gain(layer).sum()
        own = gain * meanfield.derivative_moment(below, 1, network.activation)
        v = gain * meanfield.second_moment(below, network.activation) + mean_square(layer.bias)
        at_measured.append(own.mean())
        slopes.append(np.mean(own * below / np.where(v > 0, v, np.nan)))
    return found | {"chi_measured_q": np.array(at_measured), "slope_expected": np.array(slopes)}


def degree(stack: HiddenStack, mode: str, redraws: int, seed: int) -> Prediction:
    """v_i = Σ_j w_ij² p_j and q = mean_i (v_i + b_i²), with p_j = E phi² under N(b_j, v_j).

    >>> ladder.degree(hidden_stack(layers, images), "layerwise", 0, 0).q.shape
    (8,)
    """
    q, below = [], None
    for layer, h in _measured(stack, mode):
        if below is None:
            p = stack.images**2
        else:
            p = cast(
                np.ndarray, meanfield.gaussian_second_moment(*below, activation=stack.activation)
            )
        bias = layer.bias.astype(float)
        variance = stack.apply(p, kernel(layer) ** 2, layer)
        q.append(np.mean(variance) + np.mean(bias**2))
        below = (bias, variance) if h is None else _neuron_moments(h)
    return _exact(q)


def _scalar_map(stack: HiddenStack, mode: str, gain: Gain) -> Prediction:
    return _exact([np.mean(own) for _, own in _scalar_maps(stack, mode, gain)])


def _scalar_maps(stack: HiddenStack, mode: str, gain: Gain) -> Iterator[tuple[Layer, np.ndarray]]:
    """Yield (layer, q = Σ_taps gain · p + mean b²) for each image and pixel; `gain` is (taps,)."""
    below = None
    for layer, h in _measured(stack, mode):
        p = (
            scalar_q(stack.images)
            if below is None
            else cast(np.ndarray, meanfield.second_moment(below, stack.activation))
        )
        own = stack.apply(p, gain(layer)[:, None, None], layer) + mean_square(layer.bias)
        yield layer, own
        below = own if h is None else scalar_q(h)


def _measured(stack: HiddenStack, mode: str) -> Iterable[tuple[Layer, np.ndarray | None]]:
    """Pair each layer with its measured pre-activations, or with None in mode "free"."""
    if mode == "free":
        return zip(stack.layers, repeat(None), strict=False)
    return ((layer, h) for layer, _, h in stack.walk())


# --- Rungs by Monte Carlo ------------------------------------------------------------------------


def empirical_law(stack: HiddenStack, mode: str, redraws: int, seed: int) -> Prediction:
    """Mean q of networks whose weights are drawn independently from each layer's own values.

    By simulation of whole networks of the ticket's own width, on the ticket's own biases: it serves
    every activation, and one draw serves all images. Characteristic functions would need an
    inversion per image and layer, which the atoms that few inputs leave in the law of h make hard.
    The mean of the values counts, too, which a bright image can make visible in layer 1.

    >>> ladder.empirical_law(hidden_stack(layers, images), "free", 2, 0).sd.shape
    (8,)
    """
    return _redraw("empirical_law", stack, (mode,), redraws, seed)[mode]


def sign_redraw(stack: HiddenStack, mode: str, redraws: int, seed: int) -> Prediction:
    """Mean q of networks with the ticket's masks, magnitudes and biases, and random signs.

    >>> ladder.sign_redraw(hidden_stack(layers, images), "free", 2, 0).sd.shape
    (8,)
    """
    return _redraw("sign_redraw", stack, (mode,), redraws, seed)[mode]


LAWS: dict[str, Law] = {"empirical_law": own_values, "sign_redraw": random_signs}


def _redraw(
    rung: str, stack: HiddenStack, modes: Collection[str], redraws: int, seed: int
) -> dict[str, Prediction]:
    streams = [stream(seed, "ladder", rung, layer.name) for layer in stack.layers]
    found = redraw(stack, LAWS[rung], streams, redraws, modes)
    return {mode: Prediction(*found[mode]) for mode in modes}


def _exact(q: Sequence[float]) -> Prediction:
    return Prediction(np.array(q), np.full(len(q), np.nan), np.zeros(len(q)))


Rung = Callable[[HiddenStack, str, int, int], Prediction]

RUNGS: dict[str, Rung] = {
    "naive": naive,
    "second_moment": second_moment,
    "degree": degree,
    "empirical_law": empirical_law,
    "sign_redraw": sign_redraw,
}
