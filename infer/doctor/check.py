"""One look at a machine, as `make doctor` reports it."""

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "note", "missing"]


@dataclass(frozen=True, slots=True)
class Check:
    """One look: what was found and, unless all is well, what to do.

    States: "ok"; "note": works, but worth knowing; "missing": needed here and not there.
    """

    name: str
    state: State
    found: str
    fix: str | None = None
