import pytest

from detector.errors import SpecError
from detector.geometry import Size
from detector.spec import DetectorSpec, replace
from infer.contract.gears import Gears, gears_of, settle_gear
from infer.contract.options import Options

BATCHES = Gears("input", batches=(1, 4, 8))
IMAGES = Gears("input", images=(Size(800, 1344), Size(1344, 800)))
SHAPES = Gears("input", shapes=((1, 3, 800, 1344), (4, 3, 800, 1344), (1, 3, 1344, 800)))


def asked(**given: object) -> Options:
    return Options(model="m.om", **given)  # type: ignore[arg-type]


def test_the_spec_of_an_om_says_its_gears(spec: DetectorSpec):
    assert gears_of(spec) == Gears("input")
    assert not gears_of(spec)
    atc = spec.atc.model_dump()
    assert gears_of(replace(spec, atc={**atc, "batch_sizes": (1, 4, 8)})) == BATCHES
    assert gears_of(replace(spec, atc={**atc, "image_sizes": ((800, 1344), (1344, 800))})) == IMAGES
    dims = ((1, 800, 1344), (4, 800, 1344), (1, 1344, 800))
    assert gears_of(replace(spec, atc={**atc, "dims": dims})) == SHAPES


def test_the_canvases_are_those_of_all_gears():
    assert BATCHES.canvases == frozenset()
    assert IMAGES.canvases == SHAPES.canvases == {Size(800, 1344), Size(1344, 800)}


def test_without_a_batch_the_largest_gear_is_set():
    assert settle_gear(asked(), BATCHES, None).dym_batch == 8


@pytest.mark.parametrize("canvas", [Size(800, 1344), Size(1344, 800)])
def test_the_bins_choose_the_image_gear(canvas: Size):
    assert settle_gear(asked(), IMAGES, canvas).dym_hw == f"{canvas.height},{canvas.width}"


def test_the_bins_choose_the_largest_batch_of_their_size():
    assert settle_gear(asked(), SHAPES, Size(800, 1344)).dym_dims == "input:4,3,800,1344"
    assert settle_gear(asked(), SHAPES, Size(1344, 800)).dym_dims == "input:1,3,1344,800"


@pytest.mark.parametrize(
    ("gears", "given"),
    [(BATCHES, {"dym_batch": 4}), (IMAGES, {"dym_hw": "1344,800"}), (SHAPES, {"dym_dims": "input:1,3,800,1344"})],
)
def test_a_gear_of_the_om_is_kept(gears: Gears, given: dict[str, object]):
    options = asked(**given)
    assert settle_gear(options, gears, None) is options


@pytest.mark.parametrize(
    ("gears", "given", "message"),
    [
        (BATCHES, {"dym_batch": 2}, r"--dymBatch 2 is no gear of m\.om, give one that it has: --dymBatch 1 \| 4 \| 8"),
        (BATCHES, {"dym_hw": "800,1344"}, r"--dymHW 800,1344 is no gear of .*: --dymBatch 1 \| 4 \| 8"),
        (IMAGES, {"dym_hw": "800,1333"}, r"--dymHW 800,1333 is no gear of .*: --dymHW 800,1344 \| 1344,800"),
        (SHAPES, {"dym_dims": "input:2,3,800,1344"}, r"is no gear of .*: --dymDims input:1,3,800,1344 \| "),
        (BATCHES, {"dym_batch": 4, "dym_hw": "1,1"}, "--dymBatch 4 --dymHW 1,1 is no gear"),
    ],
)
def test_another_gear_is_refused_with_those_that_there_are(gears: Gears, given: dict[str, object], message: str):
    with pytest.raises(SpecError, match=message):
        settle_gear(asked(**given), gears, None)


@pytest.mark.parametrize("canvas", [None, Size(640, 640)])
@pytest.mark.parametrize("gears", [IMAGES, SHAPES])
def test_bins_that_fit_no_gear_are_not_guessed_about(gears: Gears, canvas: Size | None):
    with pytest.raises(SpecError, match=r"no gear of m\.om is known to fit bins .*, give one: --dym"):
        settle_gear(asked(), gears, canvas)


def test_an_om_of_one_shape_takes_no_gear():
    options = asked()
    assert settle_gear(options, Gears("input"), None) is options


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"dym_batch": 4}, "--dymBatch"),
        ({"dym_hw": "800,1344"}, "--dymHW"),
        ({"dym_dims": "input:1,3,8,8"}, "--dymDims"),
        ({"dym_shape": "input:1,3,8,8"}, "--dymShape"),
        ({"auto_set_dymdims_mode": True}, "--auto_set_dymdims_mode"),
        ({"auto_set_dymshape_mode": True}, "--auto_set_dymshape_mode"),
        ({"dym_shape_range": "input:1~4"}, "--dymShape_range"),
    ],
)
def test_an_om_of_one_shape_takes_no_other(given: dict[str, object], name: str):
    with pytest.raises(SpecError, match=rf"{name} is for an OM with gears, and m\.om\.json says .* single shape"):
        settle_gear(asked(**given), Gears("input"), None)


def test_dims_that_follow_the_files_need_no_gear():
    options = asked(auto_set_dymdims_mode=True)
    assert settle_gear(options, SHAPES, None) is options


@pytest.mark.parametrize(
    ("gears", "given"),
    [
        (BATCHES, {"auto_set_dymdims_mode": True}),
        (IMAGES, {"auto_set_dymdims_mode": True}),
        (SHAPES, {"auto_set_dymshape_mode": True}),
        (SHAPES, {"dym_shape_range": "input:1~4"}),
    ],
)
def test_shapes_cannot_follow_the_files_where_aclruntime_refuses(gears: Gears, given: dict[str, object]):
    name = "dymShape_range" if "dym_shape_range" in given else next(iter(given))
    with pytest.raises(SpecError, match=rf"--{name} does not fit the gears of m\.om, give one of them: --dym"):
        settle_gear(asked(**given), gears, None)


@pytest.mark.parametrize(
    ("gears", "given"), [(IMAGES, {"dym_hw": "800,1344"}), (SHAPES, {"dym_dims": "input:4,3,800,1344"})]
)
def test_a_gear_of_as_many_bytes_on_another_canvas_is_refused(gears: Gears, given: dict[str, str]):
    with pytest.raises(SpecError, match=r"the bins are of 1344x800, the gear .* is of 800x1344"):
        settle_gear(asked(**given), gears, Size(1344, 800))
    for canvas in (Size(800, 1344), None):
        assert settle_gear(asked(**given), gears, canvas) == asked(**given)


def test_the_batch_of_a_canvas():
    assert BATCHES.batch_size(Size(800, 1344)) == 8
    assert IMAGES.batch_size(Size(800, 1344)) is None
    assert [SHAPES.batch_size(canvas) for canvas in (Size(800, 1344), Size(1344, 800))] == [4, 1]
