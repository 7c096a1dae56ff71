"""The claims of the slides, and new ones, as numbers with intervals over seeds and a verdict.

A claim is one function from a study's tables and the plan to cases, in the registry `CLAIMS`. Each
case is judged by itself (`claim_judges`): verdicts are computed from the tables, never typed. The
unit is the seed, and one seed decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields

import numpy as np
import pandas as pd

from ticketlens.study.claim_plan import Plan
from ticketlens.verdicts.claim_rows import Row, case_rows
from ticketlens.verdicts.inference import required_n
from ticketlens.verdicts.judging import (
    NO_SUCH_ROUND,
    Case,
    Judge,
    Number,
    above,
    below,
    below_in_most,
    few,
    within,
)
from ticketlens.verdicts.rival_claims import (
    WEIGHTS,
    backward_better,
    backward_wins,
    bimodal_nets_lose,
    property_suffices,
)
from ticketlens.verdicts.study_values import Study, log_ratio, minus

TABLES = ("accuracy", "weight_statistics", "qmap", "ladder", "chi", "gradients")
MEAN = 0.05  # abs(mean)/std below which a mean stays; the same for the share of large z
LARGE_Z = 2.0
BY_CHANCE = 0.0455  # of normal z are larger than 2 in size
MOST = 0.15  # share of large z below which the mean stays
CHI = 0.05  # abs(chi − 1) below which chi is 1
DEPARTURE = 0.2  # abs(log q/R0), round 0 subtracted, beyond which the theory has departed
TWO_PEAKS = 0.5  # density at 0 / peak density below which a law is bimodal


@dataclass(frozen=True)
class Claim:
    """A claim's cases, and its verdicts in words; braces are filled with the plan."""

    cases: Callable[[Study, Plan], Iterator[Case]]
    supported: str
    contradicted: str


# --- The claims ----------------------------------------------------------------------------------


def _points(text: str, differences: pd.Series, judge: Judge, absent: str, margin: float) -> Number:
    """Return a difference of accuracies, with the seeds that would show equality."""

    def needed() -> int | None:
        return required_n(differences.std(ddof=1), margin) if len(differences) > 1 else None

    return Number(f"{text} (points)", differences, judge, absent, n_needed=needed)


def _gain(study: Study, plan: Plan, weights: str, judge: Judge) -> Number:
    """Accuracy of the tickets minus the dense network's."""
    column, round_ = WEIGHTS[weights], plan.match
    gain = minus(study.accuracy(column, round_), study.accuracy(column, 0))
    text = f"test accuracy at round {round_} − round 0"
    return _points(text, gain, judge, study.absence(round_), plan.margin)


def tickets_match(study: Study, plan: Plan) -> Iterator[Case]:
    """Tickets are not worse than the dense network by more than the margin."""
    for weights in WEIGHTS:
        yield Case(weights, "accuracy", [_gain(study, plan, weights, above(-plan.margin))])


def tickets_beat(study: Study, plan: Plan) -> Iterator[Case]:
    """Tickets are better than the dense network."""
    for weights in WEIGHTS:
        yield Case(weights, "accuracy", [_gain(study, plan, weights, above(0))])


def mean_stays(study: Study, plan: Plan) -> Iterator[Case]:
    """The mean of the kept initial weights stays at zero, in units of their std."""
    for round_ in plan.mean:
        mean, error, std = (
            study.weights(column, round_) for column in ("mean", "mean_standard_error", "std")
        )
        z, absent = mean / error, study.absence(round_)
        largest = (mean.abs() / std).max(axis=1, skipna=False)
        share = (z.abs() > LARGE_Z).mean(axis=1).where(z.notna().all(axis=1))
        chance = _largest_by_chance((error / std).mean().to_numpy())
        text = "largest abs(mean)/std of a layer"
        number = Number(text, largest, below(MEAN), absent, null=chance)
        yield Case(f"round {round_}", "weight_mean", [number])
        text = f"share of layers with abs(mean/standard error) > {LARGE_Z:g}"
        # By count: as an interval over seeds it would need a thousand of them. A later rule.
        judge = few(z.abs() > LARGE_Z, BY_CHANCE, MOST)
        number = Number(text, share, judge, absent, null=BY_CHANCE, planned=False)
        yield Case(f"round {round_}, z", "weight_mean", [number])


