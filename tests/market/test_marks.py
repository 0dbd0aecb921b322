"""Marks: quote, else model, else the last one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gammaray.market.chain import ChainState
from gammaray.market.marks import Mark, MarkSource, mark_prices
from gammaray.market.snapshot import Quality

SYMBOL = "SPY180119C00274000"


def test_where_marks_come_from(now_ns, contracts, quote):
    chain = ChainState("SPY")
    chain.list_contracts(contracts)
    batch = quote(chain, now_ns)
    row = chain.table.index[SYMBOL]
    batch.bid[row], batch.ask[row] = 2.20, 2.23
    chain.apply(batch)
    snapshot = chain.snapshot(now_ns, True)
    # The middle of 2.20 and 2.23 is 2.215; the spot is 274.
    assert mark_prices(snapshot, [SYMBOL, "SPY", "QQQ"]) == {
        SYMBOL: Mark(2_215_000, MarkSource.QUOTE),
        "SPY": Mark(274_000_000, MarkSource.QUOTE),
    }
    quality = snapshot.quality.copy()
    quality[row] = Quality.STALE
    stale = replace(snapshot, quality=quality)
    mark = mark_prices(stale, [SYMBOL])[SYMBOL]
    assert mark.source is MarkSource.MODEL
    assert mark.price % 5_000 == 0
    assert abs(mark.price - round(float(snapshot.model_price[row]) * 1e6)) <= 2_500
    blind = replace(stale, model_price=np.full_like(snapshot.bid, np.nan))
    assert mark_prices(blind, [SYMBOL]) == {}
    assert mark_prices(blind, [SYMBOL], {SYMBOL: 7}) == {SYMBOL: Mark(7, MarkSource.LAST)}
    assert mark_prices(replace(blind, model_price=None), [SYMBOL], {SYMBOL: 7})[SYMBOL].price == 7
    assert mark_prices(replace(blind, spot=float("nan")), ["SPY"], {"SPY": 9}) == {"SPY": Mark(9, MarkSource.LAST)}
    assert mark_prices(blind, ["SPY180112C00999000"]) == {}, "of the chain, but not listed, and never marked"
