"""The promotion test: its error when peeking, its power, its robustness, its state."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gammaray.learning.promotion import Decision, PairedLossTest, PromotionConfig, difference_scale
from gammaray.operations.errors import BadInput


def run(config: PromotionConfig, differences: np.ndarray, scale: float = 1.0) -> tuple[Decision, int]:
    """The first decision, looking after every pair, and the pair at which it fell."""
    test = PairedLossTest(config, scale)
    for difference in differences:
        decision = test.update(float(difference), 0.0)
        if decision is not Decision.CONTINUE:
            return decision, test.count
    return Decision.CONTINUE, test.count


def peeking_t_test(differences: np.ndarray) -> bool:
    """Does a one-sided 5 % t-test that is looked at after every pair from the twentieth on ever reject?"""
    n = np.arange(1, len(differences) + 1)
    means = np.cumsum(differences) / n
    variances = np.cumsum(differences**2) / n - means**2
    return bool((means / np.sqrt(np.maximum(variances, 1e-12) / n))[20:].max() > 1.645)


@pytest.mark.parametrize("noise", ["normal", "student", "volatile"])
def test_promotions_of_an_equal_challenger_stay_below_alpha_however_often_one_looks(noise: str) -> None:
    """500 challengers exactly as good as the champion, 150 looks each, α = 5 %: at most 5 % (+ 3 binomial deviations)."""
    generator = np.random.default_rng(5)
    config = PromotionConfig(alpha=0.05, min_samples=8, max_samples=10_000)
    runs, looks = 500, 150
    promoted = peeked = 0
    for _ in range(runs):
        if noise == "student":
            differences = generator.standard_t(2, size=looks)
        else:
            differences = generator.normal(size=looks)
        if noise == "volatile":  # the past says how large the next one is, not its sign
            differences *= np.exp(np.cumsum(generator.normal(0.0, 0.1, looks)))
        promoted += run(config, differences)[0] is Decision.PROMOTE
        peeked += peeking_t_test(differences)
    assert promoted / runs <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / runs)
    if noise == "normal":
        assert peeked / runs > 0.15  # what the test guards against


def test_a_better_challenger_is_promoted_and_a_worse_one_rejected() -> None:
    """Differences of mean ± 0.8 deviations: decided rightly in 30 pairs nearly always."""
    generator = np.random.default_rng(6)
    config = PromotionConfig(alpha=0.05, min_samples=8, max_samples=30)
    better = [run(config, generator.normal(0.8, 1.0, 30), 1.345) for _ in range(300)]
    worse = [run(config, generator.normal(-0.8, 1.0, 30), 1.345) for _ in range(300)]
    assert sum(decision is Decision.PROMOTE for decision, _ in better) > 0.85 * 300
    assert sum(decision is Decision.PROMOTE for decision, _ in worse) == 0
    assert np.median([count for _, count in better]) < 20


def test_undecided_at_the_end_is_rejected_as_inconclusive() -> None:
    config = PromotionConfig(min_samples=2, max_samples=6)
    test = PairedLossTest(config, 1.0)
    decisions = [test.update(0.1 * (-1) ** i, 0.0) for i in range(6)]
    assert decisions == [Decision.CONTINUE] * 5 + [Decision.REJECT]
    assert test.evidence()["inconclusive"] is True


def test_no_decision_before_the_minimum_sample() -> None:
    config = PromotionConfig(min_samples=12, max_samples=30)
    decisions = [d for d, _ in [run(config, np.full(n, 1.0)) for n in (11, 12)]]
    assert decisions == [Decision.CONTINUE, Decision.PROMOTE]


def test_one_outlier_decides_nothing() -> None:
    """A session a million units worse counts as one unit: wealth of the other side grows by at most 1 + λ."""
    test = PairedLossTest(PromotionConfig(min_samples=1, max_samples=100), 1.0)
    assert test.update(1e6, 0.0) is Decision.CONTINUE
    assert test.evidence()["e_value_better"] <= 1.8


def test_wealth_by_hand() -> None:
    """Two pairs of g = +1 and −½: the mean over λ of (1 + λ)(1 − λ/2)."""
    test = PairedLossTest(PromotionConfig(), 2.0)
    test.update(3.0, 1.0)
    test.update(1.0, 2.0)
    fractions = np.array([0.05, 0.1, 0.2, 0.3, 0.45, 0.6, 0.8])
    evidence = test.evidence()
    assert evidence["e_value_better"] == pytest.approx(np.mean((1 + fractions) * (1 - fractions / 2)))
    assert evidence["e_value_worse"] == pytest.approx(np.mean((1 - fractions) * (1 + fractions / 2)))
    assert (evidence["pairs"], evidence["challenger_wins"], evidence["mean_loss_difference"]) == (2, 1, 0.5)


@given(st.lists(st.floats(-5, 5), max_size=40), st.lists(st.floats(-5, 5), max_size=20))
def test_state_round_trip_is_exact(before: list[float], after: list[float]) -> None:
    config = PromotionConfig(max_samples=1000)
    test = PairedLossTest(config, 0.7)
    for difference in before:
        test.update(difference, 0.0)
    again = PairedLossTest.restore(config, json.loads(json.dumps(test.state())))
    for difference in after:
        assert test.update(difference, 0.0) is again.update(difference, 0.0)
    assert test.state() == again.state()
    assert test.evidence() == again.evidence()


def test_unit_is_huber_s_bend() -> None:
    # Median |d| is 2: 1.345 · 1.4826 · 2.
    assert difference_scale(np.array([-1.0, 2.0, 300.0])) == pytest.approx(1.345 * 1.4826 * 2.0)
    assert difference_scale(np.zeros(5)) == 1e-6


def test_settings_and_losses_are_checked() -> None:
    with pytest.raises(BadInput, match="alpha"):
        PromotionConfig(alpha=0.0)
    with pytest.raises(BadInput, match="min_samples"):
        PromotionConfig(min_samples=9, max_samples=8)
    with pytest.raises(BadInput, match="scale"):
        PairedLossTest(PromotionConfig(), 0.0)
    with pytest.raises(BadInput, match="loss"):
        PairedLossTest(PromotionConfig(), 1.0).update(math.nan, 0.0)