def _largest_by_chance(errors: np.ndarray) -> float:
    """Return E max abs(x_l), x_l normal of mean zero and these standard deviations."""
    from scipy.special import erf

    if not errors.size or not np.isfinite(errors).all():
        return np.nan
    step = errors.max() / 250
    x = step * (np.arange(2000) + 0.5)  # E max = ∫ P(max > x) dx, by midpoints
    return float(step * (1 - erf(x[:, None] / (np.sqrt(2) * errors)).prod(axis=1)).sum())


def std_grows(study: Study, plan: Plan) -> Iterator[Case]:
    """The std of the kept initial weights grows, and grows more than by selection alone."""

    def growth(column: str) -> pd.Series:
        sparse, dense = (study.weights(column, round_) for round_ in (plan.std, 0))
        ratio = sparse / dense
        return np.log(ratio.where(ratio > 0)).mean(axis=1, skipna=False)

    observed, null = growth("std_scaled"), growth("selection_std_scaled")
    text, absent = f"log std(round {plan.std})/std(round 0)", study.absence(plan.std)
    number = Number(text, observed, above(0), absent, null=float(null.mean()))
    yield Case("", "weight_std", [number])
    absent = (
        absent
        if observed.isna().all()
        else "the initial weights are not Gaussian: no selection null"
    )
    text = f"{text}, minus the selection null's"
    number = Number(text, minus(observed, null), above(0), absent)
    yield Case("beyond selection", "weight_std", [number])


def q_rises_then_falls(study: Study, plan: Plan) -> Iterator[Case]:
    """Measured q of deep layers rises up to a peak at the stated rounds, and falls after it."""
    rise, fall, (first, last) = plan.q_rise, plan.q_fall, plan.q_peak
    q = {number: study.q("qmap", "q", number) for number in range(study.last + 1)}
    nothing = pd.Series(dtype=float)
    absent = study.absence(rise, fall, last)
    up = log_ratio(q.get(rise, nothing), q[0])
    down = log_ratio(q.get(fall, nothing), q.get(rise, nothing))
    rounds = pd.DataFrame(q)
    peak = rounds.fillna(-np.inf).idxmax(axis=1).astype(float).where(rounds.notna().all(axis=1))
    yield Case(
        "",
        "qmap",
        [
            Number(f"log q̄(round {rise})/q̄(round 0)", up, above(0), absent),
            Number(f"log q̄(round {fall})/q̄(round {rise})", down, below(0), absent),
            Number(
                "round of the largest q̄",
                peak if last <= study.last else nothing,
                within(first, last),
                absent,
            ),
        ],
    )


def _log_q_over(study: Study, rung: str, round_: int) -> pd.Series:
    """Return log q̄/(q̄ of a free-running rung), on the same images, minus its value at round 0."""

    def gap(number: int) -> pd.Series:
        measured = study.q("ladder", "q", number, mode="measured")
        return log_ratio(measured, study.q("ladder", "q", number, rung=rung, mode="free"))

    return minus(gap(round_), gap(0))


def naive_departs(study: Study, plan: Plan) -> Iterator[Case]:
    """The dense theory with the survivors' std (R0) fails first at the stated rounds."""
    last = plan.naive[1]
    text = f"first round with abs(log q̄/R0 − its value at round 0) > {DEPARTURE:g}"
    first = pd.Series(dtype=float)
    if last <= study.last:
        numbers = range(1, study.last + 1)
        gaps = pd.DataFrame({number: _log_q_over(study, "naive", number) for number in numbers})
        departed = gaps.abs() > DEPARTURE
        first = departed.idxmax(axis=1).astype(float).where(departed.any(axis=1), NO_SUCH_ROUND)
        first = first.where(gaps.notna().all(axis=1))
    number = Number(text, first, within(*plan.naive), study.absence(last))
    yield Case("", "qmap_theory", [number])


