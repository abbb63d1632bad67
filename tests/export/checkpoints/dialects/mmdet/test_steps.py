"""Steps of mmdetection's test pipelines as settings of the spec; genuine 3.x is held in test_mmdet_pipelines."""

from typing import Any

import pytest

from export.checkpoints.dialects.mmdet.config_text import parse_config
from export.checkpoints.dialects.mmdet.recipe import read_recipe
from export.checkpoints.weighing.recipe import Recipe
from export.families.fcos import FAMILY

NORM = "dict(type='Normalize', mean=[3.0, 2.0, 1.0], std=[4.0, 5.0, 6.0], to_rgb=True)"
RESIZE = "dict(type='Resize', img_scale=(1333, 800), keep_ratio=True)"


def recipe_of(*steps: str, more: str = "") -> Recipe:
    """The recipe of a 2.x config."""
    pipeline = ", ".join(["dict(type='LoadImageFromFile')", *steps])
    text = f"model = dict(type='FCOS')\ndata = dict(test=dict(type='CocoDataset', pipeline=[{pipeline}]))\n{more}"
    return read_recipe(parse_config(text), FAMILY, background=False, legacy=False)


@pytest.mark.parametrize(
    ("pad", "expected"),
    [
        ("dict(type='Pad', size_divisor=32)", {"padding": "zero"}),
        ("dict(type='Pad', size_divisor=32, pad_val=0)", {"padding": "zero"}),
        ("dict(type='Pad', size_divisor=32, pad_val=dict(img=0, seg=255))", {"padding": "zero"}),
        # mmcv 1.x hands a number to cv2 as it is, which takes it for the first channel.
        ("dict(type='Pad', size_divisor=32, pad_val=114)", {"padding": "value", "padding_value": (114, 0, 0)}),
        ("dict(type='Pad', size_divisor=32, pad_val=dict(img=7))", {"padding": "value", "padding_value": (7, 0, 0)}),
        (
            "dict(type='Pad', size_divisor=32, pad_val=dict(img=(1, 2, 3)))",
            {"padding": "value", "padding_value": (1, 2, 3)},
        ),
    ],
)
def test_padding_after_normalization_is_a_value_of_the_tensor(pad: str, expected: dict[str, Any]):
    recipe = recipe_of(RESIZE, NORM, pad)
    assert {name: value for name, value in recipe.image.items() if name.startswith("padding")} == expected
    assert len(recipe.notes) == (expected != {"padding": "zero"})
    assert "clip_to_image" not in recipe.decode


@pytest.mark.parametrize(
    ("pad", "expected"),
    [
        ("dict(type='Pad', size_divisor=32)", {"padding": "black"}),
        # Given as BGR, kept in the order of the tensor.
        (
            "dict(type='Pad', size_divisor=32, pad_val=dict(img=(1, 2, 3)))",
            {"padding": "pixel", "padding_value": (3, 2, 1)},
        ),
        ("dict(type='Pad', size_divisor=32, pad_val=114)", {"padding": "pixel", "padding_value": (0, 0, 114)}),
    ],
)
def test_padding_before_normalization_is_a_colour(pad: str, expected: dict[str, Any]):
    recipe = recipe_of(RESIZE, pad, NORM)
    assert {name: value for name, value in recipe.image.items() if name.startswith("padding")} == expected


def test_swaps_cancel_each_other():
    rgb = recipe_of(RESIZE, NORM).image
    assert (rgb["channels"], rgb["mean"], rgb["std"]) == ("RGB", (3, 2, 1), (4, 5, 6))
    text = f"{RESIZE}, {NORM}"
    loaded = read_recipe(
        parse_config(
            "model = dict()\ndata = dict(test=dict(pipeline=["
            f"dict(type='LoadImageFromFile', channel_order='rgb'), {text}]))"
        ),
        FAMILY,
        background=False,
        legacy=False,
    )
    assert (loaded.image["channels"], loaded.image["mean"]) == ("BGR", (3, 2, 1))


def test_sizes_of_2x():
    within = "dict(type='MultiScaleFlipAug', img_scale={}, flip=False, transforms=[{}, dict(type='RandomFlip'), {}])"
    kept = "dict(type='Resize', keep_ratio=True)"
    for scale in ("(1333, 800)", "[(1333, 800)]", "(800, 1333)"):
        image = recipe_of(within.format(scale, kept, NORM)).image
        assert (image["short"], image["long"]) == (800, 1333), scale
    # The default of 2.x keeps the ratio, that of 3.x does not.
    assert recipe_of(within.format("(640, 512)", "dict(type='Resize')", NORM)).image["short"] == 512
    stretched = recipe_of(within.format("(640, 512)", "dict(type='Resize', keep_ratio=False)", NORM))
    assert stretched.image["stretch"] == (512, 640)
    assert "short" not in stretched.image


