"""One definition, three ways to the same bits: batch, incremental, point-in-time; and no way to see the future."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gammaray.features.daily import DAILY_FEATURES, MODEL_FEATURES, QUOTE_FEATURES
from gammaray.features.definition import Feature, feature, set_version
from gammaray.features.engine import FeatureEngine, compute_features
from gammaray.market.daily import DailyRecord

DAY_NS = 86_400 * 10**9
MONDAY = date(2017, 1, 2)


def make_records(seed: int, count: int, *, first: date = MONDAY, sampled: bool = False) -> list[DailyRecord]:
    """A random walk with all columns known, on weekdays."""
    rng = np.random.default_rng(seed)
    records, close, level, day = [], 100.0, 0.15, first
    for _ in range(count):
        open_ = close * float(np.exp(0.004 * rng.normal()))
        path = open_ * np.exp(np.cumsum(level / 16 / 5 * rng.normal(size=25)))
        level = float(np.clip(level * np.exp(0.05 * rng.normal()), 0.05, 1.0))
        close = float(path[-1])
        records.append(
            DailyRecord(
                underlying="SPY",
                day=day,
                ts_ns=(day.toordinal() - 719_163) * DAY_NS + 21 * 3600 * 10**9,
                open=open_,
                high=float(max(open_, path.max())),
                low=float(min(open_, path.min())),
                close=close,
                samples=26 if sampled else 0,
                atm_iv_30d=level,
                atm_iv_90d=level * 1.05,
                skew_25d=0.2 * level,
                relative_spread=float(rng.uniform(0.01, 0.1)),
                size_imbalance=float(rng.uniform(-1.0, 1.0)),
            )
        )
        day += timedelta(days=3 if day.weekday() == 4 else 1)
    return records


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 160), st.booleans())
def test_batch_and_incremental_agree_bit_for_bit(seed, warm, sampled):
    records = make_records(seed, 170, sampled=sampled)
    engine = FeatureEngine("SPY")
    engine.warm_up(records[:warm])
    incremental = np.array([engine.update(record).values for record in records[warm:]])
    assert incremental.tobytes() == compute_features(records)[warm:].tobytes()


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 169))
def test_changing_the_future_never_changes_the_past(seed, now):
    records = make_records(seed, 170)
    other = records[:now] + [replace(r, high=r.high * 2, close=r.high * 2, atm_iv_30d=0.9) for r in records[now:]]
    before, after = compute_features(records), compute_features(other)
    assert before[:now].tobytes() == after[:now].tobytes()
    assert before[now:].tobytes() != after[now:].tobytes()


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 150))
def test_the_state_round_trips_exactly(seed, cut):
    records = make_records(seed, 160)
    engine = FeatureEngine("SPY")
    engine.warm_up(records[:cut])
    copy = FeatureEngine("SPY")
    copy.restore(engine.state())
    assert copy.state() == engine.state()
    assert copy.last_day == engine.last_day == records[cut - 1].day
    for record in records[cut:]:
        assert copy.update(record).values.tobytes() == engine.update(record).values.tobytes()


def test_features_do_not_depend_on_the_price_scale():
    records = make_records(7, 140)
    scaled = [replace(r, open=r.open * 8, high=r.high * 8, low=r.low * 8, close=r.close * 8) for r in records]
    assert np.allclose(compute_features(records), compute_features(scaled), rtol=1e-9, atol=1e-12, equal_nan=True)


def test_a_feature_is_known_exactly_when_its_window_is_full():
    values = compute_features(make_records(3, 130))
    for column, item in enumerate(DAILY_FEATURES):
        known = np.isfinite(values[:, column])
        assert not known[: item.window - 1].any(), item.name
        assert known[item.window - 1 :].all(), item.name


def test_an_unknown_input_makes_only_its_own_features_unknown():
    records = make_records(3, 140)
    records[-1] = replace(records[-1], skew_25d=float("nan"))
    engine = FeatureEngine("SPY")
    engine.warm_up(records[:-1])
    vector = engine.update(records[-1])
    assert vector.missing == ("skew_25d", "skew_change_5d")
    assert vector.select(["atm_iv_30d"])[0] == records[-1].atm_iv_30d
    assert vector.as_dict()["atm_iv_30d"] == records[-1].atm_iv_30d
    with pytest.raises(KeyError):
        vector.select(["no_such_feature"])


def test_the_set_has_about_thirty_documented_features_of_unique_names():
    assert len(MODEL_FEATURES) == 36
    assert DAILY_FEATURES == MODEL_FEATURES + QUOTE_FEATURES
    assert len({item.name for item in DAILY_FEATURES}) == len(DAILY_FEATURES)
    assert all(item.doc and item.units for item in DAILY_FEATURES)


def test_the_version_changes_with_any_definition():
    base = set_version(MODEL_FEATURES)
    assert base != set_version(MODEL_FEATURES[:-1])
    assert base != set_version(MODEL_FEATURES[::-1])
    assert base != set_version((replace(MODEL_FEATURES[0], version=2), *MODEL_FEATURES[1:]))
    with pytest.raises(ValueError, match="more than one definition of \\['return_1d'\\]"):
        set_version((MODEL_FEATURES[0], *MODEL_FEATURES))


def test_records_out_of_order_or_of_another_underlying_are_refused():
    records = make_records(1, 3)
    engine = FeatureEngine("SPY")
    engine.warm_up(records)
    with pytest.raises(ValueError, match="2017-01-03 is not after 2017-01-04"):
        engine.update(records[1])
    with pytest.raises(ValueError, match="expected SPY, was QQQ"):
        engine.update(replace(records[2], underlying="QQQ"))
    with pytest.raises(ValueError, match="does not follow"):
        compute_features([records[1], records[0]])


def test_a_foreign_or_broken_state_is_refused():
    engine = FeatureEngine("SPY")
    with pytest.raises(ValueError, match="not a feature engine's state"):
        engine.restore(b"{}")
    with pytest.raises(ValueError, match="of feature set"):
        engine.restore(FeatureEngine("SPY", MODEL_FEATURES).state())


def test_a_feature_of_ones_own_takes_a_few_lines():
    @feature("high", "low", window=2, units="log")
    def range_change(high, low):
        """Log range of the session less that of the previous one."""
        spans = np.log(high / low)
        return float(spans[-1] - spans[-2])

    assert isinstance(range_change, Feature)
    records = make_records(5, 4)
    engine = FeatureEngine("SPY", (*MODEL_FEATURES, range_change))
    engine.warm_up(records[:3])
    spans = [np.log(record.high / record.low) for record in records]
    assert engine.update(records[3]).as_dict()["range_change"] == pytest.approx(spans[3] - spans[2], rel=1e-12)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "not a name"}, "name: expected an identifier"),
        ({"version": 0}, "version: expected 1 or more"),
        ({"inputs": ("volume",)}, "inputs: expected some of"),
        ({"inputs": ()}, "inputs: expected some of"),
        ({"window": 0}, "window: expected 1 or more"),
    ],
)
def test_a_bad_definition_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        replace(MODEL_FEATURES[0], **change)
