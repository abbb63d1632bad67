import dataclasses
import logging

import pytest

from detector.errors import SpecError
from detector.geometry import Size
from detector.spec import Checkpoint
from detector.spec.settings import Settings
from detector.spec_files import read_settings
from export.checkpoints.weighing.own_padding import OwnPadding
from export.checkpoints.weighing.recipe import Recipe
from export.checkpoints.weighing.weights import Weights
from export.checkpoints.wrappers import Place
from export.resolve import default_settings, resolve_spec
from tests.export.networks import SMALL

CHECKPOINT = Checkpoint(file="my model.v2.pth", sha256="ab" * 32, dialect="mmdet")
RECIPE = Recipe(
    image={
        "channels": "RGB",
        "mean": (123.675, 116.28, 103.53),
        "std": (58.395, 57.12, 57.375),
        "short": 800,
        "long": 1333,
    },
    decode={"iou_threshold": 0.6},
    source="the file's config",
)
NOTHING = Recipe({}, {}, "mmdetection's code")
NAMES = ("circle", "square", "star")


def weights_of(num_classes=3, classes=NAMES, recipe=RECIPE) -> Weights:
    network = dataclasses.replace(SMALL, num_classes=num_classes)
    return Weights("mmdet", {}, network, {}, classes, recipe)


def test_a_spec_derived_from_the_file_alone():
    spec = resolve_spec(weights_of(), CHECKPOINT, Settings({}))
    assert spec.name == "my_model_v2"
    assert spec.canvas == Size(800, 1344)
    assert (spec.image.short, spec.image.long) == (800, 1333)
    assert spec.classes == NAMES
    assert spec.decode.iou_threshold == 0.6
    assert spec.decode.max_detections == 100
    assert spec.checkpoint == CHECKPOINT
    assert spec.network["depth"] == 18


@pytest.mark.parametrize(
    ("file", "name"),
    [("模型.pth", "model_abababab"), ("v1模型.pth", "v1_abababab"), ("my model.pth", "my_model"), ("(2).pth", "2")],
)
def test_names_that_lose_letters_stay_apart_and_are_said(caplog, file: str, name: str):
    caplog.set_level(logging.INFO)
    checkpoint = CHECKPOINT.model_copy(update={"file": file})
    assert resolve_spec(weights_of(), checkpoint, Settings({})).name == name
    assert f"{file}: the model is called {name}" in caplog.text


def test_a_name_that_is_kept_or_given_is_no_news(caplog):
    caplog.set_level(logging.INFO)
    kept = CHECKPOINT.model_copy(update={"file": "fcos-r50.pth"})
    assert resolve_spec(weights_of(), kept, Settings({})).name == "fcos-r50"
    assert resolve_spec(weights_of(), CHECKPOINT, Settings({"name": "mine"})).name == "mine"
    assert "is called" not in caplog.text


def test_a_size_that_nothing_tells_is_named_in_the_question_and_as_a_departure():
    unsized = "its test pipeline has Resize(scale_factor=0.5), of which no size is read"
    image = {"channels": "RGB", "mean": (0, 0, 0), "std": (1, 1, 1)}
    weights = weights_of(recipe=Recipe(image, {}, "the config", unsized=unsized))
    with pytest.raises(SpecError, match=r"does not tell canvas \(its test pipeline has Resize\(scale_factor=0\.5\)"):
        resolve_spec(weights, CHECKPOINT, Settings({}))
    (note,) = resolve_spec(weights, CHECKPOINT, Settings({"canvas": (320, 320)})).departures
    assert note == f"how images are sized is not known ({unsized}): the canvas 320x320 alone bounds their size"
    told = Settings({"canvas": (320, 320), "image": {"stretch": (320, 320)}})
    assert resolve_spec(weights, CHECKPOINT, told).departures == ()


def test_eighty_unnamed_classes_are_cocos_and_that_is_said(caplog):
    caplog.set_level(logging.INFO)
    assert resolve_spec(weights_of(80, None), CHECKPOINT, Settings({})).classes[0] == "person"
    assert "names no classes that fit; its 80 rows are taken as COCO's" in caplog.text


def test_names_that_do_not_fit_are_a_departure_where_cocos_are_taken():
    sources = {"classes": "meta.CLASSES names 79 classes, the head has 80: not used"}
    weights = dataclasses.replace(weights_of(80, None), sources=sources)
    (note,) = resolve_spec(weights, CHECKPOINT, Settings({})).departures
    assert note == f"the 80 classes are taken as COCO's: {sources['classes']}"
    assert resolve_spec(weights, CHECKPOINT, Settings({"classes": "coco"})).departures == ()


def test_what_the_file_does_not_tell_is_asked_for():
    with pytest.raises(SpecError, match=r"tell image\.channels, image\.mean, image\.std, canvas, classes: name"):
        resolve_spec(weights_of(12, None, recipe=NOTHING), CHECKPOINT, Settings({}))