@pytest.mark.parametrize("value", ["0", "None", "False"])
def test_a_ratio_is_kept_where_the_flag_is_true_to_python(value: str):
    assert recipe_of(f"dict(type='Resize', img_scale=(640, 512), keep_ratio={value})").image["stretch"] == (512, 640)
    assert recipe_of("dict(type='Resize', img_scale=(640, 512), keep_ratio=1)").image["short"] == 512


def test_steps_within_steps_and_sides_that_are_whole():
    assert recipe_of(f"dict(type='Compose', transforms=[{RESIZE}, {NORM}])").image == recipe_of(RESIZE, NORM).image
    assert recipe_of(RESIZE.replace("1333", "1333.0")).image == recipe_of(RESIZE).image


def test_padding_to_multiples_decides_the_canvas():
    assert recipe_of(RESIZE, NORM, "dict(type='Pad', size_divisor=128)").canvas == (896, 1408)
    assert recipe_of(RESIZE, NORM).canvas == (800, 1333)
    model = "model = dict(data_preprocessor=dict(pad_size_divisor=320))"
    text = f"{model}\ntest_pipeline = [dict(type='Resize', scale=(320, 256))]"
    recipe = read_recipe(parse_config(text), FAMILY, background=False, legacy=False)
    assert (recipe.image["stretch"], recipe.canvas) == ((256, 320), (320, 320))


def test_pad_decides_the_canvas():
    assert recipe_of(RESIZE, NORM, "dict(type='Pad', size=(896, 1344))").canvas == (896, 1344)
    assert recipe_of(RESIZE, NORM, "dict(type='Pad', pad_to_square=True)").canvas == (1333, 1333)
    assert recipe_of(RESIZE, NORM, "dict(type='Pad', pad_to_square=1)").canvas == (1333, 1333)


AUGMENTED = (
    "dict(type='MultiScaleFlipAug', img_scale=[(1333, 800), (2000, 1200)], flip=True, "
    "transforms=[dict(type='Resize', keep_ratio=True), dict(type='RandomFlip'), " + NORM + "])"
)


@pytest.mark.parametrize(
    ("steps", "notes"),
    [
        ((RESIZE, "dict(type='Albu', transforms=[])", NORM), ["the test pipeline's step Albu is not run"]),
        (
            (RESIZE, "dict(type='mmdet.EqualizeTransform')", NORM),
            ["the test pipeline's step EqualizeTransform is not run"],
        ),
        (
            (AUGMENTED,),
            [
                "MultiScaleFlipAug of the test pipeline: flip=True is not honoured",
                "test-time augmentation at 2 scales is not run, the first scale is taken",
            ],
        ),
        (
            (RESIZE, "dict(type='RandomFlip', flip_ratio=0.5)", NORM),
            ["RandomFlip of the test pipeline: flip_ratio=0.5 is not honoured"],
        ),
        ((NORM, RESIZE), ["Normalize comes before Resize in the test pipeline, here after it"]),
        (
            ("dict(type='Resize', img_scale=[(1333, 640), (1333, 800)])", NORM),
            ["Resize of the test pipeline: img_scale=[(1333, 640), (1333, 800)] is not honoured"],
        ),
        (
            ("dict(type='Resize', img_scale=[1333, 800])", NORM),
            ["img_scale=[1333, 800] of the test pipeline is a list, which mmdetection refuses, here it is the pair"],
        ),
        (
            ("dict(type='Resize', img_scale=(1333, 800), interpolation='magic')", NORM),
            ["Resize of the test pipeline: backend='cv2', interpolation='magic' is not honoured"],
        ),
        (
            (RESIZE, "dict(type='Pad', size_divisor=32, pad_val=dict(img=(1, 2)))", NORM),
            ["padding with (1, 2) is not honoured"],
        ),
        (
            (RESIZE, "dict(type='Pad', size_divisor=32, pad_val=dict(img=(1e999, 0, 0)))", NORM),
            ["padding with (inf, 0, 0) is not honoured"],
        ),
        (
            (RESIZE, NORM, "dict(type='Pad', **padding)"),
            ["settings of Pad of the test pipeline that its config computes"],
        ),
        ((RESIZE, NORM, "made_elsewhere()"), ["the test pipeline's step that its config computes is not run"]),
    ],
)
def test_what_is_not_honoured_is_named(steps: tuple[str, ...], notes: list[str]):
    found = recipe_of(*steps).notes
    assert len(found) == len(notes)
    for note, expected in zip(found, notes, strict=True):
        assert note.startswith(expected)


