from pathlib import Path

import pytest
import torch

from detector.errors import SpecError
from detector.spec import Checkpoint, DetectorSpec
from detector.spec.settings import Settings
from detector.spec_files import model_names, read_settings
from export.assumptions import assumed
from export.checkpoints import examine
from export.checkpoints.reader import CheckpointFile
from export.checkpoints.weighing.recipe import NORMALIZATION, SIZES, THRESHOLDS
from export.checkpoints.weighing.weights import Weights
from export.inspection import describe, inspect
from export.resolve import resolve_spec
from tests.export.checkpoints.dialects.framework_names import SAMPLES

OWN = {"name": "mine", "canvas": (256, 320), "classes": ("a", "b", "c", "d", "e")}
MMDET = {"channels": "RGB", "mean": (1.0, 2.0, 3.0), "std": (1.0, 1.0, 1.0)}


def weights_of(name: str, classes: int = 5, class_count: int | None = None, **given: object) -> Weights:
    sample = SAMPLES[name]
    state = sample.theirs(sample.ours(num_classes=classes))
    file = CheckpointFile(Path(__file__), "torch-zip", state, {}, class_count=class_count)
    return examine(file, {**sample.given, **given}).weights()  # type: ignore[dict-item]


def resolved(weights: Weights, **settings: object) -> DetectorSpec:
    checkpoint = Checkpoint(file="own.pth", sha256="ab" * 32, dialect=weights.dialect)
    return resolve_spec(weights, checkpoint, Settings({**OWN, **settings}))


ASKED = {
    "torchvision_fcos": {"network.num_classes", *SIZES, "image.mean", "image.std", *THRESHOLDS},
    "torchvision_retinanet": {
        *("network.num_classes", "network.anchor_scales", "network.anchor_ratios"),
        *(*SIZES, "image.mean", "image.std", *THRESHOLDS),
    },
    "detectron2": {"network.anchor_scales", "network.anchor_ratios", *SIZES, *NORMALIZATION, *THRESHOLDS},
    "tianzhi": {*SIZES, *NORMALIZATION, *THRESHOLDS},
    "cvpods": {*SIZES, *NORMALIZATION, *THRESHOLDS},
    "adelaidet": {*SIZES, *NORMALIZATION, *THRESHOLDS},
    "mindspore": {*SIZES, "decode.score_threshold", "decode.iou_threshold", "decode.max_detections"},
    "mmdet_fcos": {"network.centerness_on_reg", "network.norm_on_bbox", *THRESHOLDS},
    "mmdet_retinanet": {"network.anchor_scales", "network.anchor_ratios", *THRESHOLDS},
}


@pytest.mark.parametrize("name", ASKED)
def test_what_no_file_tells_is_asked_for_all_at_once(name: str):
    weights = weights_of(name, 6 if name.startswith("torchvision") else 5)
    settings = {"image": MMDET} if name.startswith("mmdet") else {}
    assert assumed(weights, settings).keys() == ASKED[name]
    with pytest.raises(SpecError, match=r"^own\.pth does not tell .*; in brackets are the defaults of") as refused:
        resolved(weights, **settings)
    assert all(f"{key} (" in str(refused.value) for key in ASKED[name])
    assert "--assume defaults" in str(refused.value)


def test_what_has_no_default_is_asked_for_with_the_rest():
    with pytest.raises(
        SpecError, match=r"does not tell classes: .* --set classes=…; nor image\.short, .*: these, or --as"
    ):
        resolve_spec(
            weights_of("tianzhi"), Checkpoint(file="own.pth", sha256="ab" * 32, dialect="tianzhi"), Settings({})
        )


@pytest.mark.parametrize("name", ASKED)
def test_defaults_that_are_assumed_are_departures(name: str):
    weights = weights_of(name, 6 if name.startswith("torchvision") else 5)
    spec = resolved(weights, assume="defaults", **({"image": MMDET} if name.startswith("mmdet") else {}))
    (departure,) = [text for text in spec.departures if "assumed" in text]
    assert departure.startswith("assumed, for the file does not tell (assume: defaults): ")
    assert all(f"{key} " in departure for key in ASKED[name])


