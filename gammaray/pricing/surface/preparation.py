"""From the raw rows of a chain to clean out-of-the-money quotes per expiry, with the forward and the discount that put-call parity implies.

Each row is either used or excluded for exactly one reason. Prices are divided by discount · forward, so that every expiry is a set of
undiscounted option prices on an asset with forward one, and log-moneyness is ln(strike / forward).
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from gammaray.pricing.jit import kernel
from gammaray.pricing.surface.black import implied_deviations
from gammaray.pricing.surface.quotes import BoolArray, ChainQuotes, FloatArray, IntArray


class Exclusion(StrEnum):
    """Why a row of the chain takes no part in the fit."""

    EXPIRED = "expired"
    MISSING_QUOTE = "missing_quote"
    ZERO_BID = "zero_bid"
    CROSSED = "crossed"
    DUPLICATE = "duplicate"
    IN_THE_MONEY = "in_the_money"
    OUTSIDE_BOUNDS = "outside_bounds"
    NO_FORWARD = "no_forward"
    TOO_FEW_STRIKES = "too_few_strikes"


_REASONS = tuple(Exclusion)
_CODE = {reason: code for code, reason in enumerate(_REASONS, start=1)}
_MISSING = _CODE[Exclusion.MISSING_QUOTE]
_ZERO_BID = _CODE[Exclusion.ZERO_BID]
_CROSSED = _CODE[Exclusion.CROSSED]
_DUPLICATE = _CODE[Exclusion.DUPLICATE]
_IN_THE_MONEY = _CODE[Exclusion.IN_THE_MONEY]
_OUTSIDE = _CODE[Exclusion.OUTSIDE_BOUNDS]

MIN_STRIKES = 5
"""Fewest usable out-of-the-money strikes with which an expiry is fitted."""

_RATE_PRIOR_DEVIATION = 0.004
"""How far (one standard deviation) the rate of a single expiry may lie from the rate of the whole chain."""

_MAX_ABSOLUTE_RATE = 0.5
_FARTHEST_FORWARD = 1.0  # |ln(forward / spot)| of a forward that is believed
_SMALLEST = 1e-300


@dataclass(frozen=True, slots=True, eq=False)
class PreparedChain:
    """Usable quotes by expiry; expiry i owns the rows offsets[i]:offsets[i + 1], sorted by log-moneyness, expiries sorted by tau."""

    labels: IntArray  # the `expiration` of the chain
    tau: FloatArray  # years
    forward: FloatArray  # dollars
    discount: FloatArray
    offsets: IntArray
    row: IntArray  # index into the chain
    k: FloatArray  # log-moneyness
    is_call: BoolArray
    bid: FloatArray  # normalised out-of-the-money price
    ask: FloatArray
    liquid: BoolArray  # two-sided and traded that day (two-sided where the chain has no volume)
    bid_variance: FloatArray  # total implied variance of the bid; 0 where the bid is at or below intrinsic value
    mid_variance: FloatArray
    ask_variance: FloatArray
    spot: float
    row_reason: IntArray  # of every row of the chain: 0 used, else 1 + the position in `Exclusion`
    forward_from_parity: (
        BoolArray  # False where the forward comes from spot and rate because no strike has both a call and a put
    )

    @property
    def excluded(self) -> dict[Exclusion, int]:
        """Rows that were not used, counted by reason."""
        counts = Counter(self.row_reason[self.row_reason > 0].tolist())
        return {_REASONS[code - 1]: count for code, count in sorted(counts.items())}

    def expiry(self, i: int) -> slice:
        """The rows of expiry `i`."""
        return slice(int(self.offsets[i]), int(self.offsets[i + 1]))


def prepare_chain(quotes: ChainQuotes) -> PreparedChain:
    """Sort, clean, imply forward and discount, and normalise.

    The discount of an expiry is the slope of call minus put on strike, weighted by the spreads, shrunk towards the rate that all expiries
    imply together (or `quotes.rate`): short expiries say little about a rate. The forward is then the weighted middle of
    strike + (call - put) / discount, moved into the interval that no pair of quotes contradicts, where there is one.

    Raises:
        ValueError: no expiry has a forward and at least `MIN_STRIKES` usable strikes.
    """
    order = np.arange(len(quotes))
    if not _is_sorted(quotes.expiration, quotes.strike):
        order = np.lexsort((quotes.strike, quotes.expiration))
    expiration = quotes.expiration[order]
    starts = np.flatnonzero(np.r_[True, expiration[1:] != expiration[:-1]]) if len(quotes) else np.empty(0, np.int64)
    ends = np.r_[starts[1:], len(quotes)]
    reason = np.zeros(len(quotes), np.int64)
    tables = []
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        rows = order[start:end]
        tau = quotes.tau[rows]
        if tau.min() != tau.max():
            raise ValueError(
                f"tau must be one value per expiration, got {tau.min()} and {tau.max()} for {expiration[start]}"
            )
        if tau[0] <= 0.0:
            reason[rows] = _CODE[Exclusion.EXPIRED]
            continue
        strike, quote, at = _pair_rows(quotes.strike, quotes.is_call, quotes.bid, quotes.ask, rows, reason)
        tables.append((float(tau[0]), int(expiration[start]), rows, strike, quote, at))
    tables.sort(key=lambda table: table[0])

    slopes = np.array([_parity_slope(strike, quote, quotes.spot) for _, _, _, strike, quote, _ in tables]).reshape(
        -1, 2
    )
    taus = np.array([table[0] for table in tables])
    rates = _rates(taus, slopes[:, 0], slopes[:, 1], quotes.rate)
    forwards = np.array(
        [
            _parity_forward(strike, quote, math.exp(-rate * tau), quotes.spot)
            for (tau, _, _, strike, quote, _), rate in zip(tables, rates, strict=True)
        ]
    )
    from_parity = np.isfinite(forwards)
    carry = _carry(taus, forwards, quotes.spot, quotes.rate)
    forwards = np.where(from_parity, forwards, quotes.spot * np.exp(carry * taus))

    kept: list[int] = []
    parts: list[tuple[FloatArray, IntArray]] = []
    for i, (_, _, rows, strike, quote, at) in enumerate(tables):
        if not np.isfinite(forwards[i]):
            reason[rows[reason[rows] == 0]] = _CODE[Exclusion.NO_FORWARD]
            continue
        scale = math.exp(-rates[i] * taus[i]) * forwards[i]
        columns, used = _select(strike, quote, at, forwards[i], scale, reason)
        if columns.shape[1] < MIN_STRIKES:
            reason[rows[reason[rows] == 0]] = _CODE[Exclusion.TOO_FEW_STRIKES]
            continue
        kept.append(i)
        parts.append((columns, used))
    if not kept:
        raise ValueError(f"chain_quotes has no usable expiry: {_describe(reason)}")
    table = np.concatenate([columns for columns, _ in parts], axis=1)
    k, bid, ask = table
    deviations = implied_deviations(np.concatenate([bid, 0.5 * (bid + ask), ask]), np.tile(k, 3)).reshape(3, -1)
    row = np.concatenate([used for _, used in parts])
    liquid = np.ones(row.shape, np.bool_) if quotes.volume is None else quotes.volume[row] > 0.0
    return PreparedChain(
        labels=np.array([tables[i][1] for i in kept], np.int64),
        tau=taus[kept],
        forward=forwards[kept],
        discount=np.exp(-rates[kept] * taus[kept]),
        offsets=np.r_[0, np.cumsum([used.shape[0] for _, used in parts])].astype(np.int64),
        row=row,
        k=k,
        is_call=quotes.is_call[row],
        bid=bid,
        ask=ask,
        liquid=liquid,
        bid_variance=np.nan_to_num(deviations[0] ** 2, nan=0.0),
        mid_variance=deviations[1] ** 2,
        ask_variance=np.nan_to_num(deviations[2] ** 2, nan=np.inf),
        spot=quotes.spot,
        row_reason=reason,
        forward_from_parity=from_parity[kept],
    )


def _describe(reason: IntArray) -> str:
    counts = Counter(reason[reason > 0].tolist())
    return ", ".join(f"{_REASONS[code - 1]} {count}" for code, count in sorted(counts.items())) or "no rows"


@kernel
def _is_sorted(expiration: IntArray, strike: FloatArray) -> bool:
    for i in range(1, strike.shape[0]):
        if expiration[i] < expiration[i - 1] or (expiration[i] == expiration[i - 1] and strike[i] < strike[i - 1]):
            return False
    return True


@kernel
def _pair_rows(
    strikes: FloatArray, is_call: BoolArray, bids: FloatArray, asks: FloatArray, rows: IntArray, reason: IntArray
) -> tuple[FloatArray, FloatArray, IntArray]:
    """Quotes by strike: columns put bid, put ask, call bid, call ask (NaN where unusable), and the two row numbers. Marks bad rows."""
    n = rows.shape[0]
    strike = np.empty(n)
    quote = np.full((4, n), np.nan)
    at = np.full((2, n), -1)
    count = 0
    for j in range(n):
        row = rows[j]
        if count == 0 or strikes[row] != strike[count - 1]:
            strike[count] = strikes[row]
            count += 1
        side = 1 if is_call[row] else 0
        column = count - 1
        bid, ask = bids[row], asks[row]
        if not (math.isfinite(ask) and ask > 0.0) or not math.isfinite(bid) or bid < 0.0:
            reason[row] = _MISSING
        elif bid == 0.0:
            reason[row] = _ZERO_BID
        elif bid > ask:
            reason[row] = _CROSSED
        elif at[side, column] >= 0:
            reason[row] = _DUPLICATE
        else:
            at[side, column] = row
            quote[2 * side, column] = bid
            quote[2 * side + 1, column] = ask
    return strike[:count].copy(), quote[:, :count].copy(), at[:, :count].copy()


@kernel
def _parity_slope(strike: FloatArray, quote: FloatArray, spot: float) -> tuple[float, float]:
    """Discount factor as minus the slope of call - put on strike, and its standard error; NaN with fewer than three pairs.

    Reweighted least squares (Huber, four rounds), one standard deviation of a pair being a quarter of its summed spreads.
    """
    n = strike.shape[0]
    weight = np.zeros(n)
    y = np.zeros(n)
    deviation = np.ones(n)
    pairs = 0
    for j in range(n):
        if math.isfinite(quote[0, j]) and math.isfinite(quote[2, j]) and abs(math.log(strike[j] / spot)) < 0.7:
            y[j] = 0.5 * (quote[2, j] + quote[3, j] - quote[0, j] - quote[1, j])
            deviation[j] = max(0.25 * (quote[3, j] - quote[2, j] + quote[1, j] - quote[0, j]), 1e-6 * spot)
            weight[j] = 1.0 / deviation[j] ** 2
            pairs += 1
    if pairs < 3:
        return math.nan, math.nan
    slope = 0.0
    error = math.inf
    for _ in range(4):
        total = weight.sum()
        centre = (weight * strike).sum() / total
        level = (weight * y).sum() / total
        spread = (weight * (strike - centre) ** 2).sum()
        if spread <= 0.0:
            return math.nan, math.nan
        slope = (weight * (strike - centre) * (y - level)).sum() / spread
        error = math.sqrt(1.0 / spread)
        for j in range(n):
            if weight[j] > 0.0:
                residual = abs(y[j] - level - slope * (strike[j] - centre)) / deviation[j]
                weight[j] = 1.0 / deviation[j] ** 2 / max(1.0, residual)
    return -slope, error


def _rates(tau: FloatArray, discount: FloatArray, error: FloatArray, given: float | None) -> FloatArray:
    """Continuous rate of each expiry: its own parity slope, shrunk towards the chain's (or the given) rate by their standard errors."""
    usable = np.isfinite(discount) & (discount > 0.0)
    own = np.where(usable, -np.log(np.where(usable, discount, 1.0)) / tau, 0.0)
    usable &= np.abs(own) < _MAX_ABSOLUTE_RATE
    precision = np.where(usable, (np.where(usable, discount, 1.0) * tau / np.where(usable, error, 1.0)) ** 2, 0.0)
    if given is not None:
        centre = given
    elif precision.sum() > 0.0:
        # Weighted median: one expiry with stale quotes must not move the rate of all.
        order = np.argsort(own)
        cumulative = np.cumsum(precision[order])
        centre = float(own[order][np.searchsorted(cumulative, 0.5 * cumulative[-1])])
    else:
        centre = 0.0
    prior = 1.0 / _RATE_PRIOR_DEVIATION**2
    rates: FloatArray = (own * precision + centre * prior) / (precision + prior)
    return rates