@pytest.mark.parametrize(
    ("loader", "note"),
    [
        ("color_type='grayscale'", "LoadImageFromFile of the test pipeline: color_type='grayscale' is not honoured"),
        ("imdecode_backend='pillow'", "imdecode_backend='pillow' is not honoured"),
        ("to_float32=True", "to_float32=True is not honoured"),
    ],
)
def test_loaders_are_those_of_cv2(loader: str, note: str):
    text = f"model = dict()\ntest_pipeline = [dict(type='LoadImageFromFile', {loader}), {RESIZE}, {NORM}]"
    recipe = read_recipe(parse_config(text), FAMILY, background=False, legacy=False)
    assert len(recipe.notes) == 1
    assert note in recipe.notes[0]


def test_the_orientation_may_be_ignored():
    load = "dict(type='LoadImageFromFile', color_type='color_ignore_orientation')"
    text = f"model = dict()\ntest_pipeline = [{load}, {RESIZE}, {NORM}]"
    recipe = read_recipe(parse_config(text), FAMILY, background=False, legacy=False)
    assert (recipe.image["exif"], recipe.notes) == ("ignored", ())
    assert "exif" not in recipe_of(RESIZE, NORM).image


def test_a_pipeline_that_does_not_normalize_feeds_pixels():
    image = recipe_of(RESIZE, "dict(type='ImageToTensor', keys=['img'])").image
    assert (image["channels"], image["mean"], image["std"]) == ("BGR", (0, 0, 0), (1, 1, 1))
    # A leftover variable is not what runs; a step that is not known here may be what normalizes.
    leftover = recipe_of(RESIZE, "dict(type='MyNormalize')", more="img_norm_cfg = dict(mean=[1, 2, 3], std=[1, 1, 1])")
    assert "mean" not in leftover.image
    assert leftover.notes == ("the test pipeline's step MyNormalize is not run",)


def test_settings_of_0x_have_no_pipeline():
    text = (
        "model = dict()\ndata = dict(test=dict(img_scale=(1000, 600), size_divisor=32, "
        "img_norm_cfg=dict(mean=[1, 2, 3], std=[1, 1, 1], to_rgb=False)))"
    )
    image = read_recipe(parse_config(text), FAMILY, background=False, legacy=False).image
    assert (image["short"], image["long"]) == (600, 1000)
    assert (image["channels"], image["mean"]) == ("BGR", (1, 2, 3))


@pytest.mark.parametrize(
    ("settings", "note"),
    [
        ("type='BatchResize', pad_value=0", "the data preprocessor is 'BatchResize', here the usual one"),
        ("type='DetDataPreprocessor', made_up=1", "data_preprocessor: made_up=1 is not honoured"),
        ("type='DetDataPreprocessor', pad_value=fill()", "data_preprocessor: pad_value is computed by its config"),
    ],
)
def test_preprocessors_that_are_not_understood_are_named(settings: str, note: str):
    text = f"model = dict(data_preprocessor=dict({settings}))"
    notes = read_recipe(parse_config(text), FAMILY, background=False, legacy=False).notes
    assert any(line.startswith(note) for line in notes), notes


def test_the_preprocessor_may_stand_beside_the_model_and_tta_is_not_run():
    text = "model = dict()\ndata_preprocessor = dict(mean=[1, 2, 3], std=[4, 5, 6])\ntta_pipeline = []"
    recipe = read_recipe(parse_config(text), FAMILY, background=False, legacy=False)
    assert (recipe.image["channels"], recipe.image["mean"]) == ("BGR", (1, 2, 3))
    assert recipe.notes == ("tta_pipeline, which mmdetection runs with --tta only, is not run",)


@pytest.mark.parametrize(
    ("step", "why"),
    [
        ("dict(type='Resize', scale_factor=0.5)", "has Resize(scale_factor=0.5), of which no size is read"),
        (
            "dict(type='mmcv.RandomResize', scale=(1, 2), ratio_range=(1, 2))",
            "has mmcv.RandomResize(scale=(1, 2), ratio_range=(1, 2)), of which no size is read",
        ),
        ("dict(type='Resize', img_scale=[(9, 8), (7, 6)])", "has Resize(img_scale=[(9, 8), (7, 6)]), of which"),
        ("dict(type='FixShapeResize', width=3)", "has FixShapeResize(width=3), of which"),
        ("made()", "has a step that its config computes(), of which"),
        ("dict(type='PackDetInputs')", "its config has no test pipeline that resizes"),
    ],
)
def test_why_no_size_is_known(step: str, why: str):
    unsized = recipe_of(step, NORM).unsized
    assert unsized is not None
    assert why in unsized
    assert recipe_of(step, RESIZE, NORM).unsized is None


