"""alpaca-py's TradingClient, parsed models and all, against every trading endpoint."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from alpaca.common.exceptions import APIError
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import (
    AssetClass,
    ContractType,
    CorporateActionType,
    OrderClass,
    OrderSide,
    OrderStatus,
    OrderType,
    PositionIntent,
    QueryOrderStatus,
    TimeInForce,
)
from alpaca.trading.requests import (
    ClosePositionRequest,
    GetAssetsRequest,
    GetCalendarRequest,
    GetCorporateAnnouncementsRequest,
    GetOptionContractsRequest,
    GetOrderByIdRequest,
    GetOrdersRequest,
    GetPortfolioHistoryRequest,
    LimitOrderRequest,
    MarketOrderRequest,
    OptionLegRequest,
    ReplaceOrderRequest,
)

from gammaray.venues.simulated.admin_client import AdminClient
from gammaray.venues.simulated.server import VenueServer, VenueSettings
from gammaray.venues.simulated.wire.auth import DEFAULT_KEY_ID as KEY
from gammaray.venues.simulated.wire.auth import DEFAULT_SECRET_KEY as SECRET


def leg(symbol: str, side: OrderSide, intent: PositionIntent, ratio: int = 1) -> OptionLegRequest:
    return OptionLegRequest(symbol=symbol, ratio_qty=ratio, side=side, position_intent=intent)


def buy(client: TradingClient, symbol: str, qty: int = 1, **extra: Any) -> Any:
    return client.submit_order(
        MarketOrderRequest(symbol=symbol, qty=qty, side=OrderSide.BUY, time_in_force=TimeInForce.DAY, **extra)
    )


def test_account_and_configurations(client: TradingClient) -> None:
    account = client.get_account()
    assert account.status == "ACTIVE"
    assert Decimal(account.cash) == 1_000_000
    assert Decimal(account.options_buying_power) == 1_000_000
    assert account.options_trading_level == 3
    configuration = client.get_account_configurations()
    configuration.max_options_trading_level = 2
    assert client.set_account_configurations(configuration).max_options_trading_level == 2
    assert client.get_account().options_trading_level == 2
    configuration.suspend_trade = True
    client.set_account_configurations(configuration)
    with pytest.raises(APIError, match="rejected by user request"):
        buy(client, "SPY")


def test_clock_calendar_assets(client: TradingClient) -> None:
    clock = client.get_clock()
    # 29 January 2018, half an hour after the open of 09:30 New York time.
    assert clock.timestamp.isoformat() == "2018-01-29T10:00:00-05:00"
    assert clock.is_open
    assert clock.next_open.isoformat() == "2018-01-30T09:30:00-05:00"
    assert clock.next_close.isoformat() == "2018-01-29T16:00:00-05:00"
    days = client.get_calendar(GetCalendarRequest(start=date(2018, 2, 2), end=date(2018, 2, 6)))
    assert [(day.date.isoformat(), day.open.hour, day.close.hour) for day in days] == [
        ("2018-02-02", 9, 16),
        ("2018-02-05", 9, 16),
        ("2018-02-06", 9, 16),
    ]
    (asset,) = client.get_all_assets(GetAssetsRequest(asset_class=AssetClass.US_EQUITY))
    assert asset.symbol == "SPY"
    assert client.get_asset("SPY").id == asset.id
    assert client.get_asset(str(asset.id)).symbol == "SPY"
    with pytest.raises(APIError) as missing:
        client.get_asset("NOPE")
    assert (missing.value.status_code, missing.value.code) == (404, 40410000)
    assert client.get_all_assets(GetAssetsRequest(asset_class=AssetClass.CRYPTO)) == []
    request = GetCorporateAnnouncementsRequest(
        ca_types=[CorporateActionType.DIVIDEND], since=date(2018, 1, 1), until=date(2018, 2, 1)
    )
    assert client.get_corporate_announcements(request) == []


def test_contracts_page_by_page(client: TradingClient) -> None:
    request = GetOptionContractsRequest(
        underlying_symbols=["SPY"],
        expiration_date_gte=date(2018, 1, 29),
        expiration_date_lte=date(2018, 2, 28),
        type=ContractType.CALL,
        strike_price_gte="280",
        strike_price_lte="285",
        limit=4,
    )
    symbols: list[str] = []
    while True:
        answer = client.get_option_contracts(request)
        symbols += [contract.symbol for contract in answer.option_contracts]
        assert len(answer.option_contracts) <= 4
        if answer.next_page_token is None:
            break
        request.page_token = answer.next_page_token
    assert symbols == sorted(set(symbols))
    assert len(symbols) > 4
    contract = client.get_option_contract(symbols[0])
    assert contract.symbol == symbols[0]
    assert 280 <= contract.strike_price <= 285
    assert client.get_option_contract(str(contract.id)).symbol == symbols[0]
    with pytest.raises(APIError) as missing:
        client.get_option_contract("SPY180101C00000001")
    assert (missing.value.status_code, missing.value.code) == (404, 40410000)


def test_contracts_default_to_the_next_weekend(client: TradingClient) -> None:
    answer = client.get_option_contracts(GetOptionContractsRequest(underlying_symbols=["SPY"], limit=10_000))
    assert {contract.expiration_date for contract in answer.option_contracts} <= {
        date(2018, 1, 29),
        date(2018, 1, 31),
        date(2018, 2, 2),
    }


def test_single_option_order_to_position_and_out(client: TradingClient, admin: AdminClient, near_calls: Any) -> None:
    contract, quote = near_calls[0]
    order = client.submit_order(
        LimitOrderRequest(
            symbol=contract.symbol,
            qty=2,
            side=OrderSide.BUY,
            time_in_force=TimeInForce.DAY,
            limit_price=quote.ask_cents / 100,
            client_order_id="one",
            position_intent=PositionIntent.BUY_TO_OPEN,
        )
    )
    assert order.order_class is OrderClass.SIMPLE
    assert order.asset_class is AssetClass.US_OPTION
    admin.step()
    filled = client.get_order_by_client_id("one")
    assert filled.id == order.id
    assert filled.status is OrderStatus.FILLED
    assert Decimal(filled.filled_avg_price) <= Decimal(quote.ask_cents) / 100
    position = client.get_open_position(contract.symbol)
    assert (position.qty, position.qty_available, position.side.value) == ("2", "2", "long")
    assert Decimal(position.cost_basis) == Decimal(filled.filled_avg_price) * 200
    assert Decimal(position.market_value) == Decimal(position.current_price) * 200
    assert client.get_open_position(position.asset_id).symbol == contract.symbol
    assert [p.symbol for p in client.get_all_positions()] == [contract.symbol]
    account = client.get_account()
    assert Decimal(account.long_market_value) == Decimal(position.market_value)
    assert Decimal(account.cash) == 1_000_000 - Decimal(position.cost_basis)
    rows = client.get("/account/activities", {"activity_types": "FILL", "direction": "asc"})
    assert [(row["symbol"], row["side"], row["qty"]) for row in rows] == [(contract.symbol, "buy", "2")]
    closing = client.close_position(contract.symbol, ClosePositionRequest(qty="1"))
    assert closing.side is OrderSide.SELL
    admin.step()
    assert client.get_open_position(contract.symbol).qty == "1"
    closed = client.close_all_positions(cancel_orders=True)
    assert [(answer.symbol, answer.status) for answer in closed] == [(contract.symbol, 200)]
    admin.step()
    assert client.get_all_positions() == []
    with pytest.raises(APIError) as missing:
        client.get_open_position(contract.symbol)
    assert (missing.value.status_code, missing.value.code) == (404, 40410000)
    history = client.get_portfolio_history(GetPortfolioHistoryRequest(period="1W", timeframe="1D"))
    assert history.equity[-1] == pytest.approx(float(client.get_account().equity))


def test_package_fills_its_legs_together(client: TradingClient, admin: AdminClient, near_calls: Any) -> None:
    (low, low_quote), (high, high_quote) = near_calls[0], near_calls[3]
    debit = (low_quote.ask_cents - high_quote.bid_cents) / 100
    order = client.submit_order(
        LimitOrderRequest(
            qty=3,
            order_class=OrderClass.MLEG,
            time_in_force=TimeInForce.DAY,
            limit_price=debit,
            client_order_id="vertical",
            legs=[
                leg(low.symbol, OrderSide.BUY, PositionIntent.BUY_TO_OPEN),
                leg(high.symbol, OrderSide.SELL, PositionIntent.SELL_TO_OPEN),
            ],
        )
    )
    assert order.order_class is OrderClass.MLEG
    assert [part.symbol for part in order.legs] == [low.symbol, high.symbol]
    admin.step()
    filled = client.get_order_by_id(order.id, GetOrderByIdRequest(nested=True))
    assert filled.status is OrderStatus.FILLED
    first, second = filled.legs
    assert (first.filled_qty, second.filled_qty) == ("3", "3")
    assert Decimal(filled.filled_avg_price) == Decimal(first.filled_avg_price) - Decimal(second.filled_avg_price)
    assert Decimal(filled.filled_avg_price) <= Decimal(str(debit))
    assert {p.symbol: p.qty for p in client.get_all_positions()} == {low.symbol: "3", high.symbol: "-3"}
    leg_order = client.get_order_by_id(first.id)
    assert leg_order.symbol == low.symbol


def test_lists_filter_and_replaces_and_cancels(client: TradingClient, admin: AdminClient, near_calls: Any) -> None:
    contract, quote = near_calls[0]
    assert quote.bid_cents > 5
    resting = LimitOrderRequest(
        symbol=contract.symbol,
        qty=1,
        side=OrderSide.BUY,
        time_in_force=TimeInForce.DAY,
        limit_price=0.01,
        client_order_id="a",
    )
    first = client.submit_order(resting)
    admin.step()
    second = client.submit_order(resting.model_copy(update={"client_order_id": "b"}))
    admin.step()
    assert [o.client_order_id for o in client.get_orders()] == ["b", "a"]
    assert [o.client_order_id for o in client.get_orders(GetOrdersRequest(direction="asc", limit=1))] == ["a"]
    later = GetOrdersRequest(status=QueryOrderStatus.ALL, after=first.submitted_at)
    assert [o.client_order_id for o in client.get_orders(later)] == ["b"]
    assert client.get_orders(GetOrdersRequest(symbols=["SPY"])) == []
    assert len(client.get_orders(GetOrdersRequest(side=OrderSide.BUY, nested=True))) == 2
    replaced = client.replace_order_by_id(first.id, ReplaceOrderRequest(qty=2, limit_price=0.02, client_order_id="a2"))
    assert replaced.id != first.id
    assert str(replaced.replaces) == str(first.id)
    admin.step()
    old = client.get_order_by_id(first.id)
    assert old.status is OrderStatus.REPLACED
    assert str(old.replaced_by) == str(replaced.id)
    assert client.get_order_by_client_id("a2").qty == "2"
    client.cancel_order_by_id(second.id)
    admin.step()
    assert client.get_order_by_id(second.id).status is OrderStatus.CANCELED
    with pytest.raises(APIError) as done:
        client.cancel_order_by_id(second.id)
    assert (done.value.status_code, done.value.code) == (422, 42210000)
    answers = client.cancel_orders()
    assert [(str(answer.id), answer.status) for answer in answers] == [(str(replaced.id), 200)]
    closed = client.get_orders(GetOrdersRequest(status=QueryOrderStatus.CLOSED))
    assert {o.client_order_id for o in closed} == {"a", "a2", "b"}


def test_equity_order_and_its_position(client: TradingClient, admin: AdminClient) -> None:
    order = buy(client, "SPY", 10)
    assert order.asset_class is AssetClass.US_EQUITY
    assert order.type is OrderType.MARKET
    admin.step()
    position = client.get_open_position("SPY")
    assert (position.qty, position.asset_class) == ("10", AssetClass.US_EQUITY)
    client.close_position("SPY", ClosePositionRequest(percentage="50"))
    admin.step()
    assert client.get_open_position("SPY").qty == "5"


def test_exercise_and_do_not_exercise(client: TradingClient, admin: AdminClient, venue: Any) -> None:
    exchange = venue.service.exchange
    spot = exchange.quote("SPY").bid_cents / 100
    in_the_money = max(
        (
            row.contract
            for row in exchange.listed("SPY")
            if row.contract.is_call and row.contract.expiration > date(2018, 2, 1) and row.contract.strike < spot - 5
        ),
        key=lambda contract: (contract.strike_milli, contract.expiration),
    )
    buy(client, in_the_money.symbol)
    admin.step()
    client.exercise_options_position(in_the_money.symbol)
    assert {p.symbol: p.qty for p in client.get_all_positions()} == {"SPY": "100"}
    rows = client.get("/account/activities", {"category": "non_trade_activity"})
    assert {(row["activity_type"], row["symbol"]) for row in rows} >= {("OPEXC", in_the_money.symbol), ("OPTRD", "SPY")}
    assert len({row["group_id"] for row in rows if row["activity_type"] in {"OPEXC", "OPTRD"}}) == 1
    with pytest.raises(APIError) as missing:
        client.exercise_options_position(in_the_money.symbol)
    assert missing.value.status_code in {403, 404}
    with pytest.raises(APIError):
        client.post(f"/positions/{in_the_money.symbol}/do-not-exercise")


def test_early_assignment_by_the_admin_api(client: TradingClient, admin: AdminClient, near_calls: Any) -> None:
    (low, low_quote), (high, high_quote) = near_calls[0], near_calls[3]
    client.submit_order(
        LimitOrderRequest(
            qty=2,
            order_class=OrderClass.MLEG,
            time_in_force=TimeInForce.DAY,
            limit_price=(high_quote.ask_cents - low_quote.bid_cents) / 100,
            legs=[
                leg(low.symbol, OrderSide.SELL, PositionIntent.SELL_TO_OPEN),
                leg(high.symbol, OrderSide.BUY, PositionIntent.BUY_TO_OPEN),
            ],
        )
    )
    admin.step()
    admin.assign(low.symbol, 1)
    assert {p.symbol: p.qty for p in client.get_all_positions()} == {low.symbol: "-1", high.symbol: "2", "SPY": "-100"}
    kinds = {row["activity_type"] for row in client.get("/account/activities", {"activity_types": "OPASN,OPTRD"})}
    assert kinds == {"OPASN", "OPTRD"}


def test_non_trade_activities_can_show_a_day_late() -> None:
    options = VenueSettings(first=date(2018, 1, 29), last=date(2018, 1, 31), delayed_activities=True)
    with VenueServer(options) as server, AdminClient(server.url) as admin:
        admin.step(2)
        client = TradingClient(KEY, SECRET, url_override=server.url)
        exchange = server.service.exchange
        spot = exchange.quote("SPY")
        assert spot is not None
        calls = (row.contract for row in exchange.listed("SPY") if row.contract.is_call)
        deep = max(
            (c for c in calls if c.expiration > date(2018, 1, 29) and c.strike * 100 < spot.bid_cents - 500),
            key=lambda c: (c.strike_milli, c.expiration),
        )
        buy(client, deep.symbol)
        admin.step()
        client.exercise_options_position(deep.symbol)
        assert {p.symbol for p in client.get_all_positions()} == {"SPY"}
        fill = client.get("/account/activities", {})[0]
        assert fill["activity_type"] == "FILL"
        admin.step_to(admin.clock().session_close_ns + 12 * 3600 * 10**9)
        rows = client.get("/account/activities", {"category": "non_trade_activity"})
        assert {row["activity_type"] for row in rows} >= {"OPEXC", "OPTRD"}
        # They carry the day and the id of when it happened, not of when they showed.
        assert {row["date"] for row in rows if row["activity_type"] != "FEE"} == {"2018-01-29"}


def test_activities_page_by_id(client: TradingClient, admin: AdminClient) -> None:
    for _ in range(3):
        buy(client, "SPY")
        admin.step()
    rows = client.get("/account/activities", {"direction": "asc"})
    assert len(rows) >= 3
    paged: list[Any] = []
    query: dict[str, Any] = {"direction": "asc", "page_size": 1}
    while page := client.get("/account/activities", query):
        paged += page
        query["page_token"] = page[-1]["id"]
    assert paged == rows
    assert client.get("/account/activities", {}) == rows[::-1]
    assert client.get("/account/activities/FILL", {"date": "2018-01-29", "direction": "asc"}) == rows
    assert client.get("/account/activities", {"date": "2018-01-28"}) == []


def test_ids_are_uuids(client: TradingClient) -> None:
    order = buy(client, "SPY")
    assert isinstance(order.id, UUID)
    assert isinstance(client.get_account().id, UUID)
