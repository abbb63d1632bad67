import numpy as np
import pytest
import torch

from detector.errors import CheckpointError
from tests.export.checkpoints.dialects.framework_names import SAMPLES, State, examine_state, read_state

SAMPLE = SAMPLES["detectron2"]


def state(statistics: str = "real", **changes: object) -> State:
    return SAMPLE.theirs(SAMPLE.ours(statistics, **changes))


def test_facts_of_the_framework():
    network = read_state(state()).network
    assert (network.anchor_order, network.anchor_rounding, network.delta_clamp) == ("scale", "none", "above")
    assert (network.p6_from, network.relu_before_p7, network.bn_eps) == ("C5", True, 1e-5)
    np.testing.assert_allclose(network.anchor_scales, [4, 5.039684, 6.349604], rtol=1e-6)
    assert network.anchor_ratios == (0.5, 1, 2)


def test_recipe_of_the_framework():
    recipe = read_state(state()).recipe
    assert (recipe.image["resize"], recipe.image["mean"]) == ("detectron2", (103.53, 116.28, 123.675))
    assert "exif" not in recipe.image  # applied
    assert recipe.image["decoder"] == "pillow"
    assert (recipe.decode["iou_threshold"], recipe.decode["clip"], recipe.decode["nms"]) == (0.5, "after_nms", "iou")

    (note,) = recipe.notes
    assert note == (
        "of its config, which the file does not tell, are taken by default: MODEL.FPN.FUSE_TYPE sum, "
        "MODEL.RETINANET.BBOX_REG_WEIGHTS (1, 1, 1, 1), MODEL.ANCHOR_GENERATOR.OFFSET 0"
    )


def test_nothing_is_asked_of_models_that_began_from_caffe_weights():
    assert examine_state(state("folded", depth=50)).decision.questions == {}


def test_msras_variances_are_caffes():
    weights = state("folded", depth=50)
    weights |= {name: tensor - 1e-5 for name, tensor in weights.items() if name.endswith("running_var")}
    assert read_state(weights).network.style == "caffe"


def test_statistics_left_out_are_0_and_1():
    found = read_state(state("none", depth=50))
    assert found.network.style == "caffe"
    assert found.tensors["backbone.bn1.running_var"].unique().tolist() == [1]


def test_older_files_hold_their_anchors():
    anchors = {f"anchor_generator.cell_anchors.{level}": torch.ones(9, 4) for level in range(5)}
    assert read_state(state() | anchors).dialect == "detectron2"


def test_buffers_are_the_recipe():
    buffers = {"pixel_mean": torch.tensor([[[102.9801]], [[115.9465]], [[122.7717]]]), "pixel_std": torch.ones(3, 1, 1)}
    assert read_state(state() | buffers).recipe.image["mean"] == (102.9801, 115.9465, 122.7717)


def test_means_of_red_first_leave_the_order_of_channels_open():
    image = read_state(state() | {"pixel_mean": torch.tensor([123.675, 116.28, 103.53])}).recipe.image
    assert "channels" not in image
    assert image["mean"] == (123.675, 116.28, 103.53)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("pixel_mean", [1.0, 2.0]),
        ("pixel_mean", [1.0, 2.0, float("nan")]),
        ("pixel_mean", [1.0, 2.0, 1e30]),
        ("pixel_std", [1.0, 0.0, 1.0]),
        ("pixel_std", [1.0, 1.0, -1.0]),
        ("pixel_std", [1.0, 1.0, float("inf")]),
    ],
)
def test_buffers_of_another_kind_are_an_error(name: str, value: list[float]):
    with pytest.raises(CheckpointError, match=rf"{name} is .*, expected three numbers"):
        read_state(state() | {name: torch.tensor(value)})


def test_towers_with_norms_count_in_threes():
    weights = state(cls_norm="GN", box_norm="GN", norm_groups=32)
    assert "head.cls_subnet.3.weight" in weights
    assert read_state(weights).network.cls_norm == "GN"


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (["backbone.bottom_up.res4.0.conv2_offset.weight"], "deformable convolutions"),
        (["backbone.bottom_up.stem.conv2.weight"], "deep stem"),
    ],
)
def test_relatives_are_refused(keys: list[str], message: str):
    with pytest.raises(CheckpointError, match=message):
        read_state(state() | {key: torch.ones(2, 2) for key in keys})


def test_faster_rcnn_is_refused():
    backbone = {name: tensor for name, tensor in state().items() if name.startswith("backbone.")}
    heads = {
        "proposal_generator.rpn_head.conv.weight": torch.ones(2, 2, 3, 3),
        "roi_heads.box_predictor.cls_score.weight": torch.ones(81, 4),
    }
    with pytest.raises(CheckpointError, match="two-stage detector"):
        read_state(backbone | heads)


def test_a_backbone_alone_is_refused():
    backbone = {
        name.removeprefix("backbone.bottom_up."): tensor
        for name, tensor in state().items()
        if name.startswith("backbone.bottom_up.")
    }
    with pytest.raises(CheckpointError, match="backbone alone, no detector"):
        read_state(backbone)
