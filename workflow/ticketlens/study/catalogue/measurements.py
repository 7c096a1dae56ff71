"""All measurements. Rules are made of the entries: a new one is one function and one entry.

See docs/worked-examples.md for an example, `kinds.Measurement` for what an entry says.
"""

from __future__ import annotations

from ticketlens.study.catalogue.kinds import Measurement

SIGNAL = ("qmap", "chi", "cmap")
MEASUREMENTS: dict[str, Measurement] = {
    "weights": Measurement(
        "ticketlens.tables.weights:measure_weights",
        ("weight_statistics", "histograms", "spectra", "spectral_densities"),
        "Moments, bimodality and histograms of the kept weights; "
        "eigenvalues of W Wᵀ against nulls.",
        with_ticket=True,
        mem_mb=1000,
    ),
    "degrees": Measurement(
        "ticketlens.tables.weights:measure_degrees",
        ("degrees",),
        "In- and out-degrees, dead neurons, effective density "
        "(the same before and after training).",
        state="init",
        mem_mb=1000,
    ),
    "ladder": Measurement(
        "ticketlens.tables.signal:measure_ladder",
        ("ladder", "decomposition"),
        "q as every rung of the ladder predicts it, and the decomposition of the measured q.",
        networks="chains",
        images={"images": "ladder_images"},
    ),
    "signal": Measurement(
        "ticketlens.tables.signal:measure_signal",
        SIGNAL,
        "Measured q, chi and correlations, fully connected networks.",
        networks="dense",
        images={"images": "images"},
    ),
    "signal_conv": Measurement(
        "ticketlens.tables.signal_conv:measure_signal",
        SIGNAL,
        "Measured q, chi and correlations, convolutional networks.",
        networks="conv",
        images={"images": "images"},
        environment="train",
    ),
    "residual": Measurement(
        "ticketlens.tables.residual:measure_residual",
        ("residual",),
        "Measured q, chi and correlations per block against theory, fully connected with skips.",
        networks="dense blocks",
        images={"images": "images", "jacobian_images": "isometry_images"},
    ),
    "residual_conv": Measurement(
        "ticketlens.tables.residual_conv:measure_residual",
        ("residual",),
        "Measured q, chi and correlations per block against theory, convolutional with skips.",
        networks="conv blocks",
        images={"images": "images", "jacobian_images": "isometry_images"},
        environment="train",
    ),
    "jacobian": Measurement(
        "ticketlens.tables.jacobian:measure_jacobian",
        ("jacobian", "jacobian_spectrum", "isometry"),
        "Jacobian spectrum, and isometry against the nulls N1 to N6, fully connected networks.",
        networks="dense",
        images={"spectrum_images": "spectrum_images", "isometry_images": "isometry_images"},
    ),
    "jacobian_conv": Measurement(
        "ticketlens.tables.jacobian_conv:measure_jacobian",
        ("jacobian", "isometry"),
        "Leading singular values and isometry by products with vectors, convolutional networks.",
        networks="conv",
        images={"images": "isometry_images"},
        environment="train",
    ),
    "gradients": Measurement(
        "ticketlens.tables.gradients:measure_gradients",
        ("gradients",),
        "Gradients of logits and loss at every layer, tickets and nulls, fully connected networks.",
        networks="dense",
        images={"images": "isometry_images"},
        with_labels=True,
    ),
    "gradients_conv": Measurement(
        "ticketlens.tables.gradients_conv:measure_gradients",
        ("gradients",),
        "Gradients of logits and loss at every layer, tickets and nulls, convolutions or skips.",
        networks="conv or blocks",
        images={"images": "isometry_images"},
        with_labels=True,
        environment="train",
    ),
    "ntk": Measurement(
        "ticketlens.tables.ntk:measure_ntk",
        ("ntk", "ntk_spectra"),
        "The empirical neural tangent kernel over the kept weights, tickets and nulls.",
        networks="dense",
        images={"images": "images"},
        with_labels=True,
    ),
    "ntk_conv": Measurement(
        "ticketlens.tables.ntk_conv:measure_ntk",
        ("ntk", "ntk_spectra"),
        "The empirical neural tangent kernel over the kept weights, convolutional networks.",
        networks="conv",
        images={"images": "all"},
        with_labels=True,
        environment="train",
    ),
    "change": Measurement(
        "ticketlens.tables.change:measure_change",
        ("change_spectra", "change_accuracy"),
        "What training changed: spikes of W − theta_0 per layer, and what they classify alone.",
        networks="dense",
        images={"images": "all"},
        with_ticket=True,
        with_labels=True,
        state="trained",
    ),
}
