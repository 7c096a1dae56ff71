"""Synthetic tables that claims are judged by, with the effects that a test asks for."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import numpy as np
import pandas as pd

from ticketlens.study.claim_plan import Plan
from ticketlens.verdicts import claims
from ticketlens.verdicts.claims import CLAIMS, case_rows
from ticketlens.verdicts.rival_claims import NULLS
from ticketlens.verdicts.study_values import Study

ROUNDS, LAYERS, SEEDS = range(16), 8, 4
PLAN = Plan(planned=("rival", "other"), bimodal_arm="rival")
Q_PEAK_3 = [1.0, 1.1, 1.2, 1.3, 1.2, 1.1, 1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1]


def spread(seeds: int) -> np.ndarray:
    """What makes seeds differ: ±1, of mean zero over an even number of them."""
    return np.where(np.arange(seeds) % 2, 1.0, -1.0)


def steps(values: dict[int, float], before: float = 0.0) -> list[float]:
    """A value per round, each holding until the next one."""
    found = []
    for number in ROUNDS:
        before = values.get(number, before)
        found.append(before)
    return found


def tables(
    seeds: int = SEEDS,
    last: int = 15,
    gain: float = 0.0,
    gain_best: float = 0.0,
    arms: dict[tuple[str, int], float] | None = None,
    points: float = 0.1,
    ratio: float = 0.01,
    share: int = 0,
    ratio_spread: float = 0.001,
    std: float = 0.5,
    selection: float = 0.4,
    std_spread: float = 0.01,
    q: Iterable[float] = tuple(Q_PEAK_3),
    q_spread: float = 0.0,
    naive: Iterable[float] = tuple(steps({0: 1.0})),
    redraw: Iterable[float] = tuple(steps({0: 1.0})),
    late_seed: int | None = None,
    gap: Iterable[float] = (0.1,) * LAYERS,
    gap_spread: float = 0.01,
    chi: tuple[float, float] = (1.01, 0.5),
    chi_spread: float = 0.01,
    backward: float = 1.0,
) -> dict[str, pd.DataFrame]:
    """The six tables of one study: what `claims` reads, with the effects that are asked for."""
    differ, numbers = spread(seeds), range(last + 1)
    dense_by_seed = 50 + np.random.default_rng(0).standard_normal(seeds)
    q, naive, redraw, gap = (list(values) for values in (q, naive, redraw, gap))
    rows: dict[str, list[dict]] = {name: [] for name in claims.TABLES}
    for seed, number in itertools.product(range(seeds), numbers):
        own = {"study": "s", "seed": seed, "round": number, "density": 0.8**number}
        at = {**own, "arm": "imp", "state": "init"}
        dense, pruned = dense_by_seed[seed], float(number > 0)
        last_epoch = dense + pruned * (gain + points * differ[seed])
        best = dense + pruned * (gain_best - points * differ[seed])
        rows["accuracy"].append(accuracy_row(own, "imp", last_epoch, best))
        for (arm, round_), loss in (arms or {}).items():
            if round_ == number:
                shift = loss + points * differ[seed]
                rows["accuracy"].append(
                    accuracy_row(own, arm, last_epoch + shift, best + loss - points * differ[seed])
                )
        names = {"ticket": backward, **dict.fromkeys(NULLS, 0.0)}
        rows["gradients"] += [
            {**at, "layer": 1, "network": name, "log_loss": value + 0.1 * differ[seed] * value}
            | ({"log_loss": value + 0.1 * differ[seed]} if name == "ticket" else {})
            for name, value in names.items()
        ]
        rows["gradients"] += [
            {**at, "arm": arm, "layer": 1, "network": "ticket", "log_loss": float(rank)}
            for rank, (arm, round_) in enumerate(arms or {}, start=-9)
            if round_ == number
        ]
        delay = 6 if seed == late_seed else 0
        shifted = max(0, number - delay)
        growth = np.exp(number / 15 * (std + std_spread * differ[seed]))
        for layer in range(1, LAYERS + 2):
            name = "readout" if layer > LAYERS else f"hidden{layer}"
            mean = growth * (ratio + ratio_spread * differ[seed])
            weights = {
                **at, "layer": layer, "name": name, "mean": (-1) ** layer * mean, "std": growth,
                "mean_standard_error": abs(mean) / (3 if layer <= share else 1),
                "std_scaled": growth * 1.4,
                "selection_std_scaled": 1.4 * np.exp(number / 15 * selection),
                "density_at_zero_over_peak": (gap[layer - 1] if layer <= LAYERS else 9.0)
                + gap_spread * differ[seed],
            }  # fmt: skip
            rows["weight_statistics"] += [weights, {**weights, "state": "trained"}]
            if layer > LAYERS:
                continue
            # Layers below the last half would spoil every mean that they enter.
            deep = 1.0 if layer > LAYERS // 2 else 1000.0 * (number + 1)
            noise = np.exp(q_spread * differ[seed] * number) * deep
            here = {**at, "layer": layer}
            rows["qmap"].append({**here, "q": q[shifted] * noise})
            for rung, mode, value in (
                ("measured", "measured", noise),
                ("naive", "free", naive[shifted]),
                ("sign_redraw", "free", redraw[shifted]),
                ("naive", "layerwise", 77.0),
            ):
                rows["ladder"].append({**here, "rung": rung, "mode": mode, "q": value})
            if layer > 1:
                value = chi[0] + (chi[1] - chi[0]) * number / 15 + chi_spread * differ[seed]
                rows["chi"].append({**here, "chi_frobenius": deep * value})
    return {name: pd.DataFrame(found) for name, found in rows.items()}


def accuracy_row(own: dict, arm: str, last: float, best: float) -> dict:
    values = {"test_accuracy": last / 100, "test_accuracy_best_validation": best / 100}
    return {**own, "arm": arm, **values}


def judged(claim: str, plan: Plan = PLAN, **effects: object) -> dict[str, list[claims.Row]]:
    """The rows of a claim's cases."""
    cases = CLAIMS[claim].cases(Study("s", tables(**effects)), plan)
    return {case.name: case_rows("s", claim, case) for case in cases}


def losing(first: float, second: float) -> dict[tuple[str, int], float]:
    """Accuracy of the arm `rival` minus imp's at rounds 7 and 10; `other` equals imp."""
    rival = {("rival", 7): first, ("rival", 10): second, ("rival", 4): first}
    return rival | {("other", 7): 0.0, ("other", 10): 0.0}


MATCH, BEAT, MEAN, STD, Q, NAIVE, BIMODAL, SELECTION, LOSE, CHI, *OTHERS = CLAIMS
SIGNS, SUFFICES, EPOCH, BACKWARD, WINS = OTHERS
LAST, BEST = "last epoch", "best validation"
