import pytest

from gammaray.risk.limits import AccountLimits, check_account, stricter
from gammaray.types.signals import TradingState

LIMITS = AccountLimits(max_daily_loss=0.05, max_leverage=2.0)


@pytest.mark.parametrize(
    ("equity", "delta_dollars", "unpriced", "expected"),
    [
        (100_000, 0, 0, []),
        # 1 - 95,500/100,000 = 4.5 % lies between 80 % of the limit (4 %) and the limit (5 %)
        (95_500, 0, 0, [("max_daily_loss", TradingState.REDUCING)]),
        (95_000, 0, 0, [("max_daily_loss", TradingState.HALTED)]),
        (100_000, -200_001, 0, [("max_leverage", TradingState.REDUCING)]),
        (100_000, 0, 2, [("unpriced_positions", TradingState.REDUCING)]),
        (0, 0, 0, [("equity", TradingState.HALTED)]),
        (float("nan"), 0, 0, [("equity", TradingState.HALTED)]),
        (
            94_000,
            500_000,
            1,
            [
                ("max_daily_loss", TradingState.HALTED),
                ("max_leverage", TradingState.REDUCING),
                ("unpriced_positions", TradingState.REDUCING),
            ],
        ),
    ],
)
def test_rules(equity: float, delta_dollars: float, unpriced: int, expected: list[tuple[str, TradingState]]) -> None:
    breaches = check_account(
        LIMITS, equity=equity, start_of_day_equity=100_000, delta_dollars=delta_dollars, unpriced=unpriced
    )
    assert [(breach.rule, breach.state) for breach in breaches] == expected


def test_states_only_tighten() -> None:
    assert stricter(TradingState.REDUCING, TradingState.ACTIVE) is TradingState.REDUCING
    assert stricter(TradingState.REDUCING, TradingState.HALTED) is TradingState.HALTED
