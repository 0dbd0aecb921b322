"""One exception tree, grouped by what the operator must do.

GammaRayError
├── RetryLater            nothing to do: the caller tries again (a remote is away, a store is busy)
├── MustReduce            trading goes on with orders that reduce risk only
├── MustHalt              trading stops until a person has looked
├── ConfigurationError    a setting, key or file must be corrected
└── BadInput              the caller sent something that cannot be served; names the field
"""

from __future__ import annotations


class GammaRayError(Exception):
    """Root of every error that GammaRay raises on purpose."""


class RetryLater(GammaRayError):
    """A remote or store did not answer; the same call may succeed later."""


class MustReduce(GammaRayError):
    """State is uncertain in a way that forbids new risk."""


class MustHalt(GammaRayError):
    """State is wrong in a way that forbids trading; only a person resumes it."""


class ConfigurationError(GammaRayError):
    """A setting is missing or wrong; the message names it."""


class BadInput(GammaRayError):
    """A request that cannot be served. `field` is its JSON path."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem

    def __reduce__(self) -> tuple[type[BadInput], tuple[str, str]]:
        # Errors travel between processes; the default would call the constructor with the message alone.
        return type(self), (self.field, self.problem)
