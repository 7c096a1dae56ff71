"""What the page of the reference results concludes in words, checked against its tables.

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

from ticketlens.figures import masks
from ticketlens.pages.results_page import MINUS, Numbers
from ticketlens.verdicts.inference import Interval, t_quantile
from ticketlens.verdicts.predictors import predictors
from workflow_tools import REPOSITORY

PUBLISHED = REPOSITORY / "docs" / "results"
PAGES = [(PUBLISHED / name).read_text(encoding="utf-8") for name in ("README.md", "details.md")]
PAGE = " ".join(" ".join(PAGES).split())
NORMAL = Numbers(PUBLISHED)
HIGH, LOW = NORMAL.part("high-rate"), NORMAL.part("low-rate")
RATES = {
    "0.003": (LOW, "fcnet-normal-rate-0-003"),
    "0.01": (NORMAL, "fcnet-normal"),
    "0.03": (HIGH, "fcnet-normal-rate-0-03"),
}
RIVALS_AT_THE_HIGH_RATE = ("imp-matched", "uniform-matched", "shuffle-layer", "imp-sign-redrawn")
LAST, BEST = "test_accuracy", "test_accuracy_best_validation"
FULL_WIDTH_AT_CHI_1 = {"uniform-density", "uniform-degree", "imp-degree"}

CONCLUSIONS: dict[str, Callable[[], bool]] = {}


def conclusion(sentence: str) -> Callable[[Callable[[], bool]], Callable[[], bool]]:
    """Register what must hold for a sentence of the page to be true."""

    def register(check: Callable[[], bool]) -> Callable[[], bool]:
        CONCLUSIONS[sentence] = check
        return check

    return register


def accuracy(column: str, round_: int, rate: str = "0.01", **where: object) -> Interval:
    """Return an accuracy over seeds, as a share."""
    part, study = RATES[rate]
    return part.estimate("accuracy", column, round_, study=study, **where)


def gaps(round_: int, column: str) -> dict[str, float]:
    """Return the mean of arm − IMP in points, of all arms compared at a round."""
    rows = NORMAL.table("contrasts").query("study == 'fcnet-normal'")
    rows = rows[(rows["round"] == round_) & (rows["quantity"] == column)]
    return dict(zip(rows["arm"], rows["mean"], strict=True))


def leads(round_: int, column: str) -> list[Interval]:
    """Return the ticket's lead over its rivals at the high rate."""
    return [
        Interval(-gap.mean, -gap.upper, -gap.lower, gap.n)
        for arm in RIVALS_AT_THE_HIGH_RATE
        for gap in [accuracy(column, round_, "0.03", arm=arm, minus="imp")]
    ]


def first_fully_fitted(share: float) -> dict[int, float]:
    """Return the epoch by which every seed's training loss is below a share of a nat, by round."""
    rows = NORMAL.table("training_curves")
    rows = rows[(rows["study"] == "fcnet-normal") & (rows["arm"] == "imp")]
    is_fitted = rows[rows["train_loss"] < share]
    by_seed = is_fitted.groupby(["round", "seed"])["epoch"].min()
    return by_seed.groupby("round").max().to_dict()


@conclusion("In the last epoch the ticket falls below the dense network at round 12")
def _() -> bool:
    below = [r for r in range(1, 16) if accuracy(LAST, r, minus=0).upper < 0]
    return below[0] == 12


@conclusion("from round 3 to 12 all training images stay fitted")
def _() -> bool:
    return all(accuracy("train_accuracy", r).mean > 0.9995 for r in range(3, 13))


@conclusion("and there is no fall down to a density of")
def _() -> bool:
    best = np.array([accuracy(BEST, r).mean for r in range(16)])
    peaks = [int(np.argmax(best[: r + 1])) for r in range(16)]
    return all(accuracy(BEST, r, minus=peaks[r]).upper >= 0 for r in range(16))


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


