"""One spread for all arms: against statsmodels' two-way fit, scipy's Dunnett and tables."""

import numpy as np
import pytest
from scipy import stats

from ticketlens.verdicts import pooled


def runs_of(seeds=5, arms=4, spread=0.3, seed=0, **shifts):
    rng = np.random.default_rng(seed)
    level = 50 + rng.standard_normal(seeds)
    names = ["imp", *[f"arm{i}" for i in range(1, arms)]]
    return {
        arm: {
            s: level[s] + shifts.get(arm, 0.0) + spread * rng.standard_normal()
            for s in range(seeds)
        }
        for arm in names
    }


def test_residual_spread_is_that_of_the_two_way_analysis_of_variance():
    import pandas as pd
    import statsmodels.formula.api as smf

    runs = runs_of()
    rows = [(a, s, v) for a, own in runs.items() for s, v in own.items()]
    table = pd.DataFrame(rows, columns=["arm", "seed", "y"])
    wanted = smf.ols("y ~ C(arm) + C(seed)", table).fit()
    found = pooled.fit(runs)
    assert found.degrees == wanted.df_resid == 12
    assert found.sd == pytest.approx(np.sqrt(wanted.scale))
    coefficient = wanted.params["C(arm)[T.imp]"]  # imp − arm1, the first in alphabetical order
    assert found.mean["arm1"] == pytest.approx(-coefficient)
    assert found.error("arm1") == pytest.approx(wanted.bse["C(arm)[T.imp]"])


def test_seeds_that_only_imp_has_change_nothing():
    runs = runs_of(3)
    more = {**runs, "imp": {**runs["imp"], 7: 12.0, 8: 90.0}}
    one, other = pooled.fit(runs), pooled.fit(more)
    assert (one.sd, one.degrees) == (pytest.approx(other.sd), other.degrees)
    assert one.mean == pytest.approx(other.mean)


def test_a_seed_that_imp_lacks_and_no_imp_are_refused():
    runs = runs_of(3)
    with pytest.raises(ValueError, match=r"arm arm1 against imp: seeds only in arm1: \[9\]"):
        pooled.fit({**runs, "arm1": {**runs["arm1"], 9: 1.0}})
    with pytest.raises(ValueError, match="no arm 'imp'"):
        pooled.fit({"a": {0: 1.0}})


def test_one_seed_has_no_spread_and_no_p():
    found = pooled.fit(runs_of(1))
    assert found.degrees == 0 and np.isnan(found.sd) and np.isnan(found.t("arm1"))
    assert np.isnan(pooled.dunnett_p(found.t("arm1"), 3, found.degrees))


def test_unequal_spreads_are_noticed_and_equal_ones_are_not():
    rng = np.random.default_rng(2)
    wild = runs_of(12, 4)
    wild["arm2"] = {s: 50 + 40 * rng.standard_normal() for s in range(12)}
    assert pooled.fit(wild).p_spread < 0.01
    ps = [pooled.fit(runs_of(8, 5, seed=seed)).p_spread for seed in range(40)]
    assert np.mean(np.array(ps) < 0.05) < 0.15


@pytest.mark.parametrize(("arms", "degrees", "wanted"), [(1, 10, 2.228), (3, 20, 2.54)])
def test_quantiles_are_those_of_dunnetts_tables(arms, degrees, wanted):
    assert pooled.dunnett_quantile(arms, degrees) == pytest.approx(wanted, abs=0.015)


def test_p_agrees_with_scipys_dunnett_for_one_way_groups():
    """There, s comes from within the groups; the law of the largest t is the same."""
    rng = np.random.default_rng(1)
    control, *groups = (rng.standard_normal(6) + shift for shift in (0, 0.4, 1.6, 0.1))
    wanted = stats.dunnett(*groups, control=control, rng=np.random.default_rng(0))
    degrees = 4 * 5
    for t, p in zip(wanted.statistic, wanted.pvalue, strict=True):
        assert pooled.dunnett_p(t, 3, degrees) == pytest.approx(p, abs=2e-3)


def test_the_quantile_is_where_p_is_five_percent():
    q = pooled.dunnett_quantile(6, 14)
    assert pooled.dunnett_p(q, 6, 14) == pytest.approx(0.05, abs=1e-8)
    assert pooled.dunnett_p(-q, 6, 14) == pytest.approx(0.05, abs=1e-8)
    assert pooled.dunnett_p(np.inf, 6, 14) == 0
    assert np.isnan(pooled.dunnett_quantile(6, 0))
