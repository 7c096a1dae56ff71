"""Jacobians: against autograd, high precision, brute force, and the theory of wide networks."""

import itertools

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import lapack, qr

from jacobian_networks import CONVS, DENSE, make_images, make_ticket, module, with_activation
from ticketlens import random_matrix
from ticketlens.checkpoint import Layer
from ticketlens.measure import jacobian, product_svd, signal
from ticketlens.measure.conv import signal as signal_conv
from ticketlens.spec import DatasetSpec, InitSpec, NetworkSpec, Spec
from ticketlens.tickets import initialization
from ticketlens.tickets import random_weights as weights


def hidden_jacobian_by_autograd(layers, spec, image):
    """dh^L/dh^1 as a matrix, from the layers of the network that is trained."""
    model = module(layers, spec)
    h = model.preactivations(torch.from_numpy(image[None]))

    def last(h):
        for layer in model.layers[1:-1]:
            h = layer(model.activation(h))
        return h

    matrix = torch.func.jacrev(last)(h[0]).reshape(h[-1].numel(), h[0].numel())
    return matrix.detach().numpy()


def linear_layers(*matrices):
    """Hidden layers with these weights, no biases, and full masks where weights are not zero."""
    return tuple(
        Layer(f"hidden{i}", "linear", np.float32(w), np.zeros(len(w), np.float32), w != 0)
        for i, w in enumerate(matrices, start=1)
    )


# Against autograd


@pytest.mark.parametrize("activation", ["tanh", "erf", "relu", "hard_tanh", "linear"])
def test_the_hidden_jacobian_is_that_of_autograd(activation):
    spec = with_activation(DENSE, activation)
    layers, images = make_ticket(spec), make_images(spec)
    h = signal.preactivations(layers, activation, images)
    found = jacobian.hidden_jacobians(layers, activation, h)
    for mine, image in zip(found, images, strict=True):
        expected = hidden_jacobian_by_autograd(layers, spec, image)
        np.testing.assert_allclose(mine, expected, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_the_logit_jacobian_is_that_of_autograd(activation):
    spec = with_activation(DENSE, activation)
    layers, images = make_ticket(spec), make_images(spec)
    h = signal.preactivations(layers, activation, images)
    found = jacobian.logit_jacobians(layers, activation, h)
    model = module(layers, spec)
    for mine, image in zip(found, images, strict=True):
        expected = torch.func.jacrev(lambda x: model(x[None])[0])(torch.from_numpy(image))
        np.testing.assert_allclose(mine, expected.detach().numpy().reshape(4, -1), rtol=1e-10)


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_the_spectrum_is_that_of_the_jacobian_with_forced_zeros_apart(activation):
    spec = with_activation(DENSE, activation)
    layers, images = make_ticket(spec, density=0.3), make_images(spec)
    s, found = jacobian.hidden_spectrum(layers, activation, images)
    for i, image in enumerate(images):
        expected = np.linalg.svd(hidden_jacobian_by_autograd(layers, spec, image), compute_uv=False)
        np.testing.assert_allclose(s[i], expected, atol=1e-12 * max(expected[0], 1e-3))
        assert found.mean_square[i] == pytest.approx(np.mean(expected**2))
        free = 9 - found.nullity - found.inactive[i]
        assert free == np.linalg.matrix_rank(np.diag(s[i]), tol=1e-14)
        if free:
            assert found.log_mean[i] == pytest.approx(np.mean(np.log(s[i, :free])))
            assert found.log_std[i] == pytest.approx(np.std(np.log(s[i, :free])))
        else:
            assert np.isnan(found.log_mean[i])
    if activation == "tanh":
        assert (found.inactive == 0).all() and found.nullity > 0
    else:
        assert (found.inactive > 0).any()


def test_the_logit_spectrum_has_one_value_per_class():
    layers, images = make_ticket(DENSE), make_images(DENSE)
    s, found = jacobian.logit_spectrum(layers, "tanh", images)
    h = signal.preactivations(layers, "tanh", images)
    squares = np.sum(jacobian.logit_jacobians(layers, "tanh", h) ** 2, axis=(1, 2))
    assert s.shape == (4, 4)
    np.testing.assert_allclose(found.mean_square, squares / 4)
    assert found.nullity == 0


# Small singular values


def test_singular_values_of_a_product_are_accurate_over_forty_orders_of_magnitude():
    rng = np.random.default_rng(0)
    factors = [rng.standard_normal((9, 9)) * 10.0 ** -rng.uniform(0, 6, 9) for _ in range(7)]
    with mpmath.workdps(80):
        product = mpmath.eye(9)
        for factor in factors:
            product = mpmath.matrix(factor.tolist()) * product
        exact = sorted((float(x) for x in mpmath.svd_r(product, compute_uv=False)), reverse=True)
    found = product_svd.singular_values(factors)
    assert exact[0] / exact[-1] > 1e30
    np.testing.assert_allclose(found, exact, rtol=1e-8)
    explicit = np.linalg.svd(np.linalg.multi_dot(factors[::-1]), compute_uv=False)
    assert abs(np.log(explicit[-1] / exact[-1])) > 1  # which the product itself has lost


def test_logs_of_singular_values_add_up_to_the_log_determinants_of_the_factors():
    rng = np.random.default_rng(1)
    factors = [rng.standard_normal((120, 120)) / np.sqrt(120) for _ in range(10)]
    found = np.log(product_svd.singular_values(factors)).sum()
    assert found == pytest.approx(sum(np.linalg.slogdet(f)[1] for f in factors), rel=1e-9)


@given(st.lists(st.integers(1, 6), min_size=2, max_size=5), st.integers(0, 1000))
@settings(deadline=None, max_examples=50)
def test_products_of_any_shapes_have_the_singular_values_of_the_product(widths, seed):
    rng = np.random.default_rng(seed)
    factors = [rng.standard_normal((b, a)) for a, b in itertools.pairwise(widths)]
    product = np.eye(widths[0])
    for factor in factors:
        product = factor @ product
    expected = np.linalg.svd(product, compute_uv=False)
    np.testing.assert_allclose(product_svd.singular_values(factors), expected, atol=1e-9)


def test_a_product_without_rank_has_zeros_last():
    found = product_svd.singular_values([np.diag([3.0, 0.0, 2.0]), np.diag([1.0, 1.0, 0.5])])
    np.testing.assert_allclose(found, [3, 1, 0], atol=1e-15)
    np.testing.assert_array_equal(product_svd.singular_values([np.zeros((2, 3))]), [0, 0])


def test_factors_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="do not fit"):
        product_svd.singular_values([np.eye(3), np.eye(2)])
    with pytest.raises(ValueError, match="at least one"):
        product_svd.singular_values([])