@conclusion("At the best validation epoch no gain shows at round 7")
def _() -> bool:
    return accuracy(BEST, 7, minus=0).lower > 0 >= _orthogonal_gain().lower


def _orthogonal_gain() -> Interval:
    return NORMAL.estimate("accuracy", BEST, 7, minus=0, study="fcnet-orthogonal")


@conclusion("(the lowest of the 8 seeds)")
def _() -> bool:
    return _dense(LAST).idxmin() == 0


@conclusion("the worst of the eight at 45,000")
def _() -> bool:
    return _dense(LAST).idxmin() == 0 and len(_dense(LAST)) == 8


def _dense(column: str) -> pd.Series:
    return NORMAL.runs(0, "fcnet-normal").set_index("seed")[column]


@conclusion("the higher the rate, the more they gain")
def _() -> bool:
    return all(
        np.all(np.diff([accuracy(column, 7, rate, minus=0).mean for rate in RATES]) > 0)
        for column in (LAST, BEST)
    )


@conclusion("and no gain shows, by neither epoch")
def _() -> bool:
    return all(
        accuracy(c, r, "0.003", minus=0).lower <= 0 for c in (LAST, BEST) for r in (3, 5, 7, 10)
    )


@conclusion("and tickets of round 7 and later gain more than at 0.01")
def _() -> bool:
    return all(
        accuracy(c, r, "0.03", minus=0).mean > accuracy(c, r, minus=0).mean
        for c in (LAST, BEST)
        for r in (7, 8, 9, 10)
    )


@conclusion(
    "by the last epoch those of 0.01 at round 3 and of 0.03 at round 7 lie above the dense "
    "networks of all three rates, by the best epoch those of 0.03 from round 7 on do"
)
def _() -> bool:
    dense = {
        column: max(accuracy(column, 0, rate).mean for rate in RATES) for column in (LAST, BEST)
    }
    tickets = [accuracy(LAST, 3), accuracy(LAST, 7, "0.03")]
    best = [accuracy(BEST, r, "0.03") for r in (7, 8, 9, 10)]
    return all(own.mean > dense[LAST] for own in tickets) and all(
        own.mean > dense[BEST] for own in best
    )


@conclusion(
    "By the last epoch the ticket leads by some three points, and its rivals end a point above "
    "the dense network at round 7 and beside it at round 10"
)
def _() -> bool:
    leading = [100 * lead.mean for r in (7, 10) for lead in leads(r, LAST)]
    above = {
        r: [
            100 * (accuracy(LAST, r, "0.03", arm=arm).mean - accuracy(LAST, 0, "0.03").mean)
            for arm in RIVALS_AT_THE_HIGH_RATE
        ]
        for r in (7, 10)
    }
    return (
        2.4 < min(leading) < max(leading) < 3.8
        and 0.5 < np.mean(above[7]) < 1.5
        and abs(np.mean(above[10])) < 0.5
    )


@conclusion("It is also the only one that has fitted the training images by then")
def _() -> bool:
    fitted = partial(accuracy, "train_accuracy", 7, "0.03")
    rivals = [fitted(arm=arm).mean for arm in RIVALS_AT_THE_HIGH_RATE]
    return fitted().mean > 0.999 and max(rivals) < 0.96


@conclusion("By the best epoch all four rivals share most of the gain at round 7")
def _() -> bool:
    dense, ticket = (accuracy(BEST, r, "0.03").mean for r in (0, 7))
    rivals = [accuracy(BEST, 7, "0.03", arm=arm).mean for arm in RIVALS_AT_THE_HIGH_RATE]
    return all(rival - dense > 0.5 * (ticket - dense) for rival in rivals)


@conclusion("leads them by 1 to 1.6 points in the mean, and two of the four intervals exclude 0")
def _() -> bool:
    found = leads(10, BEST)
    means = sorted(round(100 * lead.mean, 1) for lead in found)
    return (means[0], means[-1]) == (1.0, 1.6) and sum(lead.lower > 0 for lead in found) == 2


