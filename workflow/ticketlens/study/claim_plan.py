"""What the claims are judged by: their rounds and margins, fixed in the config before any run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ticketlens.study.hints import did_you_mean

WINDOWS = ("q_peak", "naive")


@dataclass(frozen=True)
class Plan:
    """Rounds of the claims (`claims` in the config; the defaults are the slides'), and margins.

    Windows are (first, last) round. `margin`, in percentage points, `planned`, the arms, and
    `planned_round` are those of `contrasts`: one definition for the whole study.
    """

    match: int = 7
    mean: Sequence[int] = (7, 15)
    std: int = 15
    q_rise: int = 3
    q_fall: int = 15
    q_peak: Sequence[int] = (2, 4)
    naive: Sequence[int] = (2, 4)
    bimodal: int = 7
    bimodal_arm: str | None = "uniform-bimodal"
    bimodal_accuracy: Sequence[int] = (4, 7)
    chi: int = 15
    signs: int = 3
    suffices: Sequence[int] = (7, 10)
    backward: int = 7
    margin: float = 0.5
    planned: Sequence[str] = ()
    planned_round: int = 7


def problems(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield what the schema cannot say about `claims`, one line per problem.

    A round that a study does not have is none: the claim is then left out for that study.
    """
    claims = config.get("claims", {})
    for name in WINDOWS:
        window = list(claims.get(name, (0, 0)))
        if window[0] > window[1]:
            yield f"claims.{name} is {window}; allowed: [first, last], in ascending order"
    rise, fall = (claims.get(name, getattr(Plan, name)) for name in ("q_rise", "q_fall"))
    if rise >= fall:
        yield f"claims.q_rise is {rise}; allowed: less than claims.q_fall ({fall})"
    arms = [name for name in config["arms"] if name != "imp"]
    arm = claims.get("bimodal_arm")
    if arm is not None and arm not in arms:
        hint = did_you_mean(arm, arms)
        yield (
            f"claims.bimodal_arm is {arm!r}, which is no arm to compare with imp (defined: "
            f"{', '.join(arms) or 'none'}; null leaves the claim out){hint}"
        )
