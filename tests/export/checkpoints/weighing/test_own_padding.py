from typing import Any

import pytest

from detector.geometry import Size
from export.checkpoints.dialects.mmdet.config_text import parse_config
from export.checkpoints.dialects.mmdet.recipe import read_recipe
from export.checkpoints.weighing.own_padding import OwnPadding
from export.families.fcos import FAMILY

CANVAS = Size(320, 320)


def phrases(*, canvas: Size = CANVAS, stretch: Size | None = None, group_norm: bool = False, **own: Any) -> list[str]:
    return OwnPadding("key=1", **own).difference("the file's config", canvas, stretch, group_norm=group_norm)


@pytest.mark.parametrize(
    ("own", "rule"),
    [
        ({"divisors": (32,)}, "to multiples of 32 only"),
        ({"divisors": (32, 128)}, "to multiples of 32 and to multiples of 128 only"),
        ({"divisors": (1,)}, "not at all"),
        ({}, "not at all"),
        ({"least": (320, 256)}, "to 320x256 only"),
        ({"least": (320, 256), "divisors": (32,)}, "to 320x256 and to multiples of 32 only"),
    ],
)
def test_padding_short_of_the_canvas_is_named(own: dict[str, Any], rule: str):
    start = f"each image is padded to the canvas 320x320, by the file's config {rule} (key=1): "
    assert phrases(**own) == [start + "scores near its edge move a little"]
    (text,) = phrases(**own, group_norm=True)
    assert text.endswith(", and all of them by group normalization, which averages over the padding")
    (text,) = phrases(**own, moves_points=True)
    assert text.endswith(
        "a little; so do boxes of P6 and P7, whose cells lie the padded side divided by their number apart"
    )


@pytest.mark.parametrize(
    "own",
    [
        {"divisors": (320,)},
        {"divisors": (640,)},
        {"least": (320, 320)},
        {"least": (300, 310), "divisors": (32,)},
        {"stretch": Size(290, 320), "divisors": (32,)},
        {"stretch": Size(320, 320)},
    ],
)
def test_every_image_that_reaches_the_canvas_is_silent(own: dict[str, Any]):
    assert phrases(**own) == []


def test_a_larger_canvas_makes_the_difference():
    assert phrases(canvas=Size(320, 352), stretch=Size(320, 320), divisors=(32,)) != []


RESIZE = "dict(type='Resize', scale=(320, 320), keep_ratio=True)"


@pytest.mark.parametrize(
    ("processor", "pad", "said_by", "silent"),
    [
        ("pad_size_divisor=32", "", "data_preprocessor.pad_size_divisor=32", False),
        ("pad_size_divisor=320", "", "data_preprocessor.pad_size_divisor=320", True),
        ("", "", "data_preprocessor without pad_size_divisor", False),
        ("", "size_divisor=32", "Pad.size_divisor=32", False),
        ("pad_size_divisor=64", "size_divisor=32", "Pad.size_divisor=32, data_preprocessor.pad_size_divisor=64", False),
        ("", "size=(320, 320)", "Pad.size=(320, 320)", True),
        ("", "pad_to_square=True", "Pad.pad_to_square=True", True),
    ],
)
def test_what_mmdetection_pads_to(processor: str, pad: str, said_by: str, silent: bool):
    steps = f"{RESIZE}, dict(type='Pad', {pad})" if pad else RESIZE
    text = f"model = dict(data_preprocessor=dict({processor}))\ntest_pipeline = [{steps}]"
    own = read_recipe(parse_config(text), FAMILY, background=False, legacy=False).own_padding
    assert own is not None
    assert own.said_by == said_by
    assert (own.difference("x", CANVAS, None, group_norm=True) == []) == silent


def test_padding_of_2x_and_padding_that_could_not_be_read():
    text = "model = dict()\ndata = dict(test=dict(pipeline=[dict(type='Resize', img_scale=(320, 320)){}]))"
    plain, square, unread = (
        read_recipe(parse_config(text.format(pad)), FAMILY, background=False, legacy=False).own_padding
        for pad in ("", ", dict(type='Pad', size_divisor=32)", ", dict(type='Pad', size_divisor=f())")
    )
    assert plain == OwnPadding("no step Pad in its pipeline")
    assert square == OwnPadding("Pad.size_divisor=32", (32,))
    assert unread is None  # which is named as not read