def weights_turn_bimodal(study: Study, plan: Plan) -> Iterator[Case]:
    """The law of the kept weights has a gap at zero."""
    null = study.weights("selection_std_scaled", plan.bimodal)
    for state, name in (("init", "kept theta_0"), ("trained", "trained")):
        layers = study.weights("density_at_zero_over_peak", plan.bimodal, state)
        absent = study.absence(plan.bimodal)
        if layers.empty and plan.bimodal <= study.last:
            absent = "no trained networks: the tickets come from the bank"
        number = Number(
            f"density at 0 / peak density, round {plan.bimodal}, mean over layers",
            layers.mean(axis=1, skipna=False),
            below_in_most(layers, TWO_PEAKS),
            absent,
            # Selection by abs(theta_0) alone leaves no weight near zero, whatever the density < 1.
            null=0.0 if plan.bimodal > 0 and null.notna().any(axis=None) else np.nan,
        )
        yield Case(name, f"histograms-{study.name}-{state}", [number])


def beyond_selection(study: Study, plan: Plan) -> Iterator[Case]:
    """The gap at zero is deeper than pruning by abs(theta_0) alone would make it.

    That null leaves no weight near zero whatever the data are, so its density there is 0.
    """
    null = study.weights("selection_std_scaled", plan.bimodal)
    layers = study.weights("density_at_zero_over_peak", plan.bimodal)
    depth = (
        layers.mean(axis=1, skipna=False) if null.notna().any(axis=None) else pd.Series(dtype=float)
    )
    absent = study.absence(plan.bimodal)
    if len(layers) and depth.empty:
        absent = "the initial weights are not Gaussian: no selection null"
    text = f"density at 0 / peak density − the selection null's, round {plan.bimodal}"
    yield Case("", "weight_std", [Number(text, depth, below(0), absent, null=0.0, planned=False)])


def chi_falls(study: Study, plan: Plan) -> Iterator[Case]:
    """Measured (Frobenius) chi of deep layers is 1 in the dense network and falls."""
    dense, sparse = (study.q("chi", "chi_frobenius", number) for number in (0, plan.chi))
    fall, absent = log_ratio(sparse, dense), study.absence(plan.chi)
    yield Case(
        "",
        "chi",
        [
            Number("abs(chī(round 0) − 1)", (dense - 1).abs(), below(CHI), absent),
            Number(f"log chī(round {plan.chi})/chī(round 0)", fall, below(0), absent),
        ],
    )


def signs_align(study: Study, plan: Plan) -> Iterator[Case]:
    """Measured q exceeds that of the same graph and magnitudes with random signs (R3b)."""
    text = f"log q̄/R3b at round {plan.signs} − round 0"
    values = _log_q_over(study, "sign_redraw", plan.signs)
    yield Case("", "qmap_ladder", [Number(text, values, above(0), study.absence(plan.signs))])


def gain_depends_on_epoch(study: Study, plan: Plan) -> Iterator[Case]:
    """Pruning gains more for last-epoch weights than for those of the best validation epoch."""
    last, best = (_gain(study, plan, weights, above(0)) for weights in WEIGHTS)
    text = f"gain at round {plan.match} for last-epoch weights − best-validation weights (points)"
    number = Number(text, minus(last.values, best.values), above(0), last.absent)
    yield Case("", "generalization_gap", [number])


