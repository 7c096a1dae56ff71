"""Initial weights: their law, and that nothing but seed, layer name and shape moves them."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from core_tools import same_bits
from ticketlens.architecture import LayerShape, layer_shapes
from ticketlens.seeds import stream
from ticketlens.spec import DatasetSpec, InitSpec, NetworkSpec, Spec
from ticketlens.tickets import initialization
from ticketlens.tickets.initialization import (
    gaussian_bias,
    initial_layers,
    orthogonal_matrix,
    orthogonal_weight,
    scaled_bias,
    theta_sha256,
)

SIDES = st.integers(1, 40)
UNLIKELY = 1e-6
PINNED_THETA_0 = "fb7f2d176f0c27fbe6db20f325e5838c84dc663ec120360b3afe87a2c8dec961"


def spec_of(scheme="gaussian", sigma_w=1.4, sigma_b=0.3, shape=(8, 8, 3), **network):
    sizes = {"hidden_layers": 3, "width": 100, **network}
    dataset = DatasetSpec("tiny", "0", shape, 10)
    return Spec(NetworkSpec(**sizes), InitSpec(scheme, sigma_w, sigma_b), dataset=dataset)


def variance_bounds(variance, count):
    """Return what a sample variance about the known mean 0 stays within, almost surely."""
    low, high = stats.chi2.ppf([UNLIKELY / 2, 1 - UNLIKELY / 2], count)
    return variance * low / count, variance * high / count


# --- the law ------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["gaussian", "normal-scaled-bias"])
@pytest.mark.parametrize("family", ["fully-connected", "convolutional"])
def test_normal_weights_have_variance_sigma_w_squared_over_fan_in(scheme, family):
    for layer in initial_layers(spec_of(scheme, family=family), seed=0):
        weights = layer.weight.astype(float).ravel()
        low, high = variance_bounds(1.4**2 / layer.fan_in, weights.size)
        assert low < np.mean(weights**2) < high
        assert stats.kstest(weights * np.sqrt(layer.fan_in) / 1.4, "norm").pvalue > UNLIKELY


@pytest.mark.parametrize(
    ("draw", "variance"), [(gaussian_bias, 0.3**2), (scaled_bias, 0.3**2 / 300)]
)
def test_biases_have_the_variance_of_their_scheme(draw, variance):
    shape = LayerShape("hidden1", "linear", (5000, 300))
    biases = draw(shape, InitSpec(sigma_b=0.3), stream(0, "bias"))
    low, high = variance_bounds(variance, 5000)
    assert low < np.mean(biases**2) < high


def test_the_schemes_of_the_registry_use_the_bias_that_they_name():
    unscaled, scaled, orthogonal = (
        initial_layers(spec_of(scheme), 0)[1]
        for scheme in ("gaussian", "normal-scaled-bias", "orthogonal")
    )
    assert np.allclose(unscaled.bias, scaled.bias * 10, rtol=1e-6)  # fan_in is 100
    assert same_bits(unscaled.bias, orthogonal.bias)
    assert same_bits(unscaled.weight, scaled.weight)


@given(SIDES, SIDES, st.integers(0, 99))
def test_rows_or_columns_are_orthonormal_whichever_are_fewer(rows, columns, seed):
    matrix = orthogonal_matrix(rows, columns, stream(seed, "weight"))
    gram = matrix @ matrix.T if rows <= columns else matrix.T @ matrix
    assert matrix.shape == (rows, columns)
    assert np.allclose(gram, np.eye(min(rows, columns)), atol=1e-12)


@given(SIDES, SIDES, st.floats(0.1, 4))
def test_orthogonal_weights_have_mean_square_row_norm_sigma_w_squared(outputs, inputs, sigma_w):
    shape = LayerShape("hidden1", "linear", (outputs, inputs))
    weight = orthogonal_weight(shape, InitSpec(sigma_w=sigma_w), stream(0, "weight"))
    assert np.sum(weight**2) / outputs == pytest.approx(sigma_w**2, rel=1e-12)


def test_stored_orthogonal_layers_are_orthogonal_to_1e_6_also_where_they_widen():
    # 6·6·3 = 108 inputs, then 150 outputs: the first layer widens, the readout narrows.
    for layer in initial_layers(spec_of("orthogonal", 1.4, shape=(6, 6, 3), width=150), seed=0):
        weight = layer.weight.astype(float)
        outputs, inputs = weight.shape
        gram = weight @ weight.T if outputs <= inputs else weight.T @ weight
        scale = 1.4**2 * outputs / min(outputs, inputs)
        assert np.allclose(gram / scale, np.eye(len(gram)), atol=1e-6)
        assert np.sum(weight**2) / outputs == pytest.approx(1.4**2, abs=1e-6)


@pytest.mark.parametrize(("width", "channels"), [(8, 8), (12, 5)])
def test_delta_orthogonal_convolutions_preserve_norms_under_circular_padding(width, channels):
    shape = LayerShape("hidden1", "conv", (width, channels, 3, 3))
    weight = torch.from_numpy(orthogonal_weight(shape, InitSpec(sigma_w=1.0), stream(0, "weight")))
    images = torch.from_numpy(np.random.default_rng(0).standard_normal((5, channels, 7, 7)))
    padded = torch.nn.functional.pad(images, (1, 1, 1, 1), mode="circular")
    output = torch.nn.functional.conv2d(padded, weight)
    before, after = ((x**2).sum(dim=(1, 2, 3)) / x.shape[1] for x in (images, output))
    assert torch.allclose(before, after, rtol=1e-12)


def test_off_centre_weights_of_a_delta_orthogonal_convolution_are_kept_zeros():
    layers = initial_layers(spec_of("orthogonal", family="convolutional", width=8), seed=0)
    for layer in layers[:-1]:
        off_centre = layer.weight.copy()
        off_centre[:, :, 1, 1] = 0
        assert not off_centre.any() and layer.weight[:, :, 1, 1].all()
        assert layer.mask.all()


def haar_problems(draw, size=3, samples=4000):
    """Return the moments of tr Q that are far from Haar's, E tr Q = 0 and E (tr Q)² = 1."""
    rng = stream(0, "haar")
    traces = np.array([np.trace(draw(size, rng)) for _ in range(samples)])
    return [
        power
        for power, wanted in ((1, 0.0), (2, 1.0))
        if abs(np.mean(traces**power) - wanted) > 5 * np.std(traces**power) / np.sqrt(samples)
    ]


