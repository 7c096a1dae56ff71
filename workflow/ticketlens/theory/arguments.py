"""Checks of numeric arguments: floats, or a ValueError that names the argument."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from numpy.typing import ArrayLike

Array = npt.NDArray[np.float64]
Values = float | Array
"""What a Gaussian average is asked for: one number, or an array of any shape."""


def finite(
    name: str, values: ArrayLike, allowed: str, valid: Callable[[Array], npt.NDArray[np.bool_]]
) -> Array:
    """Return values as a float array. Raises ValueError unless all are finite and `valid`."""
    array = np.asarray(values, dtype=float)
    wrong = ~(np.isfinite(array) & valid(array))
    if wrong.any():
        raise ValueError(f"{name} = {array[wrong].flat[0]}: {name} must be {allowed}")
    return array


def positive(name: str, values: ArrayLike) -> Array:
    """Return values as a float array of finite positive numbers."""
    return finite(name, values, "finite and > 0", lambda a: a > 0)


def one_positive(name: str, value: float) -> float:
    """Return a number. Raises ValueError unless it is one, finite and positive."""
    array = positive(name, value)
    if array.ndim:
        raise ValueError(f"{name} has shape {array.shape}: {name} must be one number")
    return float(array)


def points(name: str, x: ArrayLike) -> Array:
    """Return points of evaluation as a float array. Raises ValueError if one is NaN."""
    array = np.asarray(x, dtype=float)
    if np.isnan(array).any():
        raise ValueError(f"{name} holds NaN: {name} must be real numbers")
    return array
