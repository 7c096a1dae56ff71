"""The networks of the tests of spectra, and how many examples their properties are tried on."""

from hypothesis import settings

Q_STAR = 0.77127  # tanh, sigma_w = 1.4, sigma_b = 0.3: the critical network of the study
DEEP = ([Q_STAR] * 7, 1.4)

sampled = settings(max_examples=20, deadline=None, derandomize=True)
