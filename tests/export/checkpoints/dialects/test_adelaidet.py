import pytest
import torch

from detector.errors import CheckpointError, SpecError
from tests.export.checkpoints.dialects.framework_names import ADELAIDET_HEAD, SAMPLES, State, examine_state, read_state

SAMPLE = SAMPLES["adelaidet"]


def state(**changes: object) -> State:
    return SAMPLE.theirs(SAMPLE.ours(**changes))  # type: ignore[arg-type]


def test_facts_of_the_framework():
    network = read_state(state()).network
    assert (network.norm_on_bbox, network.centerness_on_reg, network.point_offset) == (True, True, 0.5)
    assert (network.p6_from, network.relu_before_p7, network.bn_eps) == ("P5", True, 1e-5)


def test_recipe_of_the_framework():
    recipe = read_state(state()).recipe
    assert (recipe.image["resize"], recipe.image["filter"], recipe.image["channels"]) == ("detectron2", "pillow", "BGR")
    assert (recipe.decode["score"], recipe.decode["rank_by"]) == ("geometric_mean", "score")
    assert recipe.decode["iou_threshold"] == 0.6
    assert recipe.notes == (
        "of its config, which the file does not tell, are taken by default: MODEL.FPN.FUSE_TYPE sum",
    )
    assert recipe.doubts["decode.threshold_on"].startswith("MODEL.FCOS.THRESH_WITH_CTR of its config is taken as False")


def test_nothing_is_asked():
    assert examine_state(SAMPLE.theirs(SAMPLE.ours("folded", depth=50))).decision.questions == {}


def test_flags_are_the_frameworks():
    with pytest.raises(SpecError, match=r"network\.norm_on_bbox is False in the spec, but True .*AdelaiDet's code"):
        read_state(state(), {"norm_on_bbox": False})


def test_the_older_name_of_centerness():
    older = {name.replace("ctrness", "centerness"): tensor for name, tensor in state().items()}
    assert read_state(older).tensors.keys() == read_state(state()).tensors.keys()


def test_both_names_of_centerness_at_once_are_an_error():
    both = state() | {f"{ADELAIDET_HEAD}.centerness.weight": state()[f"{ADELAIDET_HEAD}.ctrness.weight"]}
    with pytest.raises(CheckpointError, match=r"two tensors for head\.ctr\.weight"):
        read_state(both)


def test_towers_without_norms_count_in_twos():
    found = read_state(state(cls_norm="none", box_norm="none"))
    assert (found.network.cls_convs, found.network.cls_norm) == (2, "none")


def test_towers_may_share_batch_norms():
    assert read_state(state(cls_norm="BN", box_norm="BN")).network.cls_norm == "BN"


def test_buffers_are_the_recipe():
    found = read_state(state() | {"pixel_mean": torch.tensor([1.0, 2.0, 3.0]), "pixel_std": torch.tensor([4.0, 5, 6])})
    assert (found.recipe.image["mean"], found.recipe.image["std"]) == ((1, 2, 3), (4, 5, 6))


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (f"{ADELAIDET_HEAD}.share_tower.0.weight", "a tower that classes and boxes share"),
        (f"{ADELAIDET_HEAD}.cls_tower.1.0.weight", "batch normalization per level"),
        (f"{ADELAIDET_HEAD}.cls_tower.9.offset.weight", "deformable convolutions"),
        ("backbone.bottom_up.res3.0.conv2_offset.weight", "deformable convolutions"),
        ("backbone.bottom_up.base_layer.0.weight", "a DLA backbone"),
        ("backbone.bottom_up.stem.stem_1/conv.weight", "a VoVNet backbone"),
        ("backbone.bottom_up.features.0.0.weight", "a MobileNet"),
        ("proposal_generator.fcos_head.controller.weight", "instance-segmentation"),
    ],
)
def test_relatives_are_refused(key: str, message: str):
    with pytest.raises(CheckpointError, match=message):
        read_state(state() | {key: torch.ones(2, 2)})
