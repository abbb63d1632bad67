"""What a canvas costs."""

import pytest

from detector.geometry import Size
from detector.spec import DetectorSpec, replace
from detector.spec.squeeze import canvas_note, squeeze_note

MENDED = "; a gear for each orientation mends it: --set atc.image_sizes=[[800,1344],[1344,800]] at export"


def on(spec: DetectorSpec, canvas: list[int], **atc: object) -> DetectorSpec:
    image = {**spec.image.model_dump(), "short": 800, "long": 1333}
    return replace(spec, canvas=canvas, image=image, atc=atc)


def test_a_canvas_with_room_is_not_worth_a_word(spec: DetectorSpec):
    for roomy in (on(spec, [1344, 1344]), on(spec, [800, 1344], image_sizes=[[800, 1344], [1344, 800]])):
        assert canvas_note(roomy) is None
        assert squeeze_note({Size(480, 640): 5, Size(640, 480): 5}, roomy) is None
    assert canvas_note(spec) is None  # nothing but the canvas bounds


def test_a_landscape_canvas_is_small_for_portraits(spec: DetectorSpec):
    assert canvas_note(on(spec, [800, 1344])) == (
        "the canvas 800x1344 holds a portrait photograph of 4:3 at 75% of the size at which the training framework "
        "runs it, which costs AP" + MENDED
    )


def test_a_canvas_that_is_small_for_all(spec: DetectorSpec):
    assert canvas_note(on(spec, [400, 672])) == (
        "the canvas 400x672 holds a landscape photograph of 4:3 at 50% and a portrait photograph of 4:3 at 37% of the "
        "size at which the training framework runs it, which costs AP; a larger canvas mends it: "
        "--set canvas=[HEIGHT,WIDTH] at export"
    )


def test_the_remedy_is_a_remedy(spec: DetectorSpec):
    counts = {Size(480, 640): 3, Size(640, 480): 2, Size(480, 480): 1}
    note = squeeze_note(counts, on(spec, [800, 1344]))
    assert note is not None
    assert note.startswith("2 of 6 images lie at 75% of the size")
    assert note.endswith(MENDED)
    assert squeeze_note(counts, on(spec, [800, 1344], image_sizes=[[800, 1344], [1344, 800]])) is None


@pytest.mark.parametrize("canvas", [[600, 600], [600, 1344]])
def test_gears_are_not_named_where_they_do_not_mend(spec: DetectorSpec, canvas: list[int]):
    note = squeeze_note({Size(480, 640): 1}, on(spec, canvas))
    assert note is not None
    assert "a larger canvas mends it" in note
