from pathlib import Path

import pytest
import torch

from detector.errors import CheckpointError, SpecError
from export.inspection import describe, inspect
from tests.export.checkpoints.dialects.framework_names import FLAGS, SAMPLES, State


def write(folder: Path, state: State, **more: object) -> Path:
    path = folder / "weights.pth"
    torch.save({"model": state, **more}, path)
    return path


@pytest.fixture
def tianzhi(tmp_path: Path) -> Path:
    return write(tmp_path, SAMPLES["tianzhi"].theirs(SAMPLES["tianzhi"].ours("folded", depth=50)))


@pytest.fixture
def bare_mmdet(tmp_path: Path) -> Path:
    return write(tmp_path, SAMPLES["mmdet_fcos"].theirs(SAMPLES["mmdet_fcos"].ours()))


def test_what_the_file_is(tianzhi: Path):
    found = inspect(tianzhi, {})
    assert (found["file"], found["bytes"]) == (str(tianzhi), tianzhi.stat().st_size)
    assert (found["container"], found["dialect"], found["detector"]) == ("torch-zip", "tianzhi", "fcos")
    assert found["backbone"] == "ResNet-50, stride on the 1x1"
    assert len(found["sha256"]) == 64
    assert found["parameters"] == sum(tensor.numel() for tensor in SAMPLES["tianzhi"].ours("folded", depth=50).values())


def test_every_fact_has_its_source(tianzhi: Path):
    network = inspect(tianzhi, {})["network"]
    assert network["depth"] == {"value": 50, "source": "keys of backbone.layer1 to layer4"}
    assert network["bn_eps"] == {"value": 0.0, "source": "code of tianzhi0549/FCOS"}
    assert network["style"]["source"].startswith("assumed: running statistics of the backbone are 0 and 1")
    assert network["strides"]["value"] == "8,16,32,64,128"


def test_questions_name_their_options(tianzhi: Path):
    ambiguous = inspect(tianzhi, {})["ambiguous"]
    assert ambiguous.keys() == FLAGS.keys()
    assert ambiguous["norm_on_bbox"]["option"] == "--set network.norm_on_bbox=…"
    assert "true for FCOS_imprv_*" in ambiguous["norm_on_bbox"]["why"]


def test_answers_are_facts(tianzhi: Path):
    found = inspect(tianzhi, FLAGS)
    assert found["ambiguous"] == {}
    assert found["network"]["norm_on_bbox"] == {"value": True, "source": "given by the spec"}


def test_the_recipe_has_its_canvas(tianzhi: Path):
    recipe = inspect(tianzhi, {})["recipe"]
    assert recipe["canvas"] == (800, 1344)
    assert recipe["notes"][0].startswith("each image is padded to the canvas 800x1344, by the defaults of tianzhi0549")
    assert "  note: each image is padded" in describe(inspect(tianzhi, {}))
    assert recipe["image"]["channels"] == "BGR"
    assert recipe["decode"]["nms"] == "iou_plus_one"
    assert recipe["missing"] == ["classes"]
    assert inspect(tianzhi, {}, said={"classes": list("abcde")})["recipe"]["missing"] == []


def test_what_an_export_would_still_ask_for(bare_mmdet: Path):
    found = inspect(bare_mmdet, {})
    assert found["recipe"]["missing"] == ["image.channels", "image.mean", "image.std", "canvas", "classes"]
    assert "an export needs --set image.channels=… --set image.mean=…" in describe(found)
    assert "--set classes=…" in describe(found)


def test_descriptions_are_for_people(tianzhi: Path):
    lines = describe(inspect(tianzhi, {})).splitlines()
    assert lines[0] == f"{tianzhi}: fcos of the dialect tianzhi, ResNet-50, stride on the 1x1"
    assert "  5 classes (the file names no classes)" in lines
    assert "  bn_eps = 0.0  (code of tianzhi0549/FCOS)" in lines
    assert "  image.filter = pillow" in lines
    assert lines[-3] == "ambiguous: an export needs an answer"
    assert lines[-1].endswith("; --set network.norm_on_bbox=…")


def test_names_of_classes_are_shown(tmp_path: Path):
    sample = SAMPLES["mmdet_fcos"]
    path = write(tmp_path, sample.theirs(sample.ours()), meta={"CLASSES": tuple("abcde")})
    found = inspect(path, {})
    classes = {"count": 5, "names": tuple("abcde"), "source": "meta.CLASSES", "label_order": "classes"}
    assert found["classes"] == classes
    assert "  5 classes: a, b, c, d, … (meta.CLASSES)" in describe(found)


def test_where_the_weights_lie_is_told(tmp_path: Path):
    sample = SAMPLES["mmdet_fcos"]
    state = sample.theirs(sample.ours())
    path = write(tmp_path, {f"module.{name}": tensor for name, tensor in state.items()}, ema=state)
    found = inspect(path, {})
    assert found["place"]["keys"] == "model.module"
    assert inspect(path, {}, "ema")["place"]["keys"] == "ema"
    lines = describe(found).splitlines()
    assert "  its names are read without the prefix 'module.'" in lines
    assert any(line.startswith("  under 'ema' are other weights of a detector") for line in lines)


def test_an_open_stride_is_not_told(tmp_path: Path):
    sample = SAMPLES["detectron2"]
    found = inspect(write(tmp_path, sample.theirs(sample.ours(depth=50))), {})
    assert found["backbone"] == "ResNet-50"
    assert found["ambiguous"].keys() == {"style"}


def test_resnext_is_named(tmp_path: Path):
    sample = SAMPLES["detectron2"]
    found = inspect(write(tmp_path, sample.theirs(sample.ours(depth=50, groups=4, base_width=2))), {})
    assert found["backbone"] == "ResNeXt-50 4x2d, stride on the 3x3"


def test_what_an_export_refuses_is_found(tmp_path: Path):
    state = SAMPLES["adelaidet"].theirs(SAMPLES["adelaidet"].ours())
    del state["backbone.bottom_up.res4.1.conv2.norm.running_var"]
    with pytest.raises(CheckpointError, match=r"lacks backbone\.layer3\.1\.bn2\.running_var"):
        inspect(write(tmp_path, state), {})


def test_contradictions_are_errors(tianzhi: Path):
    with pytest.raises(SpecError, match=r"network\.depth is 101 in the spec, but 50"):
        inspect(tianzhi, {"depth": 101})


@pytest.mark.parametrize(
    ("names", "why"), [("aabcd", "'a' is listed twice"), ("ab cd", "the name of label 2 is empty")]
)
def test_names_of_classes_that_tell_none_apart_are_not_used(tmp_path: Path, names: str, why: str):
    sample = SAMPLES["mmdet_fcos"]
    path = write(tmp_path, sample.theirs(sample.ours()), meta={"CLASSES": tuple(names)})
    classes = inspect(path, {})["classes"]
    assert (classes["names"], classes["source"]) == (None, f"meta.CLASSES: {why}; not used")
