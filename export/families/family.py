"""The record that says everything about a detector family."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, NamedTuple

from detector.spec import FamilyName
from detector.spec.decode import DecodeSpec
from export.network.config import Network
from export.network.fpn import Fpn
from export.network.resnet import ResNet
from export.network.tower import Head


class Anchors(NamedTuple):
    """Scales and ratios, and in words how many anchors that are per cell."""

    scales: tuple[float, ...]
    ratios: tuple[float, ...]
    said: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """A kind of detector.

    Attributes:
        name: as `DetectorSpec.detector` spells it.
        title: as its paper calls it.
        network: its facts: what a file, a framework's code or the user must tell.
        head: of such a network and of thresholds.
        backbones: that it may stand on; a file has the one whose `signature` is among its tensors.
        necks: the same.
        anchors: those of its published models; None: it has none.
    """

    name: FamilyName
    title: str
    network: type[Network]
    head: Callable[[Any, DecodeSpec], Head]
    backbones: tuple[type[ResNet], ...] = (ResNet,)
    necks: tuple[type[Fpn], ...] = (Fpn,)
    anchors: Anchors | None = None

    def stands_on(self, names: Collection[str]) -> tuple[type[ResNet], type[Fpn]]:
        """Backbone and neck of a file with these canonical names; the first of each where none is told."""
        backbone = next((part for part in self.backbones if part.signature in names), self.backbones[0])
        return backbone, next((part for part in self.necks if part.signature in names), self.necks[0])
