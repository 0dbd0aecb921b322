import pytest

from gammaray.types.orders import OrderLeg, OrderRequest, OrderState, OrderType, PositionIntent, Side

CALL_190 = "SPY180316C00190000"
CALL_200 = "SPY180316C00200000"


def test_a_package_is_two_to_four_option_legs_with_coprime_ratios() -> None:
    vertical = OrderRequest(
        "a", (OrderLeg(CALL_190, Side.BUY), OrderLeg(CALL_200, Side.SELL)), qty=3, limit_price=-1_050_000
    )
    assert vertical.is_package
    assert vertical.order_type is OrderType.LIMIT
    with pytest.raises(ValueError, match="divisor 2"):
        OrderRequest("a", (OrderLeg(CALL_190, Side.BUY, 2), OrderLeg(CALL_200, Side.SELL, 2)), qty=1)
    with pytest.raises(ValueError, match="options only"):
        OrderRequest("a", (OrderLeg("SPY", Side.BUY), OrderLeg(CALL_200, Side.SELL)), qty=1)
    with pytest.raises(ValueError, match="must differ"):
        OrderRequest("a", (OrderLeg(CALL_190, Side.BUY), OrderLeg(CALL_190, Side.SELL)), qty=1)


def test_simple_orders_have_positive_prices_and_quantities() -> None:
    leg = (OrderLeg(CALL_190, Side.BUY, intent=PositionIntent.BUY_TO_OPEN),)
    assert OrderRequest("a", leg, qty=1).order_type is OrderType.MARKET
    with pytest.raises(ValueError, match="limit_price"):
        OrderRequest("a", leg, qty=1, limit_price=0)
    with pytest.raises(ValueError, match="qty"):
        OrderRequest("a", leg, qty=0)
    with pytest.raises(ValueError, match="client_order_id"):
        OrderRequest("x" * 129, leg, qty=1)


def test_an_intent_agrees_with_its_side() -> None:
    with pytest.raises(ValueError, match="contradicts"):
        OrderLeg(CALL_190, Side.BUY, intent=PositionIntent.SELL_TO_CLOSE)


def test_terminal_states() -> None:
    assert [state.name for state in OrderState if not state.is_terminal] == [
        "INITIALIZED",
        "SUBMITTED",
        "ACCEPTED",
        "PARTIALLY_FILLED",
        "PENDING_CANCEL",
        "PENDING_REPLACE",
    ]