@pytest.mark.parametrize("name", ASKED)
def test_every_answer_makes_the_question_shorter_until_none_is_left(name: str):
    rows = 6 if name.startswith("torchvision") else 5
    answers: dict = {"image": dict(MMDET) if name.startswith("mmdet") else {}, "decode": {}, "network": {}}
    for key in sorted(ASKED[name]):
        weights = weights_of(name, rows, **answers["network"])
        with pytest.raises(SpecError, match=key.replace(".", r"\.")):
            resolved(weights, **answers)
        part, field = key.split(".")
        source = {"image": weights.recipe.image, "decode": {"score_threshold": 0.05, "iou_threshold": 0.5}}
        fallback = {"candidates_per_level": 1000, "max_detections": 100, "num_classes": 5}
        fallback |= {"anchor_scales": "4,5.04,6.35", "anchor_ratios": "0.5,1,2"}
        fallback |= {"centerness_on_reg": False, "norm_on_bbox": False}
        answers[part][field] = source.get(part, {}).get(field, fallback.get(field))
    spec = resolved(weights_of(name, rows, **answers["network"]), **answers)
    assert not [text for text in spec.departures if "assumed" in text]


@pytest.mark.parametrize("name", [name for name in ASKED if not name.startswith("torchvision")])
def test_models_for_coco_are_not_asked_but_what_is_assumed_is_recorded(name: str):
    weights = weights_of(name, 80)
    spec = resolved(weights, classes="coco", **({"image": MMDET} if name.startswith("mmdet") else {}))
    (departure,) = [text for text in spec.departures if "assumed" in text]
    assert (
        f"by its classes, COCO's as of the models that {weights.dialect.replace('mmdet', 'mmdetection')} publishes: "
        in departure
    )
    assert all(f"{key} " in departure for key in ASKED[name])


def test_torchvisions_models_for_coco_have_91_rows():
    spec = resolved(weights_of("torchvision_fcos", 91), classes="coco")
    assert (
        "by its classes, COCO's as of the models that torchvision publishes: image.short 800, " in spec.departures[-1]
    )
    with pytest.raises(SpecError, match=r"network\.num_classes \(80\).*the first of 81 rows is taken for the backgr"):
        resolved(weights_of("torchvision_fcos", 81, 80 + 5), classes="coco")


def test_released_files_are_known_by_their_hash():
    sample = SAMPLES["torchvision_retinanet"]
    file = CheckpointFile(Path("own.pth"), "torch-zip", sample.theirs(sample.ours(num_classes=91)), {})
    file.__dict__["sha256"] = "5905b1c5" + "0" * 56  # the property's cache
    found = resolved(examine(file, {"bn_eps": 1e-5}).weights(), classes="coco").departures
    assert [text for text in found if not text.startswith("each image is padded")] == []


@pytest.mark.parametrize(("named", "kept"), [(5, slice(1, None)), (6, slice(None))])
def test_as_many_names_as_rows_say_that_none_is_the_background(named: int, kept: slice):
    weights = weights_of("torchvision_fcos", 6, named)
    assert weights.network.num_classes == named
    assert "network.num_classes" not in assumed(weights, {})
    theirs = SAMPLES["torchvision_fcos"].ours(num_classes=6)["head.cls.bias"]
    assert torch.equal(weights.tensors["head.cls.bias"], theirs[kept])


def test_buffers_of_the_file_are_no_defaults():
    sample = SAMPLES["detectron2"]
    state = sample.theirs(sample.ours()) | {"pixel_mean": torch.tensor([103.5, 116.3, 123.7]).reshape(3, 1, 1)}
    weights = examine(CheckpointFile(Path(__file__), "torch-zip", state, {}), {}).weights()
    assert "image.mean" not in weights.recipe.defaults
    assert "image.channels" not in weights.recipe.defaults
    assert "image.std" in weights.recipe.defaults


def test_a_config_in_the_file_leaves_nothing_to_assume():
    demo = Path(__file__).resolve().parents[2] / "demo/weights/fcos_r18_shapes.pth"
    assert inspect(demo, {})["recipe"]["defaults"] == {}


def test_inspect_tells_what_is_not_told(tmp_path: Path):
    path = tmp_path / "own.pth"
    sample = SAMPLES["torchvision_retinanet"]
    torch.save(sample.theirs(sample.ours(num_classes=6)), path)
    found = inspect(path, {"bn_eps": 0.0})
    assert found["recipe"]["defaults"].keys() == ASKED["torchvision_retinanet"]
    text = describe(found)
    assert "defaults of torchvision, which the file does not tell: image.short = 800, " in text
    assert "network.num_classes = 5; an export needs them by --set KEY=VALUE" in text
    torch.save(sample.theirs(sample.ours(num_classes=91)), path)
    assert "taken by its classes, COCO's as of the models that torchvision" in describe(inspect(path, {"bn_eps": 0.0}))


