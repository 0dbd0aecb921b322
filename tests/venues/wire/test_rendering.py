"""What the venue writes has the keys and the forms of Alpaca's examples."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import pytest

from gammaray.venues.simulated.admin_client import AdminClient
from gammaray.venues.simulated.model import ExchangePosition
from gammaray.venues.simulated.server import VenueServer, VenueSettings
from gammaray.venues.simulated.wire.account_json import PositionMark, position_json
from gammaray.venues.simulated.wire.auth import DEFAULT_KEY_ID as KEY
from gammaray.venues.simulated.wire.auth import DEFAULT_SECRET_KEY as SECRET
from gammaray.venues.simulated.wire.order_json import average_price, ratio_text

LOW, HIGH = "SPY180202C00285000", "SPY180202C00288000"


@pytest.mark.parametrize(
    ("notional", "qty", "text"),
    [
        (0, 0, None),
        (12_060_000, 2, "6.03"),
        # 1.00 and 1.01 and 1.01: 3.02 / 3 = 1.006666…
        (3_020_000, 3, "1.006667"),
        (-1_900_000, 1, "-1.9"),
        # Half a micro-dollar goes to the even one.
        (5, 2, "0.000002"),
        (7, 2, "0.000004"),
    ],
)
def test_average_prices(notional: int, qty: int, text: str | None) -> None:
    assert average_price(notional, qty) == text


@pytest.mark.parametrize(
    ("a", "b", "text"), [(1, 0, "0"), (5, 1206, "0.0041459369817579"), (-1, 4, "-0.25"), (0, 7, "0")]
)
def test_ratios(a: int, b: int, text: str) -> None:
    assert ratio_text(a, b) == text


def test_a_position_as_in_the_example() -> None:
    # position_option.json of the wire's examples: 2 contracts bought at 6.03, now at 6.055, yesterday 5.90.
    row = position_json(
        ExchangePosition("AAPL261218C00250000", 2, 1_206_000_000, 100), PositionMark(6_055_000, 5_900_000), 2, "id"
    )
    assert (row["market_value"], row["cost_basis"], row["unrealized_pl"]) == ("1211", "1206", "5")
    assert row["unrealized_plpc"] == "0.0041459369817579"
    assert row["change_today"] == "0.026271186440678"
    assert (row["avg_entry_price"], row["side"], row["exchange"]) == ("6.03", "long", "")


def test_a_short_position_is_negative() -> None:
    row = position_json(
        ExchangePosition("AAPL261218P00240000", -1, -185_000_000, 100), PositionMark(1_700_000, 1_800_000), -1, "id"
    )
    assert (row["qty"], row["market_value"], row["cost_basis"], row["unrealized_pl"]) == ("-1", "-170", "-185", "15")
    assert (row["avg_entry_price"], row["side"]) == ("1.85", "short")


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    with VenueServer(VenueSettings(first=date(2018, 1, 29), last=date(2018, 1, 31))) as server:
        headers = {"APCA-API-KEY-ID": KEY, "APCA-API-SECRET-KEY": SECRET}
        with (
            AdminClient(server.url) as admin,
            httpx.Client(base_url=server.url, headers=headers, trust_env=False, timeout=60) as client,
        ):
            admin.step(2)
            common = {"time_in_force": "day", "type": "market"}
            legs = [{"symbol": LOW, "ratio_qty": 1, "side": "buy"}, {"symbol": HIGH, "ratio_qty": 1, "side": "sell"}]
            client.post(
                "/v2/orders", json={**common, "symbol": LOW, "qty": 1, "side": "buy", "client_order_id": "single"}
            )
            client.post(
                "/v2/orders", json={**common, "qty": 1, "order_class": "mleg", "legs": legs, "client_order_id": "mleg"}
            )
            admin.step()
            yield client


# The exchange keeps no expiry time of an order and no bars in option snapshots; on the first day there is no close before it.
NOT_SENT = {"expires_at", "minuteBar", "dailyBar", "prevDailyBar", "close_price", "close_price_date"}


@pytest.mark.shared
@pytest.mark.parametrize(
    ("example", "path"),
    [
        ("account.json", "/v2/account"),
        ("account_configurations.json", "/v2/account/configurations"),
        ("activities_fill.json", "/v2/account/activities/FILL"),
        ("asset.json", "/v2/assets/SPY"),
        ("calendar.json", "/v2/calendar?start=2018-01-29&end=2018-01-31"),
        ("clock.json", "/v2/clock"),
        ("option_contract.json", f"/v2/options/contracts/{LOW}"),
        ("order_option_filled.json", "/v2/orders:by_client_order_id?client_order_id=single"),
        ("order_mleg_filled.json", "/v2/orders:by_client_order_id?client_order_id=mleg"),
        ("position_option.json", f"/v2/positions/{LOW}"),
        ("portfolio_history.json", "/v2/account/portfolio/history"),
        ("data_option_quotes_latest.json", f"/v1beta1/options/quotes/latest?symbols={LOW}"),
        ("data_option_trades_latest.json", f"/v1beta1/options/trades/latest?symbols={LOW}"),
        ("data_option_snapshots.json", f"/v1beta1/options/snapshots?symbols={LOW}"),
        ("data_stock_quotes_latest.json", "/v2/stocks/quotes/latest?symbols=SPY"),
        ("data_stock_bars.json", "/v2/stocks/bars?symbols=SPY&timeframe=1Day&start=2018-01-02"),
        ("data_stock_snapshots.json", "/v2/stocks/snapshots?symbols=SPY"),
    ],
)
def test_every_key_of_the_examples_is_sent_in_its_form(
    shared_dir: Path, http: httpx.Client, example: str, path: str
) -> None:
    wanted = json.loads((shared_dir / "alpaca" / "examples" / example).read_text())
    answer = http.get(path)
    assert answer.status_code == 200, answer.text
    missing = list(differences(wanted, answer.json(), ""))
    assert missing == []


def differences(wanted: Any, got: Any, at: str) -> Iterator[str]:
    """Keys of the example that are absent, and values whose JSON type is another (null is like anything)."""
    if isinstance(wanted, dict) and isinstance(got, dict):
        by_symbol = {key for key in wanted if key.startswith("AAPL")}
        if by_symbol:
            yield from differences(wanted[min(by_symbol)], next(iter(got.values())), f"{at}.*")
            return
        for key, value in wanted.items():
            if key in got:
                yield from differences(value, got[key], f"{at}.{key}")
            elif key not in NOT_SENT and not at.endswith(".cashflow"):
                yield f"{at}.{key}: absent"
    elif isinstance(wanted, list) and isinstance(got, list):
        if wanted and got:
            yield from differences(wanted[0], got[0], f"{at}[0]")
    elif wanted is not None and got is not None and kind(wanted) != kind(got):
        yield f"{at}: {got!r} instead of something like {wanted!r}"


def kind(value: Any) -> str:
    return "number" if isinstance(value, (int, float)) and not isinstance(value, bool) else type(value).__name__
