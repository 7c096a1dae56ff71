"""S-transforms of the factors of a Jacobian: their product is that of the whole (free probability).

Source: Pennington, Schoenholz, Ganguli 2017 (arXiv:1711.04735) and 2018 (arXiv:1802.09979).
"""

from __future__ import annotations

from typing import cast

import numpy as np
from numpy.typing import ArrayLike

from ticketlens.theory.arguments import finite, positive
from ticketlens.theory.marchenko_pastur import Result


def s_transform_gaussian(m: ArrayLike, sigma_w: float = 1.0) -> Result:
    """S-transform of W Wᵀ, square Gaussian W: 1 / (sigma_w² (1 + m)).

    Shapes: m (...) -> (...).

    >>> float(rmt.s_transform_gaussian(1.0))
    0.5
    """
    return cast(Result, 1 / (positive("sigma_w", sigma_w) ** 2 * (1 + np.asarray(m))))


def s_transform_orthogonal(m: ArrayLike, sigma_w: float = 1.0) -> Result:
    """S-transform of W Wᵀ = sigma_w² 1: 1 / sigma_w², whatever m.

    Shapes: m (...) -> (...).

    >>> float(rmt.s_transform_orthogonal(1.0, 2.0))
    0.25
    """
    return cast(Result, 1 / positive("sigma_w", sigma_w) ** 2 + 0 * np.asarray(m))


def s_transform_zero_one(m: ArrayLike, one: float) -> Result:
    """S-transform of a slope that is 1 with probability `one`, else 0: (1 + m) / (one + m).

    Shapes: m (...) -> (...).

    >>> float(rmt.s_transform_zero_one(1.0, 0.5))
    1.3333333333333333
    """
    share = finite("one", one, "a probability > 0", lambda a: (a > 0) & (a <= 1))
    return cast(Result, (1 + np.asarray(m)) / (share + np.asarray(m)))
