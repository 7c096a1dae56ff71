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
    border,
    gaussian_bias,
    initial_layers,
    orthogonal_matrix,
    orthogonal_weight,
    scaled_bias,
    theta_sha256,
)

SIDES = st.integers(1, 40)
UNLIKELY = 1e-6
# Of width 6 and seed 0: digests of 0.1.0, on which every chain and every bank rests.
PINNED_THETA_0 = {
    ("gaussian", "fully-connected"):
        "fb7f2d176f0c27fbe6db20f325e5838c84dc663ec120360b3afe87a2c8dec961",
    ("gaussian", "convolutional"):
        "f364d14448fffa5ea17bddddc33b0b9640d4435d75d45c92efc6d59c1acb8d42",
    ("normal-scaled-bias", "fully-connected"):
        "106a3d8739bbbaa83c640b090f839439ba6ad0459c7ee699853095e1d59c44d0",
    ("normal-scaled-bias", "convolutional"):
        "4027477c08dacbc50b2e2ba23e07cebcb5ead037543f6fe89875bbaa0243580f",
    ("orthogonal", "fully-connected"):
        "4c426890761a9443af033ca11097dbe9fc10dac2f7dbf613f7e8ba9def8a6814",
    ("orthogonal", "convolutional"):
        "35bbceb9febbebb6971581151e9d9dba1a976d2ad99fe3b93e2f7bf1f6a2de05",
}  # fmt: skip


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


@pytest.mark.parametrize(("scheme", "family"), PINNED_THETA_0)
def test_theta_0_is_the_one_that_stored_tickets_belong_to(scheme, family):
    spec = spec_of(scheme, family=family, width=6)
    assert border(spec, 0) == {}  # so that the digest is that of every machine
    assert theta_sha256(initial_layers(spec, 0)) == PINNED_THETA_0[scheme, family]


def test_every_scheme_has_a_pinned_theta_0():
    assert {scheme for scheme, _ in PINNED_THETA_0} == set(initialization.SCHEMES)


@pytest.mark.parametrize("scheme", ["gaussian", "normal-scaled-bias", "orthogonal"])
@pytest.mark.parametrize("sizes", [{"width": 6}, {"width": 300}, {"width": 1}])
def test_initial_weights_are_in_c_order(scheme, sizes):
    # safetensors.numpy 0.8.0 writes the memory of a transposed view under the view's shape.
    for layer in initial_layers(spec_of(scheme, **sizes), 0):
        assert layer.weight.flags.c_contiguous and layer.bias.flags.c_contiguous, layer.name


# --- weights that other machines round otherwise -------------------------------------------------


def test_normal_weights_have_no_border():
    assert border(spec_of("gaussian"), 0) == border(spec_of("normal-scaled-bias"), 0) == {}


def test_an_orthogonal_matrix_moves_by_less_than_its_uncertainty_when_its_source_is_rounded():
    # What kernels do: each rounds the steps of the QR decomposition in its own way.
    rng, init = np.random.default_rng(0), InitSpec("orthogonal", 1.4, 0.3)
    for out, fan_in in ((100, 100), (40, 300), (300, 40), (10, 100), (1, 50)):
        shape = LayerShape("hidden1", "linear", (out, fan_in))
        for seed in range(5):
            exact = orthogonal_weight(shape, init, stream(seed, "weight"))
            tall = stream(seed, "weight").standard_normal((max(out, fan_in), min(out, fan_in)))
            rounded = tall * (
                1 + rng.uniform(-1, 1, tall.shape) * np.sqrt(min(out, fan_in)) * 2**-53
            )
            q, r = np.linalg.qr(rounded)
            q = q * np.where(np.diagonal(r) < 0, -1.0, 1.0)
            moved = 1.4 * np.sqrt(out / min(out, fan_in)) * (q if out >= fan_in else q.T)
            tolerance = initialization.orthogonal_uncertainty(shape, init, stream(seed, "weight"))
            assert (np.abs(moved - exact) < tolerance).all()
            assert tolerance.max() < 1e-10  # a share of a float32 step of 1e-9


def test_the_border_holds_the_weights_between_two_float32_numbers_and_few_others():
    spec = spec_of("orthogonal", shape=(32, 32, 3), width=100)
    found = border(spec, 0)
    for shape in layer_shapes(spec):
        exact = orthogonal_weight(shape, spec.init, stream(0, "weight", shape.name)).ravel()
        tolerance = initialization.orthogonal_uncertainty(
            shape, spec.init, stream(0, "weight", shape.name)
        ).ravel()
        near = exact.astype(np.float32)
        to_border = np.minimum(
            np.abs(exact - (near.astype(float) + np.nextafter(near, np.float32(np.inf))) / 2),
            np.abs(exact - (near.astype(float) + np.nextafter(near, np.float32(-np.inf))) / 2),
        )
        expected = np.flatnonzero(to_border <= tolerance)
        assert found.get(shape.name, np.array([], int)).tolist() == expected.tolist()
    assert 1 <= sum(len(index) for index in found.values()) < 100


def test_off_centre_zeros_of_a_convolution_are_no_border():
    spec = spec_of("orthogonal", family="convolutional", width=30)
    for name, index in border(spec, 3).items():
        weight = {layer.name: layer for layer in initial_layers(spec, 3)}[name].weight
        assert weight.flat[index].all()


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