# Structural zeros


def disjoint_paths_by_brute_force(masks):
    """The largest set of starting neurons that paths carry to the end without meeting."""
    width = masks[0].shape[1]
    for size in range(width, 0, -1):
        reached = {frozenset(c) for c in itertools.combinations(range(width), size)}
        for mask in masks:
            ends = [
                (starts, end)
                for starts in reached
                for end in itertools.permutations(range(len(mask)), size)
                if all(mask[b, a] for a, b in zip(sorted(starts), end, strict=True))
            ]
            reached = {frozenset(end) for _, end in ends}
        if reached:
            return size
    return 0


@given(
    st.lists(st.integers(1, 4), min_size=2, max_size=5),
    st.sampled_from([0.2, 0.4, 0.6]),
    st.integers(0, 10_000),
)
@settings(deadline=None, max_examples=80)
def test_structural_nullity_is_that_of_a_brute_force_search(widths, density, seed):
    rng = np.random.default_rng(seed)
    masks = [rng.random((b, a)) < density for a, b in itertools.pairwise(widths)]
    expected = min(widths[0], widths[-1]) - disjoint_paths_by_brute_force(masks)
    assert jacobian.structural_nullity(masks) == expected


@given(st.sampled_from([0.03, 0.06, 0.1, 0.2]), st.integers(0, 10_000))
@settings(deadline=None, max_examples=25)
def test_structural_rank_is_the_rank_of_random_weights_on_the_masks(density, seed):
    rng = np.random.default_rng(seed)
    masks = [rng.random((30, 30)) < density for _ in range(4)]
    factors = [mask * rng.uniform(1, 2, mask.shape) for mask in masks]
    s = product_svd.singular_values(factors)
    rank = int(np.sum(s > 1e-13 * s[0])) if s[0] else 0
    assert jacobian.structural_nullity(masks) == 30 - rank


