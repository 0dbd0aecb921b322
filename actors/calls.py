"""Calls to actors that may be restarting: waits for them to come back, and says so when they do not."""

from __future__ import annotations

import re
import time
from typing import Any

import ray
from ray.actor import ActorHandle
from ray.exceptions import ActorDiedError, ActorUnavailableError, RayTaskError

from gammaray.operations.errors import MustHalt, RetryLater

RESTART_TIMEOUT_S = 60.0
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def find(name: str, namespace: str) -> ActorHandle:
    """The actor of a name. Raises RetryLater when there is none."""
    try:
        return ray.get_actor(name, namespace=namespace)
    except ValueError:
        raise RetryLater(f"no actor named {name} in namespace {namespace}") from None


def call(name: str, namespace: str, method: str, *args: Any, timeout_s: float = RESTART_TIMEOUT_S) -> Any:
    """Call an idempotent method of a named actor and wait for its result, again after a restart or a replacement of the actor.

    Raises the method's own exception, RetryLater when the actor is not back within `timeout_s`, MustHalt when its constructor failed.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            return ray.get(getattr(find(name, namespace), method).remote(*args))
        except (ActorUnavailableError, ActorDiedError, RetryLater) as error:
            if isinstance(error, ActorDiedError) and "creation task" in str(error):
                raise MustHalt(f"{name}: the actor could not be created: {last_line(error)}") from error
            if time.monotonic() > deadline:
                raise RetryLater(f"{name}.{method}: no answer within {timeout_s:.0f} s: {last_line(error)}") from error
            time.sleep(0.5)
        except RayTaskError as error:
            if isinstance(error.cause, Exception):
                raise error.cause from None
            raise


def last_line(error: Exception) -> str:
    """Kind and last line of an error: Ray puts a whole remote traceback, with colours, into the text."""
    cause = error.cause if isinstance(error, RayTaskError) and isinstance(error.cause, Exception) else error
    lines = [line.strip() for line in _COLOUR.sub("", str(cause)).splitlines() if line.strip()]
    return f"{type(cause).__name__}: {lines[-1] if lines else ''}"