CLAIMS: dict[str, Claim] = {
    "tickets match the dense network": Claim(
        tickets_match, "L > −{margin:g} points", "U < −{margin:g} points"
    ),
    "tickets beat the dense network": Claim(tickets_beat, "L > 0", "U < 0"),
    "the mean stays": Claim(
        mean_stays,
        f"U < {MEAN}; of large z, the count's upper bound below {MOST}",
        f"L > {MEAN}; of large z, the count's lower bound above chance",
    ),
    "std grows with sparsity": Claim(std_grows, "L > 0", "U < 0"),
    "q* rises, then falls": Claim(
        q_rises_then_falls,
        "L > 0 (rise), U < 0 (fall), and the peak in rounds {q_peak[0]}–{q_peak[1]} in all seeds",
        "U < 0 (rise), or L > 0 (fall), or the peak in rounds {q_peak[0]}–{q_peak[1]} in no seed",
    ),
    "naive theory departs near 0.51": Claim(
        naive_departs,
        "in rounds {naive[0]}–{naive[1]} in all seeds",
        "in rounds {naive[0]}–{naive[1]} in no seed",
    ),
    "weights turn bimodal": Claim(
        weights_turn_bimodal,
        f"U < {TWO_PEAKS} in 6 of 8 layers (three quarters) or more",
        f"L > {TWO_PEAKS} in as many",
    ),
    "bimodal beyond selection": Claim(beyond_selection, "U < 0", "L > 0"),
    "bimodal random nets lose": Claim(
        bimodal_nets_lose, "contrasts.csv says worse", "contrasts.csv says better or not worse"
    ),
    "chi falls from 1": Claim(
        chi_falls,
        f"U < {CHI} (distance from 1), and U < 0 (fall)",
        f"L > {CHI} (distance from 1), or L > 0 (fall)",
    ),
    "new: signs align with the data": Claim(signs_align, "L > 0", "U < 0"),
    "new: property X suffices": Claim(
        property_suffices,
        "contrasts.csv says better, or not worse by {margin:g} points (Holm over the planned arms "
        "at round {planned_round}, Dunnett over all arms elsewhere)",
        "contrasts.csv says worse",
    ),
    "new: the gain is larger in the last epoch": Claim(gain_depends_on_epoch, "L > 0", "U < 0"),
    "tickets back-propagate better than every null": Claim(
        backward_better, "L > 0 against each of N1 to N6", "U < 0 against any of them"
    ),
    "back-propagation makes them win": Claim(
        backward_wins,
        "L at least the abs(tau) that unrelated rankings of as many arms reach with p = 0.05",
        "U at most minus that",
    ),
}


# --- Verdicts ------------------------------------------------------------------------------------


def judge_claims(
    tables: Mapping[str, pd.DataFrame], plan: Plan, studies: Iterable[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return (rows, left out): claims.csv, and study, claim, case, reason of what has no data.

    `tables` are those of `TABLES`, by name. Raises ValueError for seeds that cannot be paired.
    """
    rows: list[Row] = []
    left_out = []
    for name in studies:
        of_study = {table: rows_[rows_["study"] == name] for table, rows_ in tables.items()}
        study = Study(name, of_study)
        for claim, entry in CLAIMS.items():
            try:
                cases = list(entry.cases(study, plan))
            except ValueError as error:
                raise ValueError(f"{name}, claim {claim!r}: {error}") from error
            for case in cases:
                reasons = dict.fromkeys(
                    number.absent for number in case.numbers if number.is_absent
                )
                if reasons:
                    left_out.append((name, claim, case.name, "; ".join(reasons)))
                else:
                    rows += case_rows(name, claim, case)
            if not cases:
                left_out.append((name, claim, "", "no arm is planned for it in the config"))
    columns = [field.name for field in fields(Row)]
    table = pd.DataFrame([asdict(row) for row in rows], columns=columns)
    return table.astype({"n_needed": "Int64"}), pd.DataFrame(
        left_out, columns=["study", "claim", "case", "reason"]
    )