def test_labels_of_old_files_are_in_the_order_of_the_annotations(caplog):
    caplog.set_level(logging.INFO)
    recipe = dataclasses.replace(RECIPE, label_order="annotations")
    weights = dataclasses.replace(weights_of(recipe=recipe), sources={"classes": "meta.CLASSES; as 2.9.0 numbers them"})
    spec = resolve_spec(weights, CHECKPOINT, Settings({}))
    assert spec.label_order == "annotations"
    assert spec.departures == ()  # it is what the framework does; the evaluation says what it takes
    (note,) = [text for text in caplog.messages if "labels are numbered in the order of the annotation file" in text]
    assert "(meta.CLASSES; as 2.9.0 numbers them)" in note
    # Whoever knows the order says it; the names of the file are then but names.
    told = Settings({"classes": ("star", "circle", "square"), "label_order": "classes"})
    spec = resolve_spec(weights, CHECKPOINT, told)
    assert (spec.classes, spec.departures) == (("star", "circle", "square"), ())
    with pytest.raises(SpecError, match=r"class 'sta' of the spec my_model_v2 is not among those of my model\.v2\.pth"):
        resolve_spec(weights, CHECKPOINT, Settings({"classes": ("sta", "circle", "square")}))


def test_padding_that_the_framework_does_not_do_is_a_departure():
    recipe = dataclasses.replace(RECIPE, own_padding=OwnPadding("Pad.size_divisor=32", (32,)))
    (note,) = resolve_spec(weights_of(recipe=recipe), CHECKPOINT, Settings({})).departures
    assert note.startswith("each image is padded to the canvas 800x1344, by the file's config to multiples of 32 only")
    assert note.endswith("group normalization, which averages over the padding")
    fitted = Settings({"canvas": (800, 1344), "image": {"stretch": (800, 1333)}})
    assert "padded" not in " ".join(resolve_spec(weights_of(recipe=recipe), CHECKPOINT, fitted).departures)


def test_a_recipe_that_stretches_gives_way_to_bounds_and_back():
    image = {"channels": "RGB", "mean": (0, 0, 0), "std": (1, 1, 1), "stretch": (512, 700)}
    stretched = weights_of(recipe=Recipe({**image, "padding": "pixel", "padding_value": (1, 2, 3)}, {}, "the config"))
    spec = resolve_spec(stretched, CHECKPOINT, Settings({}))
    assert (spec.canvas, spec.image.stretch, spec.departures) == (Size(512, 704), Size(512, 700), ())
    spec = resolve_spec(stretched, CHECKPOINT, Settings({"image": {"short": 500, "long": 600, "padding": "zero"}}))
    assert (spec.image.stretch, spec.image.short) == (None, 500)
    assert "image.stretch is None in the spec and [512, 700] by the config" in spec.departures
    assert "image.padding is zero in the spec and pixel by the config" in spec.departures
    spec = resolve_spec(weights_of(), CHECKPOINT, Settings({"image": {"stretch": (320, 320)}}))
    assert (spec.image.stretch, spec.image.short) == (Size(320, 320), None)


def test_a_canvas_that_decides_the_size_is_part_of_the_recipe():
    image = {"channels": "RGB", "mean": (0, 0, 0), "std": (1, 1, 1)}
    fitted = weights_of(recipe=Recipe(image, {}, "the config", canvas=(256, 320)))
    assert resolve_spec(fitted, CHECKPOINT, Settings({})).departures == ()
    spec = resolve_spec(fitted, CHECKPOINT, Settings({"canvas": (320, 320)}))
    assert spec.departures == ("the canvas, which decides the size, is 320x320 in the spec and 256x320 by the config",)


def test_another_number_of_classes_is_an_error(spec):
    with pytest.raises(SpecError, match=r"has 4 classes, the spec tiny names 3: correct `classes`"):
        resolve_spec(weights_of(4, None), CHECKPOINT, Settings(spec.model_dump()))


def test_another_order_of_classes_is_an_error(spec):
    with pytest.raises(SpecError, match=r"label 1 is 'star' in my model\.v2\.pth and 'square' in the spec tiny"):
        resolve_spec(weights_of(classes=("circle", "star", "square")), CHECKPOINT, Settings(spec.model_dump()))


def test_where_the_spec_departs_from_the_framework_it_wins_and_says_so(spec, caplog):
    caplog.set_level(logging.INFO)
    chosen = Settings({"decode": {"iou_threshold": 0.7}})
    resolved = resolve_spec(weights_of(), CHECKPOINT, chosen)
    assert resolved.decode.iou_threshold == 0.7
    assert resolved.departures == ("decode.iou_threshold is 0.7 in the spec and 0.6 by the file's config",)
    assert "0.6 by the file's config; the spec is used" in caplog.text


def test_other_weights_in_the_file_are_said_and_recorded(caplog):
    caplog.set_level(logging.INFO)
    place = Place("model", ("its names are read without 'module.'",), ("under 'ema' are others",))
    spec = resolve_spec(dataclasses.replace(weights_of(), place=place), CHECKPOINT, Settings({}))
    assert spec.departures == ("under 'ema' are others",)
    assert "my model.v2.pth: its names are read without 'module.'" in caplog.text
    assert "my model.v2.pth: under 'ema' are others" in caplog.text


