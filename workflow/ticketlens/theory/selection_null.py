"""The selection null: what keeping the largest |w| of a Gaussian layer does by itself.

Of weights w ~ N(0, sigma²), pruning by magnitude to a density keeps those with |w| > t sigma. The
survivors' moments and density follow from t alone: no data, no training.
"""

from __future__ import annotations

import math
from typing import cast

import numpy as np

from ticketlens.theory.arguments import Values


def threshold(density: Values) -> Values:
    """Return t with P(|z| > t) = density for standard normal z: the cut in units of sigma.

    Raises ValueError for a density outside (0, 1].
    """
    from scipy.special import ndtri

    density = np.asarray(density, dtype=np.float64)
    if not ((density > 0) & (density <= 1)).all():
        raise ValueError(f"density is {density.tolist()}: it must be in (0, 1]")
    return cast(Values, 0.0 - ndtri(density / 2)[()])


def std(density: Values, sigma: float = 1.0) -> Values:
    """Return the std of the survivors: their mean is zero, so the root of the second moment."""
    return np.sqrt(second_moment(density, sigma))


def second_moment(density: Values, sigma: float = 1.0) -> Values:
    """Return E[w² | |w| > t sigma] = sigma²·(1 + 2 t φ(t)/density) for w ~ N(0, sigma²)."""
    t = threshold(density)
    return sigma**2 * (1 + 2 * t * _normal_density(t) / density)


def fourth_moment(density: Values, sigma: float = 1.0) -> Values:
    """Return E[w⁴ | |w| > t sigma] = sigma⁴·(3 + 2 (t³ + 3t) φ(t)/density) for w ~ N(0, sigma²).

    Over the squared second moment: 3 at density 1, 1.16 at density 0.1, 1 in the limit.
    """
    t = threshold(density)
    return sigma**4 * (3 + 2 * (t**3 + 3 * t) * _normal_density(t) / density)


def density(x: Values, density: float, sigma: float = 1.0) -> Values:
    """Return the survivors' probability density: N(0, sigma²) cut to |x| > t sigma, normalised.

    Raises ValueError for a density outside (0, 1], or sigma <= 0.
    """
    if not 0 < sigma < math.inf:
        raise ValueError(f"sigma is {sigma}: it must be positive and finite")
    z = np.asarray(x, dtype=np.float64) / sigma
    cut = np.abs(z) > threshold(density) if density != 1 else True
    return np.where(cut, _normal_density(z) / (density * sigma), 0.0)[()]


def _normal_density(z: Values) -> Values:
    return np.exp(-0.5 * np.square(z)) / math.sqrt(2 * math.pi)
