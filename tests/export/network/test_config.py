import dataclasses
import math

import pytest

from detector.errors import SpecError
from detector.spec.decode import DecodeSpec
from export.checkpoints.weighing.recipe import Recipe
from export.checkpoints.weighing.weights import Weights
from export.families import family_of
from export.families.fcos import FcosNetwork
from export.families.retinanet import RetinaNetwork
from export.network.config import Network
from export.network.detector import Detector
from tests.export.networks import SMALL, SMALL_RETINANET


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -1e-9, 1e9])
@pytest.mark.parametrize(
    ("network", "name"),
    [
        (SMALL, "bn_eps"),
        (SMALL, "point_offset"),
        (SMALL_RETINANET, "anchor_scales"),
        (SMALL_RETINANET, "anchor_ratios"),
    ],
)
def test_numbers_that_no_detector_has_are_refused(network: Network, name: str, value: float):
    wrong = (1.0, value) if isinstance(getattr(network, name), tuple) else value
    with pytest.raises(ValueError, match=rf"{name} must be from .* to .*, got .*{value}"):
        dataclasses.replace(network, **{name: wrong})


@pytest.mark.parametrize("value", [0, -8, 10**9, 10**400])
def test_absurd_strides_are_refused(value: int):
    with pytest.raises(ValueError, match=r"strides must be from 1 to 4096, got 8,"):
        dataclasses.replace(SMALL, strides=(8, 16, 32, 64, value))


def test_what_frameworks_have_is_taken():
    for eps in (0.0, 1e-5, 1e-3, 0.01):
        assert dataclasses.replace(SMALL, bn_eps=eps).bn_eps == eps
    assert dataclasses.replace(SMALL, point_offset=0.0).point_offset == 0


def test_families_have_names():
    assert family_of(FcosNetwork).name == "fcos"
    assert family_of(RetinaNetwork).name == "retinanet"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PaaNetwork(RetinaNetwork):
    """A family that nobody has named."""


def test_a_family_without_a_name_is_not_called_by_another_ones():
    network = PaaNetwork(
        **{field.name: getattr(SMALL_RETINANET, field.name) for field in dataclasses.fields(RetinaNetwork)}
    )
    with pytest.raises(SpecError, match=r"networks of the kind PaaNetwork have no name in a spec \(known: fcos, ret"):
        _ = Weights("mmdet", {}, network, {}, None, Recipe({}, {}, "")).detector


def test_a_family_without_a_head_is_refused():
    plain = Network(**{field.name: getattr(SMALL, field.name) for field in dataclasses.fields(Network)})
    with pytest.raises(SpecError, match="networks of the kind Network have no name in a spec"):
        Detector(plain, DecodeSpec())