def test_a_bottleneck_of_one_neuron_leaves_one_path():
    wide, narrow = np.ones((5, 5), dtype=bool), np.zeros((5, 5), dtype=bool)
    narrow[2] = True
    assert jacobian.structural_nullity([wide, wide, wide]) == 0
    assert jacobian.structural_nullity([wide, narrow, wide]) == 4
    assert jacobian.structural_nullity([wide, np.zeros_like(wide)]) == 5
    assert jacobian.structural_nullity([]) == 0


def test_full_rank_layers_can_have_a_product_that_is_structurally_singular():
    """Each mask alone has two disjoint edges, together they meet in one neuron."""
    first = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 0]], dtype=bool)
    second = np.array([[0, 1, 0], [0, 0, 0], [0, 0, 1]], dtype=bool)
    assert [jacobian.structural_nullity([mask]) for mask in (first, second)] == [1, 1]
    assert jacobian.structural_nullity([first, second]) == 2


# Statistics


def test_statistics_keep_structural_zeros_apart_from_small_values():
    s = np.array([[3.0, 1.0, 1e-12, 0.0]])
    found = jacobian.spectrum_statistics(s, nullity=1)
    assert found.mean_square[0] == pytest.approx(2.5)
    assert found.relative_variance[0] == pytest.approx(np.var([9, 1, 0, 0]) / 2.5**2)
    assert found.largest[0] == 3 and found.nullity == 1
    logs = np.log([3.0, 1.0, 1e-12])
    assert found.log_mean[0] == pytest.approx(logs.mean())
    assert found.log_std[0] == pytest.approx(logs.std())
    assert found.log_mean_square[0] == pytest.approx(np.log(2.5))


def test_a_disconnected_network_has_nan_for_logs_and_raises_no_warning():
    found = jacobian.spectrum_statistics(np.zeros((2, 3)), nullity=3)
    assert np.isnan(found.log_mean).all() and np.isnan(found.relative_variance).all()
    assert np.isneginf(found.log_mean_square).all()
    with pytest.raises(ValueError, match="nullity"):
        jacobian.spectrum_statistics(np.zeros((2, 3)), nullity=4)


# Isometry


def test_the_estimate_of_the_frobenius_norm_is_unbiased_with_the_stated_error():
    spec = DENSE.replace(network=NetworkSpec(hidden_layers=4, width=60))
    layers, images = make_ticket(spec, density=0.5), make_images(spec, 200)
    h = signal.preactivations(layers, "tanh", images)
    rng = np.random.default_rng(0)
    exact = jacobian.squared_frobenius(layers, "tanh", h, rng, probes=None)
    jacobians = jacobian.hidden_jacobians(layers, "tanh", h)
    np.testing.assert_allclose(exact, np.sum(jacobians**2, axis=(1, 2)), rtol=1e-12)
    s2 = np.linalg.svd(jacobians[:20], compute_uv=False) ** 2
    bound = np.sqrt(2 * np.mean(np.mean(s2**2, 1) / np.mean(s2, 1) ** 2) / (60 * 5))
    errors = jacobian.squared_frobenius(layers, "tanh", h, rng, probes=5) / exact - 1
    assert abs(errors.mean()) < 4 * bound / np.sqrt(200)
    assert 0.7 * bound < errors.std() < 1.1 * bound


def test_layers_that_amplify_the_same_direction_exceed_the_product_of_their_chis():
    """diag(2, 0) three times: chi = 2 each, but the product has 16·4/2 = 32 = 4 · 2³."""
    aligned, scattered = np.diag([2.0, 0.0]), np.array([[1.0, -1.0], [1.0, 1.0]])
    images = np.random.default_rng(0).standard_normal((6, 2))
    for matrix, excess in ((aligned, np.log(4)), (scattered, 0.0)):
        layers = linear_layers(matrix, matrix, matrix, matrix)
        found = jacobian.isometry(layers, "linear", images, np.random.default_rng(0), probes=None)
        np.testing.assert_allclose(found.chi, 2.0)
        assert found.log_chi_sum == pytest.approx(3 * np.log(2))
        assert found.excess == pytest.approx(excess, abs=1e-12)
        assert found.log_frobenius_error == pytest.approx(0, abs=1e-12)


