"""The empirical neural tangent kernel: against autograd, a closed form, and wide networks."""

import numpy as np
import pytest
import torch

from jacobian_networks import CONVS, DENSE, RESIDUAL, make_images, make_ticket, module
from ticketlens import meanfield
from ticketlens.checkpoint import Checkpoint, Layer
from ticketlens.measure import ntk
from ticketlens.measure.conv import ntk as ntk_conv
from ticketlens.spec import DatasetSpec, InitSpec, NetworkSpec, Spec
from ticketlens.tables import ntk_conv as table_conv
from ticketlens.tables.ntk import ntk_rows
from ticketlens.tickets.initialization import initial_layers


@pytest.mark.parametrize("biases", [False, True])
@pytest.mark.parametrize("density", [0.4, 0.8, 1.1])  # few are summed, or few left out, or all
def test_kernel_is_that_of_autograd_over_the_kept_weights(biases, density):
    layers, images = make_ticket(DENSE, density=density), make_images(DENSE, 5)
    found = ntk.kernel(layers, "tanh", images, biases)
    np.testing.assert_allclose(found, by_autograd(layers, images, biases), rtol=1e-10)


def by_autograd(layers, images, biases):
    """Gradients of every weight by torch.func on a plain function, masked afterwards."""

    def outputs(parameters, x):
        for weight, bias in parameters[:-1]:
            x = torch.tanh(weight @ x + bias)
        weight, bias = parameters[-1]
        return weight @ x + bias

    parameters = [
        (torch.from_numpy(y.weight).double(), torch.from_numpy(y.bias).double()) for y in layers
    ]
    rows = []
    for image in images:
        x = torch.from_numpy(image.ravel())
        grads = torch.func.jacrev(outputs)(parameters, x)
        rows.append(
            np.concatenate(
                [
                    np.concatenate([dw.numpy()[:, y.mask], biases * db.numpy()], axis=1)
                    for y, (dw, db) in zip(layers, grads, strict=True)
                ],
                axis=1,
            )
        )  # (classes, weights)
    stacked = np.stack(rows)
    return np.einsum("icw,jcw->ij", stacked, stacked)


def test_trace_of_a_wide_network_is_the_infinite_width_kernels():
    """ln tr K/n against the recursion of the NTK on the diagonal, q and chi of mean field theory.

    Σ_l q̂_{l−1} Π_{k≥l} chi_k with q̂ = E phi² (pixels for layer 1), in NTK units of a layer whose
    weights have variance sigma_w²/fan_in: a weight's gradient squared sums to N_in·E phi²·‖δ‖².
    """
    width, depth, sigma_w, sigma_b = 1500, 3, 1.4, 0.3
    spec = Spec(
        network=NetworkSpec(hidden_layers=depth, width=width),
        init=InitSpec(scheme="gaussian", sigma_w=sigma_w, sigma_b=sigma_b),
        dataset=DatasetSpec(shape=(20, 20, 1), classes=10),
    )
    images = np.random.default_rng(0).standard_normal((2, 1, 20, 20))
    layers = initial_layers(spec, 0)
    found = np.diag(ntk.kernel(layers, "tanh", images)).mean()

    pixels = np.mean(images**2)
    q = [sigma_w**2 * pixels + sigma_b**2]
    for _ in range(depth - 1):
        q.append(float(meanfield.q_map(q[-1], sigma_w, sigma_b)))
    squares = [(float(meanfield.q_map(x, sigma_w, 0.0)) / sigma_w**2) for x in q]  # E phi²
    chi = [float(meanfield.chi(sigma_w, sigma_b, q=x)) for x in q]
    # ‖dy_c/dh^l‖² for l = L … 1 is Π chi over the layers behind it, the readout's included.
    behind, expected = 1.0, width * squares[-1]
    for number in range(depth - 1, -1, -1):
        behind *= chi[number]
        inputs = 400 * pixels if number == 0 else width * squares[number - 1]
        expected += behind * inputs
    assert found == pytest.approx(10 * expected, rel=0.05)


def test_statistics_of_the_label_kernel_itself():
    labels = np.repeat(np.arange(5), 4)
    same = (labels[:, None] == labels[None, :]).astype(float)
    found = ntk.statistics(3 * same, labels)
    assert found.alignment == pytest.approx(1)
    assert found.effective_rank == pytest.approx(4)  # five classes, centred
    assert found.log_trace == pytest.approx(np.log(3))
    np.testing.assert_allclose(found.eigenvalues, [12] * 4 + [0] * 16, atol=1e-9)


