"""Gaussian averages by mpmath: adaptive quadrature that knows nothing of the library's rules."""

import mpmath as mp


def clip(x):
    return max(min(x, mp.mpf(1)), mp.mpf(-1))


MP_PHI = {
    "tanh": mp.tanh,
    "erf": mp.erf,
    "relu": lambda x: max(x, mp.mpf(0)),
    "hard_tanh": clip,
    "linear": lambda x: x,
}
MP_DERIVATIVE = {
    "tanh": lambda x: mp.sech(x) ** 2,
    "erf": lambda x: 2 / mp.sqrt(mp.pi) * mp.exp(-x * x),
    "relu": lambda x: mp.mpf(x > 0),
    "hard_tanh": lambda x: mp.mpf(abs(x) < 1),
    "linear": lambda x: mp.mpf(1),
}


def mp_expectation(f, mean, variance, width=None):
    """E f(mean + sqrt(variance) z), split where f (of the given width) bends around -1, 0, 1."""
    sigma = mp.sqrt(variance)
    width = 1 if width is None else width
    cuts = {mp.mpf(z) for z in (-10, -6, -3, -1, 0, 1, 3, 6, 10)}
    for knot in (-1, 0, 1):
        for offset in (-6, -2, -0.5, 0, 0.5, 2, 6):
            z = (knot + offset * width - mean) / sigma
            if abs(z) < 10:
                cuts.add(z)
    return mp.quad(lambda z: f(mean + sigma * z) * mp.npdf(z), sorted(cuts))


def mp_pair(phi, c, q):
    """E phi(u1) phi(u2) by nested Gauss-Legendre quadrature in (u1, u2 given u1)."""
    root, rest = mp.sqrt(q), mp.sqrt(q * (1 - c * c))

    def quad(f, cuts):
        return mp.quad(lambda z: f(z) * mp.npdf(z), cuts, method="gauss-legendre", maxdegree=4)

    def inner(z1):
        mean = c * root * z1
        return phi(root * z1) * quad(lambda z2: phi(mean + rest * z2), [-8, -4, -2, 0, 2, 4, 8])

    return 2 * quad(inner, [0, 0.1, 0.3, 0.9, 2, 4, 8])


def mp_clip_pair(c, q):
    """The same for hard tanh, whose conditional mean is known: one integral is left."""
    s = mp.sqrt(q * (1 - mp.mpf(c) ** 2))

    def conditional_mean(u):
        low, high = (-1 - c * u) / s, (1 - c * u) / s
        inside = mp.ncdf(high) - mp.ncdf(low)
        return c * u * inside + s * (mp.npdf(low) - mp.npdf(high)) + mp.ncdf(-high) - mp.ncdf(low)

    return mp_expectation(lambda u: clip(u) * conditional_mean(u), mp.mpf(0), mp.mpf(q), float(s))