def test_a_disconnected_network_has_no_excess():
    theta = make_ticket(DENSE)
    cut = (*theta[:2], *weights.rewind([np.zeros_like(theta[2].mask)], theta[2:3]), *theta[3:])
    found = jacobian.isometry(cut, "tanh", make_images(DENSE), np.random.default_rng(0))
    assert np.isneginf(found.log_frobenius) and np.isneginf(found.log_chi_sum)
    assert np.isnan(found.excess) and np.isnan(found.log_frobenius_error)


# Against the theory of wide networks


@pytest.mark.parametrize("scheme", ["gaussian", "orthogonal"])
def test_moments_of_s2_in_a_wide_random_network_are_those_of_free_probability(scheme):
    spec = Spec(
        network=NetworkSpec(hidden_layers=5, width=500),
        init=InitSpec(scheme=scheme, sigma_w=1.4, sigma_b=0.3),
        dataset=DatasetSpec(shape=(16, 16, 1)),
    )
    layers, images = initialization.initial_layers(spec, 0), make_images(spec, 6)
    h = signal.preactivations(layers, "tanh", images)
    s2 = np.linalg.svd(jacobian.hidden_jacobians(layers, "tanh", h), compute_uv=False) ** 2
    found = jacobian.spectrum_statistics(np.sqrt(s2))
    q = signal.lengths(h).mean(axis=0)
    mean, variance = random_matrix.jacobian_moments(q[:-1], 1.4, scheme)
    assert found.mean_square.mean() == pytest.approx(mean, rel=0.05)
    assert found.relative_variance.mean() == pytest.approx(variance / mean**2, rel=0.07)
    isometry = jacobian.isometry(layers, "tanh", images, np.random.default_rng(0), probes=None)
    assert isometry.excess == pytest.approx(0, abs=0.03)
    assert isometry.log_frobenius == pytest.approx(np.log(mean), abs=0.05)


# Convolutions


@pytest.mark.parametrize("spec", CONVS)
def test_the_convolutional_jacobian_and_its_transpose_are_those_of_autograd(spec):
    layers, image = make_ticket(spec), make_images(spec, 1)[0]
    expected = hidden_jacobian_by_autograd(layers, spec, image)
    found = signal_conv.jacobian(layers, spec, image[None])
    rows, columns = expected.shape
    units = torch.eye(columns, dtype=torch.float64).reshape(columns, *found.input_shape)
    np.testing.assert_allclose(
        found.push(units).reshape(columns, rows).numpy().T, expected, rtol=1e-10, atol=1e-15
    )
    transpose = found.transpose()
    for row in range(0, rows, 7):
        unit = torch.zeros(rows, dtype=torch.float64)
        unit[row] = 1
        pulled = transpose(unit.reshape(1, *found.output_shape)).numpy().ravel()
        np.testing.assert_allclose(pulled, expected[row], rtol=1e-10, atol=1e-15)


@pytest.mark.parametrize("spec", CONVS[::2])
def test_the_convolutional_frobenius_norm_agrees_within_its_standard_error(spec):
    layers, images = make_ticket(spec), make_images(spec, 3)
    found = signal_conv.squared_frobenius(
        layers, spec, images, np.random.default_rng(0), probes=300
    )
    for mean, error, image in zip(found.mean, found.standard_error, images, strict=True):
        j = hidden_jacobian_by_autograd(layers, spec, image)
        exact = np.sum(j**2) / len(j)
        assert abs(mean - exact) < 4 * error and error < 0.05 * exact
    assert found.log_frobenius == pytest.approx(np.log(found.mean.mean()))
    assert 0 < found.log_frobenius_error < 0.05


@pytest.mark.parametrize("spec", CONVS)
def test_leading_singular_values_are_those_of_the_full_jacobian(spec):
    layers, image = make_ticket(spec), make_images(spec, 1)[0]
    found = signal_conv.leading_singular_values(layers, spec, image, np.random.default_rng(0), 4)
    j = hidden_jacobian_by_autograd(layers, spec, image)
    np.testing.assert_allclose(found, np.linalg.svd(j, compute_uv=False)[:4], rtol=1e-4)


