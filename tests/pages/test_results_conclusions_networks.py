"""What the page of the reference results concludes of the networks in words, checked by its tables.

Numbers on the page are looked up when it is rendered; counts and comparisons within a sentence are
written by hand. Each of those stands here with what the tables must show for it to be true.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
import pytest

from conclusions import BEST, LAST, NORMAL, PAGE, RATES, accuracy, registering
from ticketlens.figures import masks
from ticketlens.pages.results_page import MINUS
from ticketlens.verdicts.predictors import predictors

CONCLUSIONS: dict[str, Callable[[], bool]] = {}
conclusion = registering(CONCLUSIONS)


@conclusion("these images (chi is below 1 at round 0")
def _() -> bool:
    return NORMAL.estimate("chi", "chi_frobenius", 0, study="fcnet-orthogonal").upper < 1


@conclusion("dips below 1 as the normal ones' does, and lies above it from round 4 to the last")
def _() -> bool:
    slope = partial(NORMAL.estimate, "chi", "slope")
    orthogonal = [slope(r, study="fcnet-orthogonal").mean for r in range(16)]
    dips = [*orthogonal[1:4], *(slope(r).mean for r in (1, 2, 3))]
    return max(dips) < 1 < min(orthogonal[4:])


@conclusion("signs raise q in every round, and more")
def _() -> bool:
    def raised(study: str) -> np.ndarray:
        texts = [NORMAL.steps(r, study)["measured"].split()[0] for r in range(1, 16)]
        return np.array([float(text.replace(MINUS, "-")) for text in texts])

    orthogonal, normal = raised("fcnet-orthogonal"), raised("fcnet-normal")
    return bool(np.all(orthogonal > 0) and np.all(orthogonal > normal))


@conclusion("The excess of the Jacobian is more than twice as large from round 4 on")
def _() -> bool:
    def excess(study: str, round_: int) -> float:
        return NORMAL.estimate("isometry", "excess", round_, study=study, network="ticket").mean

    ratios = [excess("fcnet-orthogonal", r) / excess("fcnet-normal", r) for r in range(1, 16)]
    return max(ratios[:3]) < 2 < min(ratios[3:])


@conclusion(
    "goes with the normal ones in all of these but the naive theory's departure and the last"
)
def _() -> bool:
    critical = "fcnet-orthogonal-critical"
    of = partial(NORMAL.estimate, study=critical)
    departures = [
        NORMAL.claim("naive theory departs near 0.51", study=study).split()[0].strip(",")
        for study in (critical, "fcnet-orthogonal", "fcnet-normal")
    ]
    excess = [
        NORMAL.estimate("isometry", "excess", 15, study=study, network="ticket").mean
        for study in (critical, "fcnet-normal", "fcnet-orthogonal")
    ]
    return (
        float(departures[0]) == float(departures[1]) < float(departures[2])
        and abs(of("chi", "chi_frobenius", 0).mean - 1) < 0.02
        and of("chi", "slope", 15).mean < 0.5
        and NORMAL.steps(15, critical)["measured"].startswith(MINUS)
        and abs(excess[0] - excess[1]) < abs(excess[0] - excess[2])
        and of("accuracy", BEST, 7, minus=0).mean <= 0.002
    )


@conclusion("training multiplies q by about four at both ends")
def _() -> bool:
    ratios = [
        NORMAL.estimate("qmap", "q", r, state="trained").mean / NORMAL.estimate("qmap", "q", r).mean
        for r in (0, 15)
    ]
    return all(3 < ratio < 5 for ratio in ratios)


@conclusion("Layers 2 to 6 have practically no eigenvalue outside")
def _() -> bool:
    outliers = partial(NORMAL.estimate, "spectra", "outliers_null")
    return all(outliers(r, layer=layer).mean < 0.5 for r in (7, 15) for layer in range(2, 7))


@conclusion("Tickets carry more of the loss's gradient to the first layer than every null.")
def _() -> bool:
    rows = NORMAL.table("claims").query("study == 'fcnet-normal'")
    rows = rows[rows["claim"] == "tickets back-propagate better than every null"]
    return len(rows) == 6 and bool((rows["lower"] > 0).all())


@conclusion("chosen before training (three seeds), it is the other way round.")
def _() -> bool:
    dense = [NORMAL.change("imp", part, 0) for part in ("spikes", "bulk")]
    masked = [
        [NORMAL.change(arm, part) for part in ("spikes", "bulk")]
        for arm in ("magnitude-at-init", "snip")
    ]
    return dense[0] > 3 * dense[1] and all(2 * spikes < bulk for spikes, bulk in masked)


@conclusion("Across rates the gradient and the kernel *fall* where the gain rises.")
def _() -> bool:
    rates = NORMAL.part("rates")
    names = ["fcnet-normal-rate-0-003", "fcnet-normal", "fcnet-normal-rate-0-03"]
    parts = [rates, NORMAL, rates]
    gains = [accuracy(LAST, 7, rate, minus=0).mean for rate in ("0.003", "0.01", "0.03")]
    falls = [
        [
            part.estimate(table, column, 7, study=study, network="ticket", **where).mean
            for part, study in zip(parts, names, strict=True)
        ]
        for table, column, where in (
            ("gradients", "log_logits", {"layer": 1}),
            ("ntk", "log_trace", {}),
        )
    ]
    return sorted(gains) == gains and all(sorted(own, reverse=True) == own for own in falls)


def beyond_their_level(round_: int, small: bool) -> set[tuple[str, str]]:
    """Return property and epoch of taus over arms beyond their level, of two tables."""
    runs = NORMAL.table("accuracy").query(f"study == 'fcnet-normal' and round == {round_}")
    if not small:
        runs = runs[~runs["arm"].str.startswith("small-")]
    tables = {name: NORMAL.table(name) for name in ("degrees", "weight_statistics")}
    found = predictors(runs, tables).query("along == 'arms'")
    found = found[found["mean"].abs() > found["band"]]
    return set(zip(found["property"], found["quantity"], strict=True))


@conclusion(
    "At round 7, where most arms are, only the effective density is among them, and that by the "
    "two small dense networks. Without them it is not, and the bimodality of the weights is, by "
    "the best epoch alone."
)
def which_properties_rank_the_arms_of_round_7() -> bool:
    taus = NORMAL.table("predictors").query("along == 'arms' and round == 7")
    published = set(taus[taus["mean"].abs() > taus["band"]]["property"])
    with_small, without = (beyond_their_level(7, small) for small in (True, False))
    return published == {"effective_density"} == {name for name, _ in with_small} and without == {
        ("bimodality", BEST)
    }


@conclusion("They follow the rise of accuracy in the first rounds, which density, being monotone,")
def what_goes_with_accuracy_along_the_chain_beyond_density() -> bool:
    taus = NORMAL.table("predictors").query(
        "along == 'chain' and study == 'fcnet-normal' and quantity == 'test_accuracy'"
    )
    size = taus.set_index("property")["mean"].abs()
    return bool((size[["correlation", "jacobian_spread", "q"]] > size["density"]).all())


@conclusion(
    "tickets carry more of the gradient to the first layer than nulls, from round 2 on in both "
    "seeds."
)
def gradients_of_the_reduced_convnet() -> bool:
    rows = NORMAL.part("convnet").table("gradients").query("layer == 1 and round >= 2")
    found = rows.pivot_table(index=["seed", "round"], columns="network", values="log_loss")
    return len(found) == 8 and bool(
        found.drop(columns="ticket").lt(found["ticket"], axis=0).all(axis=None)
    )


@conclusion(
    "From round 3 on the trace of the kernel is larger than that of every null, in both seeds, as "
    "in the fully connected network; at round 1 the two seeds disagree. The ticket's kernel also "
    "follows the labels more closely than with redrawn signs at rounds 3 and 5."
)
def kernel_of_the_reduced_convnet() -> bool:
    rows = NORMAL.part("convnet").table("ntk")
    leads = {}
    for column in ("log_trace", "label_alignment"):
        found = rows.pivot_table(index=["round", "seed"], columns="network", values=column)
        leads[column] = found.drop(columns="ticket").rsub(found["ticket"], axis=0)
    trace = leads["log_trace"]
    dense = NORMAL.table("ntk").query("study == 'fcnet-normal' and state == 'init' and round == 7")
    full = dense.pivot_table(index="seed", columns="network", values="log_trace")
    return bool(
        (trace.loc[[3, 5]] > 0).all(axis=None)
        and full.drop(columns="ticket").lt(full["ticket"], axis=0).all(axis=None)
        and set(np.sign(trace.loc[1, "sign-redrawn"])) == {-1, 1}
        and (leads["label_alignment"].loc[[3, 5], "sign-redrawn"] > 0).all()
    )


def kept_by_size(study: str, name: str = "largest theta_0") -> pd.Series:
    """Return the share of kept hidden weights that the other mask keeps, too, by round."""
    rows = masks.pooled(NORMAL.part("rates").table("mask_overlap"))
    own = rows[(rows["study"] == study) & (rows["network"] == name)]
    return own.groupby("round")["overlap"].mean()


@conclusion(
    "At every round the mask is farther from abs(theta_0) the higher the rate. Within the mask of "
    "round 3 it is the same. Masks of two seeds share no more than chance"
)
def masks_leave_theta_0_with_the_rate() -> bool:
    order = [study for _, study in (RATES["0.003"], RATES["0.01"], RATES["0.03"])]
    further = [
        (kept_by_size(low, name)[rounds] > kept_by_size(high, name)[rounds]).all()
        for name, rounds in (
            ("largest theta_0", [3, 7, 10]),
            ("largest theta_0 of round 3", [7, 10]),
        )
        for low, high in itertools.pairwise(order)
    ]
    seeds = masks.pooled(NORMAL.part("rates").table("mask_overlap")).query("network == 'next seed'")
    return all(further) and float((seeds["overlap"] - seeds["chance"]).abs().max()) < 0.005


@conclusion("have the same ratio (0.89 and 0.89 at round 7), to 0.003 in the mean.")
def ramanujan_says_nothing_before_the_last_rounds() -> bool:
    table = NORMAL.table("ramanujan").groupby(["round", "network"])["ramanujan_ratio"].mean()
    ratio = table.unstack()
    gap = (ratio["ticket"] - ratio["random-mask"]).abs()
    return len(ratio) == 4 and bool(gap.loc[:10].lt(0.003).all() and (ratio.loc[15] > 1).all())


@pytest.mark.parametrize("sentence", CONCLUSIONS, ids=lambda sentence: sentence[:60])
def test_a_conclusion_in_words_is_what_the_tables_say(sentence: str) -> None:
    assert sentence in PAGE, "the page no longer says this: mend or remove its check"
    assert CONCLUSIONS[sentence]()
