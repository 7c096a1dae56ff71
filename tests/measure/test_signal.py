"""Measured q, c and chi, against autograd on small networks and mean field theory on wide ones."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from jacobian_networks import make_images, make_ticket, module
from ticketlens import meanfield
from ticketlens.measure import signal
from ticketlens.measure.conv import signal as signal_conv
from ticketlens.spec import DatasetSpec, InitSpec, NetworkSpec, Spec
from ticketlens.tickets import initialization, random_weights

DENSE = Spec(
    network=NetworkSpec(hidden_layers=4, width=7), dataset=DatasetSpec(shape=(3, 3, 2), classes=4)
)
CONV = Spec(
    network=NetworkSpec(family="convolutional", hidden_layers=3, width=3),
    dataset=DatasetSpec(shape=(10, 10, 2), classes=4),
)
CONVS = [
    CONV.replace(network=dataclasses.replace(CONV.network, padding=padding, stride=stride))
    for padding in ("circular", "zeros")
    for stride in (1, 2, (1, 2, 1))
]


def by_autograd(layers, spec, images):
    """h of every hidden layer, flattened, from the network that is trained."""
    h = module(layers, spec).preactivations(torch.from_numpy(images))
    return [x.detach().flatten(1).numpy() for x in h]


def layer_jacobians(layers, spec, image):
    """dh^l/dh^{l−1} for l >= 2 at one image, by autograd."""
    model = module(layers, spec)
    h = model.preactivations(torch.from_numpy(image[None]))
    return [
        torch.func.jacrev(lambda x, layer=layer: layer(model.activation(x)))(before)
        .reshape(after.numel(), before.numel())
        .detach()
        .numpy()
        for layer, before, after in zip(model.layers[1:-1], h[:-1], h[1:], strict=True)
    ]


def measure(layers, spec, images, rng, **options):
    if spec.network.family == "convolutional":
        return signal_conv.measure(layers, spec, images, rng, **options)
    return signal.measure(layers, spec.network.activation, images, rng, **options)


# Against the network that is trained


@pytest.mark.parametrize("activation", ["tanh", "erf", "relu", "hard_tanh", "linear"])
def test_preactivations_are_those_of_the_trained_network(activation):
    spec = DENSE.replace(network=dataclasses.replace(DENSE.network, activation=activation))
    layers, images = make_ticket(spec), make_images(spec, 6)
    found = signal.preactivations(layers, activation, images)
    for mine, theirs in zip(found, by_autograd(layers, spec, images), strict=True):
        assert mine.dtype == np.float64
        np.testing.assert_allclose(mine, theirs, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("spec", [DENSE, *CONVS])
def test_q_is_the_mean_square_over_neurons_channels_and_pixels(spec):
    layers, images = make_ticket(spec), make_images(spec, count=11)  # more than one batch
    found = measure(layers, spec, images, np.random.default_rng(0)).q
    h = by_autograd(layers, spec, images)
    np.testing.assert_allclose(found, np.stack([(x**2).mean(axis=1) for x in h], 1), rtol=1e-12)


@pytest.mark.parametrize("spec", [DENSE, *CONVS])
def test_c_is_the_cosine_between_preactivations_of_disjoint_pairs(spec):
    layers, images = make_ticket(spec), make_images(spec, count=21)
    found = measure(layers, spec, images, np.random.default_rng(0)).pair_correlation
    assert found.shape == (10, spec.network.hidden_layers)
    for column, x in zip(found.T, by_autograd(layers, spec, images), strict=True):
        one, two = x[0:20:2], x[1:20:2]
        cosine = (one * two).sum(1) / np.sqrt((one**2).sum(1) * (two**2).sum(1))
        np.testing.assert_allclose(column, cosine, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("spec", [DENSE, *CONVS])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_chi_is_the_mean_squared_singular_value_of_each_layer_s_jacobian(spec, activation):
    spec = spec.replace(network=dataclasses.replace(spec.network, activation=activation))
    layers, images = make_ticket(spec), make_images(spec, count=2)
    found = measure(layers, spec, images, np.random.default_rng(0)).chi
    for row, image in zip(found, images, strict=True):
        jacobians = layer_jacobians(layers, spec, image)
        expected = [np.mean(np.linalg.svd(j, compute_uv=False) ** 2) for j in jacobians]
        expected = [e * min(j.shape) / len(j) for e, j in zip(expected, jacobians, strict=True)]
        np.testing.assert_allclose(row, expected, rtol=1e-10)


@pytest.mark.parametrize("spec", [DENSE, CONV])
def test_slopes_of_tiny_perturbations_are_those_of_the_derivative(spec):
    """Only the part of J u at right angles to h changes c: 1 − c = ½ (|J u|²/|h|² − cos²)."""
    layers, images = make_ticket(spec), make_images(spec, count=4)
    found = measure(layers, spec, images, np.random.default_rng(7)).perturbation_slope
    direction = signal.perturbed(images, 1.0, np.random.default_rng(7)) - images
    model = module(layers, spec)
    h, tangents = torch.func.jvp(
        lambda x: tuple(model.preactivations(x)),
        (torch.from_numpy(images),),
        (torch.from_numpy(direction),),
    )
    growth = []
    for x, t in zip(h, tangents, strict=True):
        x, t = x.detach().flatten(1).numpy(), t.detach().flatten(1).numpy()
        x2, t2, xt = (x * x).sum(1), (t * t).sum(1), (x * t).sum(1)
        growth.append(t2 / x2 - xt**2 / x2**2)
    growth = np.stack(growth, axis=1)
    np.testing.assert_allclose(found, growth[:, 1:] / growth[:, :-1], rtol=1e-4)


def test_chi_is_not_a_number_where_a_kernel_wraps_around_a_smaller_map():
    spec = CONVS[1].replace(dataset=DatasetSpec(shape=(6, 6, 2), classes=4))  # maps of 3 and 2
    found = measure(make_ticket(spec), spec, make_images(spec, 6), np.random.default_rng(0)).chi
    assert np.isfinite(found[:, 0]).all() and np.isnan(found[:, 1]).all()


def test_a_convolution_with_one_pixel_is_a_dense_layer():
    spec = Spec(
        network=NetworkSpec(family="convolutional", hidden_layers=3, width=8, kernel=1),
        dataset=DatasetSpec(shape=(1, 1, 5), classes=3),
    )
    layers, images = make_ticket(spec), make_images(spec, 6)
    dense = [
        dataclasses.replace(
            layer,
            kind="linear",
            weight=layer.weight.reshape(layer.weight.shape[:2]),
            mask=layer.mask.reshape(layer.mask.shape[:2]),
        )
        for layer in layers
    ]
    one = signal_conv.measure(layers, spec, images, np.random.default_rng(0))
    two = signal.measure(dense, "tanh", images, np.random.default_rng(0))
    for field in ("q", "chi", "pair_distance"):
        np.testing.assert_allclose(getattr(one, field), getattr(two, field), rtol=1e-10)
    np.testing.assert_allclose(one.perturbation_distance, two.perturbation_distance, rtol=1e-6)


# Against mean field theory


WIDE = Spec(
    network=NetworkSpec(hidden_layers=4, width=1500),
    init=InitSpec(sigma_w=1.7, sigma_b=0.4),
    dataset=DatasetSpec(shape=(20, 20, 1)),
)


@pytest.fixture(scope="module")
def wide():
    layers = initialization.initial_layers(WIDE, 0)
    rng = np.random.default_rng(3)
    shared = rng.standard_normal((20, 1, 20, 20))
    images = np.empty((40, 1, 20, 20))
    images[0::2] = shared
    images[1::2] = 0.8 * shared + 0.6 * rng.standard_normal(shared.shape)
    return signal.measure(layers, "tanh", images, np.random.default_rng(0))


def test_q_of_a_wide_random_network_follows_the_length_map(wide):
    q = wide.q.mean(axis=0)
    np.testing.assert_allclose(q[1:], meanfield.q_map(q[:-1], 1.7, 0.4), rtol=0.05)


def test_c_of_a_wide_random_network_follows_the_correlation_map(wide):
    q, c = wide.q.mean(axis=0), wide.pair_correlation.mean(axis=0)
    assert c[0] == pytest.approx(0.8, abs=0.03)
    np.testing.assert_allclose(c[1:], meanfield.c_map(c[:-1], q[:-1], 1.7, 0.4), atol=0.02)


def test_chi_of_a_wide_random_network_is_that_of_mean_field_theory(wide):
    q = wide.q.mean(axis=0)
    expected = [meanfield.chi(1.7, 0.4, q=x) for x in q[:-1]]
    np.testing.assert_allclose(wide.chi.mean(axis=0), expected, rtol=0.02)


def test_the_slope_of_the_c_map_at_one_is_chi_times_q_over_the_next_q(wide):
    q = wide.q.mean(axis=0)
    expected = [meanfield.chi(1.7, 0.4, q=x) * x / meanfield.q_map(x, 1.7, 0.4) for x in q[:-1]]
    found = wide.perturbation_slope.mean(axis=0)
    np.testing.assert_allclose(found, expected, rtol=0.05)
    assert abs(np.log(found[0] / meanfield.chi(1.7, 0.4, q=q[0]))) > 0.1  # chi(q) alone is wrong


def test_chord_slopes_of_a_wide_random_network_are_those_of_the_correlation_map(wide):
    q, c = wide.q.mean(axis=0), wide.pair_correlation.mean(axis=0)
    expected = (1 - meanfield.c_map(c[:-1], q[:-1], 1.7, 0.4)) / (1 - c[:-1])
    np.testing.assert_allclose(wide.pair_slope.mean(axis=0), expected, rtol=0.05)


def test_regression_recovers_the_local_slope_of_a_known_map():
    c = np.linspace(0.1, 0.3, 30)
    distance = 1 - np.stack([c, 0.4 + 0.25 * c, np.full(30, 0.9)], axis=1)
    np.testing.assert_allclose(signal.regression_slopes(distance), [0.25, 0], atol=1e-12)
    assert np.isnan(signal.regression_slopes(distance[:, ::-1])[0])


# Numbers at the edge


@given(st.floats(1e-7, 1.9), st.integers(0, 1000))
@settings(deadline=None, max_examples=50)
def test_distances_are_accurate_however_close_the_inputs(angle, seed):
    rng = np.random.default_rng(seed)
    basis, _ = np.linalg.qr(rng.standard_normal((9, 2)))
    one, two = 3.0 * basis[:, :1].T, (np.cos(angle) * basis[:, :1] + np.sin(angle) * basis[:, 1:]).T
    found = signal.distances([one], [two])[0, 0]
    assert found == pytest.approx(2 * np.sin(angle / 2) ** 2, rel=1e-7)


@given(st.integers(1, 5), st.floats(1e-8, 10))
@settings(deadline=None, max_examples=20)
def test_a_perturbation_is_eps_times_the_norm_of_its_image(count, eps):
    images = make_images(CONV, count).astype(np.float32)
    moved = signal.perturbed(images, eps, np.random.default_rng(count))
    sizes = np.linalg.norm((moved - images).reshape(count, -1), axis=1)
    norms = np.linalg.norm(images.reshape(count, -1).astype(float), axis=1)
    np.testing.assert_allclose(sizes, eps * norms, rtol=1e-6)


def test_a_dead_layer_gives_nan_for_c_and_zero_for_q_without_a_warning():
    spec = DENSE.replace(init=InitSpec(sigma_b=0.0))
    layers = initialization.initial_layers(spec, 0)
    masks = [layer.mask if i != 1 else ~layer.mask for i, layer in enumerate(layers)]
    found = measure(
        random_weights.rewind(masks, layers), spec, make_images(spec, 6), np.random.default_rng(0)
    )
    assert (found.q[:, 1:] == 0).all() and (found.q[:, 0] > 0).all()
    assert np.isnan(found.pair_correlation[:, 1:]).all() and np.isnan(found.pair_slope).all()
    assert np.isnan(found.pair_regression_slope).all() and (found.chi[:, 0] == 0).all()


def test_one_hidden_layer_has_a_length_but_no_chi_and_no_slope():
    for spec in (DENSE, CONV):
        spec = spec.replace(network=dataclasses.replace(spec.network, hidden_layers=1))
        found = measure(make_ticket(spec), spec, make_images(spec, 6), np.random.default_rng(0))
        assert found.q.shape == (6, 1)
        assert found.chi.shape == found.perturbation_slope.shape == (6, 0)


# What is refused


def test_each_module_refuses_the_other_s_layers_and_says_where_to_go():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match=r"hidden1 is of kind 'conv'.*measure.conv.signal"):
        signal.measure(make_ticket(CONV), "tanh", make_images(CONV, 6), rng)
    with pytest.raises(ValueError, match=r"'fully-connected'.*ticketlens.measure.signal"):
        signal_conv.measure(make_ticket(DENSE), DENSE, make_images(DENSE, 6), rng)


def test_senseless_input_is_refused():
    rng = np.random.default_rng(0)
    layers, images = make_ticket(DENSE), make_images(DENSE, 6)
    wide = dataclasses.replace(
        layers[0], weight=np.zeros((7, 19), np.float32), mask=np.ones((7, 19), dtype=bool)
    )
    with pytest.raises(ValueError, match="18 values each, layer hidden1 takes 19"):
        signal.measure((wide, *layers[1:]), "tanh", images, rng)
    with pytest.raises(ValueError, match="at least 2"):
        signal.measure(layers, "tanh", images[:1], rng)
    with pytest.raises(ValueError, match="eps is 0"):
        signal.measure(layers, "tanh", images, rng, eps=0.0)
    with pytest.raises(ValueError, match="no hidden layers"):
        signal.measure(layers[-1:], "tanh", images, rng)
    with pytest.raises(ValueError, match="activation"):
        signal.measure(layers, "sine", images, rng)


def test_one_pair_of_images_has_no_regression_slope_and_others_need_not_vary_with_it():
    assert np.isnan(signal.regression_slopes(np.array([[0.5, 0.25]]))).all()
    second_and_third_agree = np.array([[0.2, 0.1, 0.3], [0.6, 0.3, 0.9], [0.6, 0.3, 0.9]])
    assert np.allclose(signal.regression_slopes(second_and_third_agree), [0.5, 3])