def test_senseless_requests_are_refused():
    rng, spec = np.random.default_rng(0), CONVS[0]
    layers, images = make_ticket(spec), make_images(spec)
    with pytest.raises(ValueError, match="count is 0"):
        signal_conv.leading_singular_values(layers, spec, images[0], rng, 0)
    with pytest.raises(ValueError, match="probes is 0"):
        signal_conv.squared_frobenius(layers, spec, images, rng, 0)
    with pytest.raises(ValueError, match="probes is 0"):
        jacobian.isometry(make_ticket(DENSE), "tanh", make_images(DENSE), rng, 0)
    with pytest.raises(ValueError, match=r"measure\.conv\.signal"):
        jacobian.isometry(layers, "tanh", images, rng)
    single = make_ticket(DENSE)[::4]
    with pytest.raises(ValueError, match="two hidden layers"):
        jacobian.hidden_spectrum(single, "tanh", make_images(DENSE))
    with pytest.raises(ValueError, match="'readout'"):
        jacobian.logit_spectrum(single[:1], "tanh", make_images(DENSE))


def jacobi(factors):
    """Singular values as 1fb1ed6 found them: pivots within QR, then LAPACK's Jacobi method."""
    left = right = np.eye(factors[0].shape[1])
    grades = np.ones(len(left))
    for factor in factors:
        left, triangle, order = qr((factor @ left) * grades, mode="economic", pivoting=True)
        grades = np.abs(np.diagonal(triangle))
        right = (triangle / grades[:, None]) @ right[order]
    values, _, _, work, _, info = lapack.dgejsv(
        right.T * grades, joba=0, jobu=3, jobv=3, jobr=1, jobt=0, jobp=0
    )
    assert info == 0
    return values * (work[0] / work[1])


@pytest.mark.parametrize("decades", [0, 2, 4])
def test_singular_values_are_those_of_jacobis_method(decades):
    rng = np.random.default_rng(decades)
    factors = [
        rng.standard_normal((90, 90)) * 10.0 ** -rng.uniform(0, decades, 90) for _ in range(7)
    ]
    np.testing.assert_allclose(product_svd.singular_values(factors), jacobi(factors), rtol=1e-9)


@pytest.mark.parametrize("decades", [0, 1, 2, 3, 5])
@pytest.mark.parametrize("count", [2, 5, 6])
def test_factors_that_are_multiplied_in_pairs_leave_nine_digits(decades, count, monkeypatch):
    """As large ones are; where the product of two loses more, it is not taken."""
    rng = np.random.default_rng(decades)
    factors = [
        rng.standard_normal((60, 60)) * 10.0 ** -rng.uniform(0, decades, 60) for _ in range(count)
    ]
    one_by_one = product_svd.singular_values(factors)
    monkeypatch.setattr(product_svd, "LARGE", 59)
    products = []
    times = product_svd._times
    monkeypatch.setattr(
        product_svd, "_times", lambda *given: products.append(given[0]) or times(*given)
    )
    in_pairs = product_svd.singular_values(factors)
    np.testing.assert_allclose(in_pairs, one_by_one, rtol=1e-9)
    if decades < 2:
        assert len(products) == -(-count // 2)
    if decades == 5:
        assert len(products) > count, "pairs were tried, and left"


def test_pairs_without_rank_are_taken_one_by_one(monkeypatch):
    monkeypatch.setattr(product_svd, "LARGE", 3)
    rng = np.random.default_rng(0)
    factors = [rng.standard_normal((5, 5)) for _ in range(4)]
    factors[1][2] = 0  # a dead neuron
    factors[3][:, 4] = factors[3][:, 3]  # dependent columns
    found = product_svd.singular_values(factors)
    assert found[4] < 1e-13 * found[0] < 1e-10 * found[3]
    product = np.linalg.multi_dot(factors[::-1])
    np.testing.assert_allclose(found[:4], np.linalg.svd(product, compute_uv=False)[:4], rtol=1e-9)


def test_masks_whose_matchings_are_paths_have_no_structural_zeros(monkeypatch):
    rng = np.random.default_rng(0)
    masks = [rng.random(shape) < 0.5 for shape in ((30, 50), (30, 30), (10, 30))]
    monkeypatch.setattr(jacobian.csgraph, "maximum_flow", None)
    assert jacobian.structural_nullity(masks) == 0
    assert jacobian.structural_nullity([mask.T for mask in masks[::-1]]) == 0