@pytest.mark.parametrize("name", model_names())
def test_the_models_of_atc_configs_say_it_all(name: str):
    document = read_settings(name).document
    keys = [*NORMALIZATION, *THRESHOLDS, *(() if document["image"]["resize"] == "modelzoo" else SIZES)]
    assert [key for key in keys if key.split(".")[1] not in document[key.split(".")[0]]] == []
    if name.startswith("detectron2"):
        assert {"anchor_scales", "anchor_ratios"} <= document["network"].keys()


def test_a_size_that_all_images_get_answers_for_both_sides():
    answers = {"image": {"stretch": (256, 320), "mean": (1.0, 2.0, 3.0), "std": (4.0, 5.0, 6.0)}}
    weights = weights_of("torchvision_fcos", 6, num_classes=5)
    assert assumed(weights, answers).keys() == set(THRESHOLDS)
    assert assumed(weights, {"image": {**answers["image"], "stretch": None}}).keys() == {*THRESHOLDS, *SIZES}


def own_torchvision(name: str, *, image: dict[str, object] | None = None, **given: object) -> list[str]:
    """Departures of a model of parts of one's own, but for what is assumed and what the user says."""
    weights = weights_of(name, 6, num_classes=5, **given)
    spec = resolved(weights, assume="defaults", network=given, image=image or {})
    usual = ("assumed", "each image is padded", "image.mean is", "image.std is")
    return [text for text in spec.departures if not text.startswith(usual)]


def test_what_torchvisions_functions_fix_and_models_of_parts_do_not():
    distances, groups = own_torchvision("torchvision_fcos")
    assert distances.startswith("distances are taken in sides of FCOS' default anchors, 8,16,32,64,128 pixels: ")
    assert groups == (
        "group norms of the head are taken for torchvision's, of 32 groups: --set network.norm_groups=… for others"
    )
    assert own_torchvision("torchvision_fcos", strides="16,32,64,128,256", norm_groups=8) == []
    assert own_torchvision("torchvision_retinanet") == []


@pytest.mark.parametrize("scales", ["4,5.04,6.35", "2,2.5,3.125"])
def test_sides_of_anchors_that_are_whole_pixels_leave_nothing_open(scales: str):
    assert own_torchvision("torchvision_retinanet", anchor_scales=scales) == []


def test_sides_with_fractions_may_have_been_cut_or_not():
    (doubt,) = own_torchvision("torchvision_retinanet", anchor_scales="4,5.65685,6.35")
    assert doubt.startswith("sides of anchors are cut to whole pixels, as in _default_anchorgen: --set network.anchor_")
    answers = {"anchor_scales": "4,5.65685,6.35", "anchor_rounding": "halves"}
    assert own_torchvision("torchvision_retinanet", **answers) == []


def test_mean_and_std_in_torchvisions_own_unit_are_said():
    image = {"mean": (0.0, 0.5, 0.5), "std": (1.0, 0.5, 0.25)}
    (note,) = own_torchvision("torchvision_retinanet", image=image)
    assert note == (
        "image.mean [0,0.5,0.5] and image.std [1,0.5,0.25] are of pixels from 0 to 255, those of the framework's own "
        "code of pixels from 0 to 1: what is so written there is [0,127.5,127.5] and [255,127.5,63.75] here"
    )
    spec = resolved(weights_of("adelaidet"), assume="defaults", image=image)
    assert not [text for text in spec.departures if "pixels from" in text]


def test_inspect_says_it_too(tmp_path: Path):
    path, sample = tmp_path / "own.pth", SAMPLES["torchvision_retinanet"]
    torch.save(sample.theirs(sample.ours(num_classes=6)), path)
    said = {"image": {"mean": [0, "0.5", 0.5], "std": [1, 1, 1]}, "network": {"bn_eps": 0.0}}
    notes = inspect(path, said["network"], said=said)["recipe"]["notes"]
    assert len([note for note in notes if note.startswith("image.mean [0,0.5,0.5] and image.std [1,1,1] are of")]) == 1
