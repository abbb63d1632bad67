import pytest
import torch

from detector.errors import CheckpointError, SpecError
from tests.export.checkpoints.dialects.framework_names import FLAGS, SAMPLES, State, examine_state, read_state

SAMPLE = SAMPLES["mindspore"]


def state(**changes: object) -> State:
    return SAMPLE.theirs(SAMPLE.ours(**changes))  # type: ignore[arg-type]


def lyqcom(**changes: object) -> State:
    return state(cls_norm="none", **changes)


def test_facts_of_both_trees():
    for weights in (state(), lyqcom()):
        network = read_state(weights).network
        assert (network.same_padding, network.style, network.p6_from) == (True, "pytorch", "P5")
        assert (network.norm_on_bbox, network.centerness_on_reg, network.point_offset) == (False, True, 0.5)


def test_the_class_tower_tells_the_trees_apart():
    assert read_state(state()).recipe.source == "the code of research/cv/FCOS"
    assert read_state(lyqcom()).recipe.source == "the code of lyqcom/fcos"


def test_towers_of_one_file_may_count_differently():
    ours, weights = SAMPLE.ours(cls_norm="none"), lyqcom()
    assert {"fcos_body.head.cls_conv.2.weight", "fcos_body.head.reg_conv.3.weight"} <= weights.keys()
    found = read_state(weights)
    assert (found.network.cls_norm, found.network.box_norm) == ("none", "GN")
    for name in ("head.cls_tower.1.conv.weight", "head.box_tower.1.conv.weight", "head.box_tower.1.norm.weight"):
        assert torch.equal(found.tensors[name], ours[name])


def test_the_model_zoos_second_eps_is_in_the_variances():
    found, ours = read_state(state(depth=50)), SAMPLE.ours(depth=50)
    assert found.network.bn_eps == 1e-5
    for name, excess in (
        ("backbone.bn1", 0),
        ("backbone.layer2.0.bn1", 0),
        ("backbone.layer2.0.bn2", 9e-5),
        ("backbone.layer2.0.bn3", 9e-5),
        ("backbone.layer2.0.downsample.1", 9e-5),
    ):
        assert torch.equal(found.tensors[f"{name}.running_var"], ours[f"{name}.running_var"] + excess)


def test_lyqcoms_eps_is_one():
    found, ours = read_state(lyqcom(depth=50)), SAMPLE.ours(cls_norm="none", depth=50)
    assert found.network.bn_eps == 1e-4
    name = "backbone.layer2.0.bn2.running_var"
    assert torch.equal(found.tensors[name], ours[name])


def test_recipe_of_the_model_zoo():
    recipe = read_state(state()).recipe
    assert recipe.canvas == (1344, 1344)
    assert recipe.image["mean"] == pytest.approx((104.0136177, 114.0342201, 119.9165407))
    assert (recipe.image["padding"], recipe.image["channels"]) == ("black", "RGB")
    assert recipe.image["exif"] == "ignored"
    assert recipe.image["decoder"] == "pillow"
    assert (recipe.decode["nms"], recipe.decode["candidates"]) == ("diou_plus_one", "best_class")


def test_recipe_of_lyqcom():
    recipe = read_state(lyqcom()).recipe
    assert recipe.canvas is None
    assert (recipe.image["mean"], recipe.image["std"]) == ((0, 0, 0), (255, 255, 255))
    assert (recipe.decode["nms"], recipe.decode["threshold_on"]) == ("areas_plus_one", "score")


def test_without_norms_the_tree_is_unknown_and_the_eps_asked_for():
    weights = state(cls_norm="none", box_norm="none")
    with pytest.raises(CheckpointError, match=r"without norms in the towers .*give --set network\.bn_eps=…"):
        read_state(weights)
    assert read_state(weights, {"bn_eps": "1e-4"}).network.bn_eps == 1e-4


def test_flags_are_the_frameworks():
    with pytest.raises(SpecError, match=r"network\.norm_on_bbox is True .*MindSpore FCOS' code"):
        read_state(state(), FLAGS)


def test_nothing_is_asked():
    assert examine_state(state(depth=50)).decision.questions == {}


def test_the_classifier_of_the_backbone_is_ignored():
    extra = {f"fcos_body.backbone.end_point.{word}": torch.ones(4, 4) for word in ("weight", "bias")}
    assert read_state(state() | extra).dialect == "mindspore"


@pytest.mark.parametrize("name", ["rpn.head.centerness.weight", "body.x", "head.cls_logits.weight"])
def test_tensors_beside_the_network_are_named(name: str):
    with pytest.raises(CheckpointError, match=f"no plain detector has: {name}"):
        read_state(state() | {name: torch.ones(3, 3)})


def test_words_of_both_frameworks_at_once_are_an_error():
    twice = state() | {"fcos_body.backbone.bn1.weight": torch.ones(16)}
    with pytest.raises(CheckpointError, match="gamma and weight"):
        read_state(twice)


def test_the_pytorch_code_it_came_from_is_refused():
    words = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}
    weights = {
        ".".join([*name.split(".")[:-1], words.get(name.split(".")[-1], name.split(".")[-1])]): tensor
        for name, tensor in state().items()
    }
    with pytest.raises(CheckpointError, match="FCOS of the VectXmy or MindSpore family"):
        read_state(weights)
