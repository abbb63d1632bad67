from pathlib import Path

import pytest
import torch

from detector.errors import CheckpointError, SpecError
from detector.spec.coco_classes import COCO_CATEGORIES, COCO_CLASSES
from export.checkpoints import examine
from export.checkpoints.reader import CheckpointFile
from tests.export.checkpoints.dialects.framework_names import FLAGS, SAMPLES, State, examine_state, read_state

FCOS, RETINANET, OLD = (SAMPLES[f"torchvision_{name}"] for name in ("fcos", "retinanet", "old"))


def fcos(**changes: object) -> State:
    return FCOS.theirs(FCOS.ours(**changes))  # type: ignore[arg-type]


def retinanet(**changes: object) -> State:
    return RETINANET.theirs(RETINANET.ours(**changes))  # type: ignore[arg-type]


def test_facts_of_fcos():
    found = read_state(fcos())
    network = found.network
    assert (network.norm_on_bbox, network.centerness_on_reg, network.point_offset) == (True, True, 0.0)
    assert (network.cell_step, network.style, network.bn_eps, network.p6_from) == ("canvas", "pytorch", 1e-5, "P5")
    assert found.tensors["head.scale"].tolist() == [1] * 5


def test_facts_of_retinanet():
    network = read_state(retinanet(), {"bn_eps": 0.0}).network
    assert (network.anchor_order, network.anchor_rounding) == ("ratio", "torchvision")
    assert (network.delta_clamp, network.cell_step, network.relu_before_p7) == ("above", "canvas", True)


def test_recipes():
    for weights, threshold, most in (
        (read_state(fcos()), 0.2, 100),
        (read_state(retinanet(), RETINANET.given), 0.05, 300),
    ):
        assert (weights.recipe.image["resize"], weights.recipe.image["filter"]) == ("torchvision", "float")
        assert weights.recipe.image["channels"] == "RGB"
        assert weights.recipe.image["exif"] == "ignored"
        assert weights.recipe.image["decoder"] == "pillow"
        assert weights.recipe.image["mean"] == pytest.approx((123.675, 116.28, 103.53))
        assert (weights.recipe.decode["score_threshold"], weights.recipe.decode["max_detections"]) == (threshold, most)


def test_the_eps_of_retinanet_without_norms_is_asked_for():
    with pytest.raises(
        CheckpointError, match=r"0 for torchvision's released COCO_V1 weights .*give --set network\.bn_eps=…"
    ):
        read_state(retinanet())


def test_retinanet_with_norms_is_v2_and_its_eps_known():
    network = read_state(retinanet(cls_norm="GN", box_norm="GN", norm_groups=32, tower_conv_bias=False)).network
    assert (network.cls_norm, network.bn_eps, network.tower_conv_bias) == ("GN", 1e-5, False)


def test_the_released_file_is_known_by_its_hash(monkeypatch: pytest.MonkeyPatch):
    file = CheckpointFile(Path("retinanet_resnet50_fpn_coco-eeacb38b.pth"), "torch-zip", retinanet(), {})
    file.__dict__["sha256"] = "eeacb38b" + "0" * 56  # the property's cache
    reading = examine(file, {})
    assert reading.decision.values["bn_eps"] == 0.0
    assert "SHA-256" in reading.decision.sources["bn_eps"]


def test_norms_that_were_trained_have_their_own_eps():
    file = CheckpointFile(Path(__file__), "torch-zip", retinanet(), {}, counts_batches=True)
    assert examine(file, {}).decision.values["bn_eps"] == 1e-5


@pytest.mark.parametrize("old", [True, False])
def test_the_pyramids_names_before_and_after_014(old: bool):
    sample = OLD if old else RETINANET
    ours = sample.ours()
    state = sample.theirs(ours)
    assert ("backbone.fpn.inner_blocks.0.weight" in state) is old
    assert ("head.regression_head.conv.2.weight" in state) is old
    found = read_state(state, sample.given)
    assert torch.equal(found.tensors["fpn.lateral.0.weight"], ours["fpn.lateral.0.weight"])
    assert torch.equal(found.tensors["head.box_tower.1.conv.weight"], ours["head.box_tower.1.conv.weight"])


