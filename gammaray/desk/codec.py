"""Events as journal entries: canonical JSON of their fields, in the order in which the dataclass declares them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from enum import Enum
from functools import cache
from types import UnionType
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import orjson

from gammaray.desk import events
from gammaray.desk.events import Event

_KINDS: dict[str, type] = {kind.__name__: kind for kind in get_args(events.Event)}

T = TypeVar("T")


def encode(event: Event) -> tuple[str, bytes]:
    """The kind and the payload of an event."""
    return type(event).__name__, dump(event)


def decode(kind: str, payload: bytes) -> Event:
    """The event of a journal entry. Raises ValueError for an unknown kind or a payload that does not fit it."""
    if kind not in _KINDS:
        raise ValueError(f"kind: no event is called {kind!r}")
    return cast(Event, load(_KINDS[kind], payload))


def dump(value: object) -> bytes:
    """Canonical JSON of a dataclass. NaN becomes null."""
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)


def load(kind: type[T], payload: bytes) -> T:
    """The dataclass of a JSON text. Raises ValueError when it does not fit."""
    try:
        return cast(T, _decoder(cast(Any, kind))(orjson.loads(payload)))
    except (TypeError, KeyError, ValueError) as error:
        raise ValueError(f"payload: not a {kind.__name__}: {error}") from error


@cache
def _decoder(hint: Any) -> Callable[[Any], Any]:
    """How to build a value of a declared type from parsed JSON."""
    origin = get_origin(hint)
    if origin in (tuple, list):
        item = _decoder(get_args(hint)[0])
        return lambda value: origin(item(one) for one in value)
    if origin is dict:
        inner = _decoder(get_args(hint)[1])
        return lambda value: {key: inner(one) for key, one in value.items()}
    if origin in (UnionType, Union):
        inner = _decoder(next(one for one in get_args(hint) if one is not type(None)))
        return lambda value: None if value is None else inner(value)
    if isinstance(hint, type) and hasattr(hint, "__dataclass_fields__"):
        hints = get_type_hints(hint)
        readers = [(field.name, _decoder(hints[field.name])) for field in fields(hint)]
        return lambda value: hint(**{name: read(value[name]) for name, read in readers})
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint
    if hint is float:
        return lambda value: float("nan") if value is None else float(value)
    return lambda value: value