def test_statistics_of_an_identity_and_of_nothing():
    labels = np.arange(6) % 2
    assert ntk.statistics(np.eye(6), labels).effective_rank == pytest.approx(5)
    nothing = ntk.statistics(np.zeros((6, 6)), labels)
    assert np.isneginf(nothing.log_trace) and np.isnan(nothing.alignment)


def test_images_are_balanced_over_classes():
    labels = np.array([1, 0, 0, 2, 1, 2, 0])
    assert ntk.balanced(labels, 2).tolist() == [0, 1, 2, 3, 4, 5]
    with pytest.raises(ValueError, match="class 1 has 2 images; needed: 3"):
        ntk.balanced(labels, 3)


def test_table_has_ticket_and_nulls_and_shares_that_sum_to_one():
    images = make_images(DENSE, 12)
    ticket = Checkpoint("ticket", "study", 0, 1, "imp", DENSE, make_ticket(DENSE))
    statistics, spectrum = ntk_rows(ticket, images, np.arange(12) % 4)
    assert len(statistics) == 7 and {row["images"] for row in statistics} == {12}
    own = [row["share"] for row in spectrum if row["network"] == "rewired"]
    assert sum(own) == pytest.approx(1) and len(own) == 12
    trained = Checkpoint("trained", "study", 0, 1, "imp", DENSE, make_ticket(DENSE))
    assert [row["network"] for row in ntk_rows(trained, images, np.arange(12) % 4)[0]] == ["ticket"]


@pytest.mark.parametrize(
    "spec", [*CONVS, DENSE, *RESIDUAL], ids=lambda spec: f"{spec.network.family}"
)
def test_kernel_of_every_family_is_that_of_the_gradients_of_one_image_at_a_time(spec):
    """One backward pass per image and logit through the whole model, masked afterwards."""
    layers, images = make_ticket(spec), make_images(spec, 5)
    model = module(layers, spec)
    weights = [layer.parametrizations.weight.original for layer in model.layers]
    rows = [
        [
            np.concatenate([g.numpy()[y.mask] for g, y in zip(grads, layers, strict=True)])
            for c in range(4)
            for grads in [torch.autograd.grad(model(torch.from_numpy(image[None]))[0, c], weights)]
        ]
        for image in images
    ]
    expected = np.einsum("icw,jcw->ij", np.array(rows), np.array(rows))
    found = ntk_conv.kernel(layers, spec, images, torch.float64)
    np.testing.assert_allclose(found, expected, rtol=1e-10)
    np.testing.assert_allclose(ntk_conv.kernel(layers, spec, images), expected, rtol=1e-4)


def test_pruned_weights_do_not_count_in_a_convolutions_kernel():
    """A mask that keeps the readout alone leaves the Gram matrix of what it reads, per logit."""
    spec = CONVS[0]
    layers, images = make_ticket(spec, density=1.1), make_images(spec, 4)
    alone = [*(Layer(y.name, y.kind, y.weight, y.bias, y.mask & False) for y in layers[:-1]),
             layers[-1]]  # fmt: skip
    with torch.no_grad():
        model = module(layers, spec)
        h = model.preactivations(torch.from_numpy(images))[-1]
        read = model.activation(h).mean(dim=(2, 3)).numpy()
    found = ntk_conv.kernel(alone, spec, images, torch.float64)
    np.testing.assert_allclose(found, 4 * read @ read.T, rtol=1e-10)


def test_table_of_a_convolution_has_the_columns_of_the_dense_one():
    spec = CONVS[0]
    labels, images = np.arange(12) % 4, make_images(spec, 12)
    ticket = Checkpoint("ticket", "study", 0, 1, "imp", spec, make_ticket(spec))
    statistics, spectrum = table_conv.measure_ntk(ticket, images, labels).values()
    dense = Checkpoint("ticket", "study", 0, 1, "imp", DENSE, make_ticket(DENSE))
    like, _ = ntk_rows(dense, make_images(DENSE, 12), labels)
    assert [list(row) for row in statistics] == [list(row) for row in like]
    assert {row["images"] for row in statistics} == {12}, "fewer images than four a class"
    assert len(spectrum) == 7 * 12
