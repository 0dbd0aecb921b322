"""Same seed, same inputs: same bytes on every stream and in the state."""

from __future__ import annotations

import json
from datetime import date

import httpx
import msgpack
from websockets.sync.client import connect

from gammaray.venues.simulated.admin_client import AdminClient
from gammaray.venues.simulated.server import VenueServer, VenueSettings
from gammaray.venues.simulated.wire.auth import DEFAULT_KEY_ID as KEY
from gammaray.venues.simulated.wire.auth import DEFAULT_SECRET_KEY as SECRET

HEADERS = {"APCA-API-KEY-ID": KEY, "APCA-API-SECRET-KEY": SECRET}
STEPS = 5


def run(seed: int, order_qty: int) -> tuple[bytes, bytes, list[bytes], str]:
    """(option quotes, trade updates, REST answers, digest of the state) of a short session."""
    options = VenueSettings(first=date(2018, 1, 29), last=date(2018, 1, 30), seed=seed)
    with VenueServer(options) as server, AdminClient(server.url) as admin:
        origin = f"ws{server.url[4:]}"
        admin.step()
        symbols = sorted(row.contract.symbol for row in server.service.exchange.listed("SPY"))
        with (
            httpx.Client(base_url=server.url, headers=HEADERS, trust_env=False, timeout=60) as http,
            connect(
                f"{origin}/v1beta1/indicative", additional_headers={"Content-Type": "application/msgpack"}, proxy=None
            ) as quotes,
            connect(f"{origin}/stream", proxy=None) as updates,
        ):
            quotes.recv(20)
            quotes.send(msgpack.packb({"action": "auth", "key": KEY, "secret": SECRET}))
            quotes.recv(20)
            quotes.send(msgpack.packb({"action": "subscribe", "quotes": symbols}))
            quotes.recv(20)
            updates.send(json.dumps({"action": "auth", "key": KEY, "secret": SECRET}))
            updates.recv(20)
            updates.send(json.dumps({"action": "listen", "data": {"streams": ["trade_updates"]}}))
            updates.recv(20)
            answers = []
            addressed = 0
            for i in range(STEPS):
                body = {"symbol": "SPY", "qty": order_qty + i, "side": "buy", "type": "market", "time_in_force": "day"}
                answers.append(http.post("/v2/orders", json=body).content)
                addressed += admin.step().total_addressed()["SPY"]
            last = admin.barrier()[1]
            heard_quotes, heard_updates = [], []
            seen = 0
            while seen < addressed:
                frame = quotes.recv(20)
                assert isinstance(frame, bytes)
                heard_quotes.append(frame)
                seen += len(msgpack.unpackb(frame))
            while not heard_updates or json.loads(heard_updates[-1])["data"]["event_id"] != str(last):
                update = updates.recv(20)
                assert isinstance(update, bytes)
                heard_updates.append(update)
            answers.append(http.get("/v2/account").content)
            return b"".join(heard_quotes), b"".join(heard_updates), answers, admin.snapshot()


def test_same_seed_and_inputs_give_the_same_bytes() -> None:
    assert run(3, 1) == run(3, 1)


def test_another_seed_gives_another_market_and_other_orders_do_not_move_it() -> None:
    first, other_seed, other_orders = run(3, 1), run(4, 1), run(3, 2)
    assert first[0] != other_seed[0]
    assert first[0] == other_orders[0]
    assert first[3] != other_orders[3]