def test_orthogonal_matrices_are_haar_distributed():
    assert haar_problems(lambda size, rng: orthogonal_matrix(size, size, rng)) == []


def test_without_the_sign_correction_they_would_not_be():
    def uncorrected(size, rng):
        return np.linalg.qr(rng.standard_normal((size, size)))[0]

    assert 1 in haar_problems(uncorrected)


# --- what may move the numbers, and what may not ----------------------------------------------


def test_layer_names_key_the_streams_so_that_depth_moves_no_layer():
    shallow = {layer.name: layer for layer in initial_layers(spec_of(hidden_layers=2), 0)}
    deep = {layer.name: layer for layer in initial_layers(spec_of(hidden_layers=5), 0)}
    assert set(shallow) < set(deep)
    for name, layer in shallow.items():
        assert same_bits(layer.weight, deep[name].weight), name
        assert same_bits(layer.bias, deep[name].bias), name


@pytest.mark.parametrize("spendthrift", ["gaussian_weight", "gaussian_bias"])
def test_an_extra_draw_for_one_purpose_shifts_no_other(monkeypatch, spendthrift):
    expected = initial_layers(spec_of(), 0)
    original = getattr(initialization, spendthrift)

    def spending(shape, init, rng):
        values = original(shape, init, rng)
        rng.standard_normal(1000)
        return values

    pair = [getattr(initialization, name) for name in ("gaussian_weight", "gaussian_bias")]
    schemes = {"gaussian": tuple(spending if f is original else f for f in pair)}
    monkeypatch.setattr(initialization, "SCHEMES", schemes)
    assert theta_sha256(initial_layers(spec_of(), 0)) == theta_sha256(expected)


def test_seeds_and_layers_differ_and_a_seed_repeats():
    one, same, other = (initial_layers(spec_of(), seed) for seed in (0, 0, 1))
    assert theta_sha256(one) == theta_sha256(same) != theta_sha256(other)
    assert not np.array_equal(one[1].weight, one[2].weight)  # of the same shape


def test_theta_0_is_the_one_that_stored_tickets_belong_to():
    layers = initial_layers(spec_of(width=6), seed=0)
    assert theta_sha256(layers) == PINNED_THETA_0


@pytest.mark.parametrize("scheme", ["gaussian", "normal-scaled-bias", "orthogonal"])
def test_theta_0_is_dense_float32_without_negative_zeros(scheme):
    spec = spec_of(scheme, sigma_b=0.0)
    layers = initial_layers(spec, 0)
    for layer, shape in zip(layers, layer_shapes(spec), strict=True):
        assert (layer.name, layer.kind, layer.weight.shape) == (shape.name, shape.kind, shape.shape)
        assert layer.weight.dtype == layer.bias.dtype == np.float32
        assert layer.mask.all() and layer.mask.shape == shape.shape
        assert not layer.bias.view(np.uint32).any()
        assert not np.signbit(layer.weight[layer.weight == 0]).any()


def test_theta_sha256_covers_every_weight_and_bias_in_forward_order():
    layers = initial_layers(spec_of(width=5), 0)
    arrays = [array for layer in layers for array in (layer.weight, layer.bias)]
    expected = hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()
    assert theta_sha256(layers) == expected
    assert theta_sha256(layers[::-1]) != expected
    for array in arrays:
        array.view(np.uint32).flat[-1] ^= 1
        assert theta_sha256(layers) != expected
        array.view(np.uint32).flat[-1] ^= 1


def test_an_unknown_scheme_is_refused_with_those_that_exist():
    with pytest.raises(ValueError, match=r"init scheme is 'xavier'; allowed: \['gaussian', "):
        initial_layers(spec_of("xavier"), 0)


# --- shapes --------------------------------------------------------------------------------------


def test_the_full_networks_have_eight_hidden_layers_below_the_readout():
    full = layer_shapes(Spec())
    assert [layer.shape for layer in full] == [(256, 3072), *[(256, 256)] * 7, (10, 256)]
    assert [layer.name for layer in full] == [*(f"hidden{n}" for n in range(1, 9)), "readout"]
    conv = layer_shapes(Spec(NetworkSpec("convolutional", width=128)))
    assert [layer.shape for layer in conv] == [
        (128, 3, 3, 3), *[(128, 128, 3, 3)] * 7, (10, 128)
    ]  # fmt: skip
    assert [layer.fan_in for layer in conv] == [27, *[1152] * 7, 128]


def test_an_unknown_family_is_refused():
    with pytest.raises(ValueError, match="network family is 'transformer'"):
        layer_shapes(Spec(NetworkSpec("transformer")))