def test_what_the_settings_leave_out_is_the_frameworks():
    spec = resolve_spec(weights_of(), CHECKPOINT, Settings({"name": "mine", "canvas": (512, 640)}))
    assert (spec.name, spec.canvas, spec.decode.iou_threshold) == ("mine", Size(512, 640), 0.6)
    assert spec.departures == ()


def test_another_detector_is_an_error():
    with pytest.raises(SpecError, match=r"holds the detector 'fcos', the spec says 'retinanet'"):
        resolve_spec(weights_of(), CHECKPOINT, Settings({"detector": "retinanet"}))


def test_an_upsampling_that_is_exact_for_even_sides_wants_a_multiple_of_32():
    weights = weights_of()
    uneven = dataclasses.replace(weights.recipe, exact_for_multiples="upsamples by nearest-exact, here by nearest")
    exact = dataclasses.replace(weights, recipe=uneven)
    why = "this network upsamples by nearest-exact, here by nearest, which is exact for multiples of 32 only"
    with pytest.raises(SpecError, match=f"canvas 800x1333: {why}; take 800x1344"):
        resolve_spec(exact, CHECKPOINT, Settings({"canvas": (800, 1333)}))
    gears = Settings({"canvas": (800, 1344), "atc": {"image_sizes": [[320, 330], [320, 320]]}})
    with pytest.raises(SpecError, match=f"canvas 320x330: {why}; take 320x352"):
        resolve_spec(exact, CHECKPOINT, gears)
    assert resolve_spec(exact, CHECKPOINT, Settings({"canvas": (800, 1344)})).canvas == Size(800, 1344)


def test_why_the_normalization_is_not_known_is_said():
    why = "its config normalizes by std=[0], which cannot be used"
    weights = weights_of(recipe=Recipe({}, {}, "the config", canvas=(320, 320), unnormalized=why))
    with pytest.raises(
        SpecError, match=r"channels, image\.mean, image\.std \(its config normalizes by std=\[0\], which"
    ):
        resolve_spec(weights, CHECKPOINT, Settings({}))


def test_what_the_file_leaves_open_is_recorded_until_the_user_says_it():
    doubts = {"label_order": "labels may be numbered otherwise", "image.mean": "two means"}
    weights = weights_of()
    weights = dataclasses.replace(weights, recipe=dataclasses.replace(weights.recipe, doubts=doubts))
    for said, left in (
        ({}, ("labels may be numbered otherwise", "two means")),
        ({"label_order": "classes"}, ("two means",)),
        ({"category_ids": (3, 5, 8)}, ("two means",)),
    ):
        assert resolve_spec(weights, CHECKPOINT, Settings(said)).departures == left


def test_a_size_without_a_sensible_bound_asks_for_the_canvas():
    image = {"channels": "RGB", "mean": (0, 0, 0), "std": (1, 1, 1), "short": 200, "long": 100_000}
    weights = weights_of(recipe=Recipe(image, {}, "the config"))
    why = r"canvas \(its images have sides up to 200 and 100000 pixels, a canvas up to 16384\): name .* --set canvas="
    with pytest.raises(SpecError, match=why):
        resolve_spec(weights, CHECKPOINT, Settings({}))
    spec = resolve_spec(weights, CHECKPOINT, Settings({"canvas": (200, 320)}))
    assert (spec.canvas, spec.image.long) == (Size(200, 320), 100_000)


def test_same_padding_wants_a_multiple_of_32():
    weights = weights_of()
    padded = dataclasses.replace(weights, network=dataclasses.replace(weights.network, same_padding=True))
    with pytest.raises(SpecError, match=r"canvas 800x1333: this network pads .* take 800x1344"):
        resolve_spec(padded, CHECKPOINT, Settings({"canvas": (800, 1333)}))


def test_defaults_have_no_classes_if_nothing_names_them():
    assert "classes" not in default_settings(weights_of(12, None), CHECKPOINT)


@pytest.mark.parametrize(
    ("settings", "said"), [({"detector": "other"}, "detector: other"), ({"graph": {"boxes": "xywh"}}, "graph:")]
)
def test_specs_of_foreign_graphs_are_refused(settings, said):
    with pytest.raises(SpecError, match=rf"the spec says `{said}`, .*: adopt the ONNX with `python -m convert --onnx"):
        resolve_spec(weights_of(), CHECKPOINT, Settings(settings))


def test_a_sparse_spec_is_completed(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("classes: [a, b, c]\n")
    spec = resolve_spec(weights_of(classes=None), CHECKPOINT, read_settings(path))
    assert (spec.name, spec.classes, spec.canvas) == ("mine", ("a", "b", "c"), Size(800, 1344))
    assert spec.image.mean == (123.675, 116.28, 103.53)


@pytest.mark.parametrize("part", [{"image": 3}, {"network": [1]}, {"decode": None}])
def test_parts_that_are_no_mapping_are_errors(part):
    (name,) = part
    with pytest.raises(SpecError, match=f"{name}: "):
        resolve_spec(weights_of(), CHECKPOINT, Settings(part))