def test_cocos_91_rows_become_80_classes():
    found = read_state(fcos(num_classes=91))
    ours = FCOS.ours(num_classes=91)
    assert found.classes == COCO_CLASSES
    assert found.sources["classes"] == "the number of logits"
    used = [category_id for category_id, _ in COCO_CATEGORIES]
    assert torch.equal(found.tensors["head.cls.bias"], ours["head.cls.bias"][used])


def test_cocos_rows_of_nine_anchors():
    found = read_state(retinanet(num_classes=91), RETINANET.given)
    bias = RETINANET.ours(num_classes=91)["head.cls.bias"].reshape(9, 91)
    used = [category_id for category_id, _ in COCO_CATEGORIES]
    assert torch.equal(found.tensors["head.cls.bias"], bias[:, used].flatten())


def test_the_background_is_no_class():
    found = read_state(retinanet(num_classes=4), RETINANET.given)
    bias = RETINANET.ours(num_classes=4)["head.cls.bias"].reshape(9, 4)
    assert found.network.num_classes == 3
    assert torch.equal(found.tensors["head.cls.bias"], bias[:, 1:].flatten())


def test_all_rows_are_kept_if_the_user_says_so():
    found = read_state(fcos(num_classes=4), {"num_classes": 4})
    assert torch.equal(found.tensors["head.cls.bias"], FCOS.ours(num_classes=4)["head.cls.bias"])


def test_the_number_without_background_is_no_other():
    assert read_state(fcos(num_classes=4), {"num_classes": 3}).network.num_classes == 3
    with pytest.raises(SpecError, match=r"num_classes is 5 in the spec, but 3"):
        read_state(fcos(num_classes=4), {"num_classes": 5})


def test_a_single_row_is_a_class():
    assert read_state(fcos(num_classes=1)).network.num_classes == 1


def test_the_input_of_p6_shows_in_its_shape():
    assert read_state(retinanet(p6_from="P5"), RETINANET.given).network.p6_from == "P5"
    assert read_state(retinanet(p6_from="C5"), RETINANET.given).network.p6_from == "C5"


def test_flags_are_the_frameworks():
    assert read_state(fcos(), FLAGS).network.norm_on_bbox is True
    with pytest.raises(SpecError, match=r"network\.centerness_on_reg is False .*torchvision's code"):
        read_state(fcos(), {"centerness_on_reg": False})


def test_nothing_is_asked_about_fcos():
    assert examine_state(fcos(depth=50)).decision.questions == {}


def test_predictors_that_do_not_fit_each_other_are_an_error():
    state = fcos() | {"head.classification_head.cls_logits.bias": torch.zeros(7)}
    with pytest.raises(CheckpointError, match=r"head\.cls\.bias has shape \[7\]"):
        read_state(state)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (["backbone.body.conv1.weight", "rpn.head.cls_logits.weight", "roi_heads.box_head.fc6.weight"], "two-stage"),
        (["backbone.features.0.weight", "head.classification_head.module_list.0.weight"], "MobileNet or VGG"),
        (["conv1.weight", "layer1.0.conv1.weight", "fc.weight"], "an image classifier"),
    ],
)
def test_torchvisions_other_models_are_refused(keys: list[str], message: str):
    with pytest.raises(CheckpointError, match=message):
        read_state({key: torch.ones(2, 2) for key in keys})


def test_a_level_without_tensors_may_follow():
    (note,) = read_state(fcos(strides=(8, 16, 32)), {"strides": "8,16,32"}).recipe.notes
    assert note == "no level is computed from P5: one by LastLevelMaxPool would have no tensors to tell of it"
    assert read_state(fcos()).recipe.notes == ()