def _carry(tau: FloatArray, forward: FloatArray, spot: float, rate: float | None) -> FloatArray:
    """Growth rate of the forward, for expiries without pairs: that of the nearest expiry with one, else the given rate, else NaN."""
    known = np.flatnonzero(np.isfinite(forward))
    if known.size == 0:
        return np.full(tau.shape, np.nan if rate is None else rate)
    nearest = known[np.argmin(np.abs(tau[:, None] - tau[known][None, :]), axis=1)]
    carry: FloatArray = np.log(forward[nearest] / spot) / tau[nearest]
    return carry


@kernel
def _parity_forward(strike: FloatArray, quote: FloatArray, discount: float, spot: float) -> float:
    """Forward from the pairs of one expiry; NaN without a pair."""
    n = strike.shape[0]
    implied = np.zeros(n)
    half = np.zeros(n)
    weight = np.zeros(n)
    pairs = 0
    for j in range(n):
        if math.isfinite(quote[0, j]) and math.isfinite(quote[2, j]):
            implied[j] = strike[j] + 0.5 * (quote[2, j] + quote[3, j] - quote[0, j] - quote[1, j]) / discount
            half[j] = max(0.5 * (quote[3, j] - quote[2, j] + quote[1, j] - quote[0, j]) / discount, 1e-6 * spot)
            weight[j] = 1.0 / half[j] ** 2
            pairs += 1
    if pairs == 0:
        return math.nan
    forward = 0.0
    for _ in range(4):
        forward = (weight * implied).sum() / weight.sum()
        for j in range(n):
            if weight[j] > 0.0:
                weight[j] = 1.0 / half[j] ** 2 / max(1.0, 2.0 * abs(implied[j] - forward) / half[j])
    low, high = 0.0, math.inf
    for j in range(n):
        if weight[j] > 0.0:
            low = max(low, implied[j] - half[j])
            high = min(high, implied[j] + half[j])
    if low <= high:
        # Not onto the very edge of the interval, where a quote would be touched.
        margin = 0.1 * (high - low)
        forward = min(max(forward, low + margin), high - margin)
    return forward if abs(math.log(max(forward, _SMALLEST) / spot)) < _FARTHEST_FORWARD else math.nan


@kernel
def _select(
    strike: FloatArray, quote: FloatArray, at: IntArray, forward: float, scale: float, reason: IntArray
) -> tuple[FloatArray, IntArray]:
    """Out-of-the-money quotes of one expiry, as rows k, bid and ask over `scale`, and their chain rows. Marks the others."""
    n = strike.shape[0]
    out = np.empty((3, n))
    used = np.empty(n, np.int64)
    count = 0
    for j in range(n):
        k = math.log(strike[j] / forward)
        side = 1 if k > 0.0 else 0
        if at[1 - side, j] >= 0:
            reason[at[1 - side, j]] = _IN_THE_MONEY
        row = at[side, j]
        if row < 0:
            continue
        bid = quote[2 * side, j] / scale
        ask = quote[2 * side + 1, j] / scale
        if 0.5 * (bid + ask) >= min(1.0, math.exp(k)):
            reason[row] = _OUTSIDE
            continue
        out[0, count], out[1, count], out[2, count] = k, bid, ask
        used[count] = row
        count += 1
    return out[:, :count].copy(), used[:count].copy()