@pytest.mark.parametrize(
    "step",
    [
        "dict(type='RandomChoiceResize', scales=[(1333, 800)], keep_ratio=True)",
        "dict(type='RandomApply', prob=1.0, transforms=[dict(type='Resize', scale=(1333, 800), keep_ratio=True)])",
    ],
)
def test_a_step_of_chance_with_one_choice_is_followed(step: str):
    assert recipe_of(step, NORM) == recipe_of(RESIZE, NORM)


@pytest.mark.parametrize("form", ["to_rgb=1", "to_rgb='yes'", "to_rgb=(0,)"])
def test_a_flag_is_what_is_true_to_python(form: str):
    assert recipe_of(RESIZE, NORM.replace("to_rgb=True", form)) == recipe_of(RESIZE, NORM)
    off = {"0": "False", "None": "False", "''": "False"}
    for written, meant in off.items():
        wanted = recipe_of(RESIZE, NORM.replace("to_rgb=True", f"to_rgb={meant}"))
        assert recipe_of(RESIZE, NORM.replace("to_rgb=True", f"to_rgb={written}")) == wanted


def test_defaults_that_are_written_otherwise_are_defaults():
    load = "dict(type='LoadImageFromFile', to_float32=0)"
    assert recipe_of(load, RESIZE, NORM).notes == ()
    (note,) = recipe_of(load.replace("0", "1"), RESIZE, NORM).notes
    assert note == "LoadImageFromFile of the test pipeline: to_float32=1 is not honoured"


def test_two_different_paddings_are_named():
    twice = [f"dict(type='Pad', size_divisor={divisor}, pad_val=VALUE)" for divisor in (160, 320)]
    same = recipe_of(RESIZE, *(step.replace("VALUE", "0") for step in twice), NORM).notes
    assert not any("around another padding" in note for note in same)
    notes = recipe_of(RESIZE, twice[0].replace("VALUE", "200"), twice[1].replace("VALUE", "10"), NORM).notes
    assert notes[0] == "padding with (10, 0, 0) around another padding is not honoured, the first fills all"


def test_a_normalization_that_cannot_be_is_why_none_is_known():
    recipe = recipe_of(RESIZE, NORM.replace("4.0", "-4.0"))
    assert recipe.unnormalized == (
        "its config normalizes by mean=[3.0, 2.0, 1.0], std=[-4.0, 5.0, 6.0], which cannot be used"
    )
    assert recipe_of(RESIZE, NORM).unnormalized is None


@pytest.mark.parametrize(("to_rgb", "pixels"), [(False, (7, 12, 19)), (True, (19, 12, 7))])
def test_padding_between_two_normalizations_goes_through_the_second(to_rgb: bool, pixels: tuple[int, ...]):
    pad = "dict(type='Pad', size_divisor=32, pad_val=dict(img=(1, 2, 3)))"
    again = f"dict(type='Normalize', mean=[0.5, 0.5, 0.5], std=[2.0, 2.0, 2.0], to_rgb={to_rgb})"
    image = recipe_of(RESIZE, NORM, pad, again).image
    assert (image["padding"], image["padding_value"]) == ("pixel", pixels)  # 7 = 1 * 4 + 3


def test_the_preprocessor_inside_one_for_several_branches_is_that_of_test_images():
    inside = "dict(type='DetDataPreprocessor', mean=[1, 2, 3], std=[4, 5, 6], bgr_to_rgb=True)"
    text = f"model = dict(data_preprocessor=dict(type='MultiBranchDataPreprocessor', data_preprocessor={inside}))"
    recipe = read_recipe(parse_config(text), FAMILY, background=False, legacy=False)
    assert (recipe.image["mean"], recipe.image["channels"]) == ((1, 2, 3), "RGB")
    assert not any("preprocessor is" in note for note in recipe.notes)


def test_a_model_that_the_config_computes_is_named():
    recipe = read_recipe(parse_config("model = dict()\nmodel.update(a=1)"), FAMILY, background=False, legacy=False)
    assert recipe.notes == ("its config computes the model, of which nothing is read",)
