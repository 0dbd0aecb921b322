"""Fees by dated schedule, worked by hand."""

from __future__ import annotations

from datetime import date

from gammaray.venues.simulated.fees import DEFAULT_SCHEDULE, FeeMeter

CENT = 10_000


def test_a_sale_of_ten_contracts_in_2017() -> None:
    meter = FeeMeter(DEFAULT_SCHEDULE)
    meter.accrue(date(2017, 10, 2), is_option=True, is_buy=False, qty=10, price=800_000, multiplier=100)
    # ORF 10 × 0.0427 = 0.427; OCC 10 × 0.05 = 0.50; TAF 10 × 0.002 = 0.02; Section 31: $800 × 23.10 per million = 0.01848.
    assert meter.charge() == [("ORF", 43 * CENT), ("OCC", 50 * CENT), ("TAF", 2 * CENT), ("REG", 2 * CENT)]
    assert meter.charge() == []


def test_a_sale_of_ten_contracts_in_2025() -> None:
    meter = FeeMeter(DEFAULT_SCHEDULE)
    meter.accrue(date(2025, 6, 2), is_option=True, is_buy=False, qty=10, price=800_000, multiplier=100)
    # ORF 10 × 0.02685 = 0.2685; OCC 10 × 0.02 = 0.20; TAF 10 × 0.00279 = 0.0279; CAT 1000 × 0.0000265 = 0.0265; Section 31 is nil.
    assert meter.charge() == [("ORF", 27 * CENT), ("OCC", 20 * CENT), ("TAF", 3 * CENT), ("CAT", 3 * CENT)]


def test_the_day_is_rounded_up_not_the_trade() -> None:
    meter = FeeMeter(DEFAULT_SCHEDULE)
    for _ in range(3):
        meter.accrue(date(2017, 10, 2), is_option=True, is_buy=True, qty=1, price=800_000, multiplier=100)
    # ORF 3 × 0.0427 = 0.1281 → 0.13, not 3 × 0.05; OCC 0.15 exactly. Buying carries no TAF and no Section 31 fee.
    assert meter.accrued == 28 * CENT
    assert meter.charge() == [("ORF", 13 * CENT), ("OCC", 15 * CENT)]


def test_caps_and_shares() -> None:
    meter = FeeMeter(DEFAULT_SCHEDULE)
    meter.accrue(date(2017, 10, 2), is_option=True, is_buy=True, qty=10_000, price=10_000, multiplier=100)
    assert dict(meter.charge())["OCC"] == 55 * 100 * CENT
    meter.accrue(date(2017, 10, 2), is_option=False, is_buy=False, qty=100_000, price=250_000_000, multiplier=1)
    # TAF 100,000 × 0.000119 = 11.90, capped at 5.95; Section 31: $25 million × 23.10 = 577.50.
    assert meter.charge() == [("TAF", 595 * CENT), ("REG", 57_750 * CENT)]


def test_rates_follow_the_date() -> None:
    meter = FeeMeter(DEFAULT_SCHEDULE)
    assert meter.rates(date(2018, 5, 21)).sec == 23_100_000_000
    assert meter.rates(date(2018, 5, 22)).sec == 13_000_000_000
    assert meter.rates(date(2025, 6, 1)).sec == 0
    assert meter.rates(date(2017, 10, 2)).cat == 0
    assert meter.rates(date(2025, 6, 1)).cat > 0
    assert meter.rates(date(1999, 1, 4)) == DEFAULT_SCHEDULE[0]


def test_an_empty_schedule_charges_nothing() -> None:
    meter = FeeMeter(())
    meter.accrue(date(2017, 10, 2), is_option=True, is_buy=False, qty=10, price=800_000, multiplier=100)
    assert meter.charge() == []
