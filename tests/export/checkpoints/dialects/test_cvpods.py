import pytest
import torch

from detector.errors import CheckpointError
from tests.export.checkpoints.dialects.framework_names import FLAGS, SAMPLES, examine_state, read_state

SAMPLE = SAMPLES["cvpods"]


def test_facts_of_the_framework():
    network = read_state(SAMPLE.theirs(SAMPLE.ours(p6_from="C5")), FLAGS).network
    assert (network.point_offset, network.p6_from, network.relu_before_p7, network.bn_eps) == (0.0, "C5", True, 1e-5)


def test_recipe_of_the_framework():
    recipe = read_state(SAMPLE.theirs(SAMPLE.ours()), FLAGS).recipe
    assert (recipe.image["resize"], recipe.image["filter"], recipe.image["channels"]) == ("detectron2", "pillow", "BGR")
    assert recipe.image["mean"] == (103.53, 116.28, 123.675)
    assert (recipe.decode["rank_by"], recipe.decode["candidates_per_cell"]) == ("class", True)
    assert (recipe.decode["clip"], recipe.decode["iou_threshold"]) == ("after_nms", 0.6)


def test_both_flags_are_asked_for_by_name():
    with pytest.raises(
        CheckpointError,
        match=r"false for cvpods' library defaults; ATSS has these names, too, and is not supported; give "
        r"--set network\.centerness_on_reg=…, --set network\.norm_on_bbox=…",
    ):
        read_state(SAMPLE.theirs(SAMPLE.ours()))


def test_false_is_an_answer():
    network = read_state(SAMPLE.theirs(SAMPLE.ours()), dict.fromkeys(FLAGS, False)).network
    assert (network.norm_on_bbox, network.centerness_on_reg) == (False, False)


def test_no_other_question_is_asked():
    assert examine_state(SAMPLE.theirs(SAMPLE.ours("folded", depth=50))).decision.questions.keys() == FLAGS.keys()


def test_p6_from_p5_shows_in_its_shape():
    assert read_state(SAMPLE.theirs(SAMPLE.ours(p6_from="P5")), FLAGS).network.p6_from == "P5"


def test_towers_without_norms_count_in_twos():
    ours = SAMPLE.ours(cls_norm="none", box_norm="none")
    found = read_state(SAMPLE.theirs(ours), FLAGS)
    assert torch.equal(found.tensors["head.box_tower.1.conv.bias"], ours["head.box_tower.1.conv.bias"])
    assert found.network.box_norm == "none"


def test_the_port_may_share_batch_norms():
    network = read_state(SAMPLE.theirs(SAMPLE.ours(cls_norm="BN", box_norm="BN")), FLAGS).network
    assert (network.cls_norm, network.box_norm) == ("BN", "BN")


def test_the_ports_buffers_are_the_recipe():
    buffers = {
        "pixel_mean": torch.tensor([100.5, 110.25, 120.125]).reshape(3, 1, 1),
        "pixel_std": torch.tensor([57.375, 57.12, 58.395]).reshape(3, 1, 1),
    }
    found = read_state(SAMPLE.theirs(SAMPLE.ours()) | buffers, FLAGS)
    assert found.recipe.image["mean"] == (100.5, 110.25, 120.125)
    assert found.recipe.image["std"] == (57.375, 57.12, 58.395)


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("head.border_cls_subnet.0.conv.weight", "BorderDet's border heads"),
        ("backbone.bottom_up.res4.0.conv2_offset.weight", "deformable convolutions"),
        ("backbone.bottom_up.stem.conv1_1.weight", "deep stem"),
    ],
)
def test_relatives_are_refused(key: str, message: str):
    with pytest.raises(CheckpointError, match=message):
        read_state(SAMPLE.theirs(SAMPLE.ours()) | {key: torch.ones(2, 2)}, FLAGS)


def test_the_point_of_a_cell_is_a_default_that_configs_change():
    state = SAMPLE.theirs(SAMPLE.ours())
    recipe = read_state(state, FLAGS).recipe
    assert recipe.doubts["network.point_offset"].startswith("MODEL.SHIFT_GENERATOR.OFFSET of its config is taken as 0,")
    assert read_state(state, {**FLAGS, "point_offset": 0.5}).network.point_offset == 0.5
    (note,) = recipe.notes
    assert note == (
        "of its config, which the file does not tell, are taken by default: MODEL.FPN.FUSE_TYPE sum, "
        "MODEL.FCOS.BBOX_REG_WEIGHTS (1, 1, 1, 1)"
    )