@conclusion("tickets of rounds 5 to 12 are best after their first epoch")
def _() -> bool:
    firsts = [r for r in range(16) if (NORMAL.runs(r, "resnet-fc-normal")["best_epoch"] == 1).all()]
    return firsts == list(range(5, 13))


@conclusion("By weights of the last epoch every rival ends below the IMP ticket in the mean")
def _() -> bool:
    rounds = NORMAL.table("contrasts").query("study == 'fcnet-normal'")["round"].unique()
    return all(gap < 0 for r in rounds for gap in gaps(r, LAST).values())


@conclusion("But the IMP ticket is also the only one that has fitted all training images")
def _() -> bool:
    rivals = [accuracy("train_accuracy", 7, arm=arm).mean for arm in NORMAL.arms(7)]
    return accuracy("train_accuracy", 7).mean > 0.9999 > max(rivals)


@conclusion("the arms at sigma_w = 1.4 (chi")
def _() -> bool:
    found = gaps(3, BEST)
    ahead = {"imp-sign-kept", "imp-other-seed"}
    return min(found[arm] for arm in ahead) > max(
        gap for arm, gap in found.items() if arm not in ahead
    )


@conclusion("are the worst of full width at round 7")
def _() -> bool:
    full_width = {a: gap for a, gap in gaps(7, BEST).items() if not a.startswith("small-")}
    ranked = sorted(full_width, key=full_width.__getitem__)
    return set(ranked[: len(FULL_WIDTH_AT_CHI_1)]) == FULL_WIDTH_AT_CHI_1


@conclusion("tickets of rounds 4 to 9 have a training loss near zero after 25 to 30 epochs")
def _() -> bool:
    reached = first_fully_fitted(0.02)
    return all(25 <= reached[r] <= 30 for r in range(4, 10))


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


@conclusion("at its best after one epoch, loses some two points and regains half of them")
def _() -> bool:
    rows = NORMAL.table("training_curves").query("study == 'fcnet-normal' and arm == 'imp'")
    rows = rows[(rows["round"] == 7) & rows["seed"].isin([0, 1, 2])]  # the seeds of all arms
    course = 100 * rows.groupby("epoch")["validation_accuracy"].mean()
    loss, regained = course[1] - course.min(), course.iloc[-1] - course.min()
    return course.max() - course[1] < 0.5 and 1.5 < loss < 2.5 and 0.4 < regained / loss < 0.6


@conclusion("With two seeds a 95 % interval reaches 12.7 standard errors to either side")
def _() -> bool:
    return round(t_quantile(1, 0.975), 1) == 12.7


@conclusion("At the last epoch every planned rival is worse.")
def _() -> bool:
    rows = NORMAL.table("contrasts").query("round == 7 and quantity == @LAST")
    return set(rows["verdict"]) == {"worse"} and rows["planned"].sum() == 6


@conclusion("Random masks with SynFlow's layer densities, found later, are not.")
def _() -> bool:
    zero = NORMAL.part("zero-shot")
    pair = [zero.by_seed("accuracy", LAST, 7, arm=arm) for arm in ("synflow-shuffled", "imp")]
    return zero.equivalence(*pair).equivalent


@conclusion("All others end below the ticket by then.")
def _() -> bool:
    zero = NORMAL.part("zero-shot")
    rows = zero.table("contrasts").query("round == 7 and quantity == @LAST")
    above = rows[rows["mean"] >= 0]
    return list(zip(above["study"], above["arm"], strict=True)) == [
        ("fcnet-normal", "synflow-shuffled")
    ]


@conclusion("with its values shuffled, is better than the ticket.")
def _() -> bool:
    row = NORMAL.row("contrasts", arm="shuffle-layer", round=7, quantity=BEST)
    return bool(row["verdict"] == "better" and row["planned"])


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
