"""Detector families: a file each, called as in `detector.spec.FamilyName`, with a record `FAMILY`."""

from importlib import import_module
from typing import Final, get_args

from detector.errors import SpecError
from detector.spec import FamilyName
from export.families.family import Family
from export.network.config import Network

FAMILIES: Final[tuple[Family, ...]] = tuple(
    import_module(f"export.families.{name}").FAMILY for name in get_args(FamilyName)
)


def family_of(kind: type[Network]) -> Family:
    """The family that a kind of network belongs to.

    Raises:
        SpecError: none, so that no spec can name it.
    """
    found = next((family for family in FAMILIES if family.network is kind), None)
    if found is None:
        raise SpecError(
            f"networks of the kind {kind.__name__} have no name in a spec (known: {', '.join(get_args(FamilyName))}): "
            "see docs/new_dialect.md, A detector family"
        )
    return found
