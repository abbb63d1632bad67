import pytest
import torch

from detector.errors import CheckpointError, SpecError
from tests.export.checkpoints.dialects.framework_names import FLAGS, SAMPLES, examine_state, read_state

SAMPLE = SAMPLES["tianzhi"]


def test_facts_of_the_framework():
    network = read_state(SAMPLE.theirs(SAMPLE.ours()), FLAGS).network
    assert (network.bn_eps, network.point_offset, network.cell_step) == (0.0, 0.5, "stride")
    assert (network.relu_before_p7, network.p6_from, network.strides) == (True, "P5", (8, 16, 32, 64, 128))


def test_recipe_of_the_framework():
    recipe = read_state(SAMPLE.theirs(SAMPLE.ours()), FLAGS).recipe
    assert (recipe.image["channels"], recipe.image["mean"]) == ("BGR", (102.9801, 115.9465, 122.7717))
    assert (recipe.image["resize"], recipe.image["filter"]) == ("tianzhi", "pillow")
    assert recipe.image["exif"] == "ignored"
    assert recipe.image["decoder"] == "pillow"
    assert (recipe.decode["score"], recipe.decode["nms"]) == ("geometric_mean", "iou_plus_one")
    assert (recipe.decode["iou_threshold"], recipe.decode["last_pixel"], recipe.decode["inclusive"]) == (
        0.6,
        True,
        True,
    )


def test_both_flags_are_asked_for_by_name():
    with pytest.raises(
        CheckpointError,
        match=r"published models with the same names differ: true for FCOS_imprv_\*, false for FCOS_R_\*.*"
        r"--set network\.centerness_on_reg=…, --set network\.norm_on_bbox=…",
    ):
        read_state(SAMPLE.theirs(SAMPLE.ours()))


@pytest.mark.parametrize("flag", FLAGS)
def test_one_answer_leaves_the_other_question(flag: str):
    questions = examine_state(SAMPLE.theirs(SAMPLE.ours()), {flag: True}).decision.questions
    assert [*questions] == [other for other in sorted(FLAGS) if other != flag]


@pytest.mark.parametrize("value", [True, False])
def test_the_answers_are_used(value: bool):
    network = read_state(SAMPLE.theirs(SAMPLE.ours()), dict.fromkeys(FLAGS, value)).network
    assert (network.norm_on_bbox, network.centerness_on_reg) == (value, value)


def test_the_eps_is_the_frameworks():
    with pytest.raises(
        SpecError, match=r"network\.bn_eps is 1e-05 in the spec, but 0\.0 in .*code of tianzhi0549/FCOS"
    ):
        read_state(SAMPLE.theirs(SAMPLE.ours()), {**FLAGS, "bn_eps": "1e-5"})


def test_towers_without_norms_count_in_twos():
    ours = SAMPLE.ours(cls_norm="none", box_norm="none")
    state = SAMPLE.theirs(ours)
    assert "rpn.head.cls_tower.2.weight" in state
    found = read_state(state, FLAGS)
    assert torch.equal(found.tensors["head.cls_tower.1.conv.weight"], ours["head.cls_tower.1.conv.weight"])
    assert (found.network.cls_norm, found.network.box_norm) == ("none", "none")


@pytest.mark.parametrize("shape", [(), (1,), (1, 1)])
def test_scales_of_any_shape(shape: tuple[int, ...]):
    ours = SAMPLE.ours()
    state = SAMPLE.theirs(ours)
    state |= {name: tensor.reshape(shape) for name, tensor in state.items() if name.endswith(".scale")}
    assert torch.equal(read_state(state, FLAGS).tensors["head.scale"], ours["head.scale"])


def test_p6_from_c5_shows_in_its_shape():
    assert read_state(SAMPLE.theirs(SAMPLE.ours(p6_from="C5")), FLAGS).network.p6_from == "C5"


def test_statistics_left_out_are_0_and_1():
    found = read_state(SAMPLE.theirs(SAMPLE.ours("none", depth=50)), FLAGS)
    assert found.network.style == "caffe"
    assert found.tensors["backbone.layer3.2.bn2.running_var"].unique().tolist() == [1]
    assert found.tensors["backbone.layer3.2.bn2.running_mean"].unique().tolist() == [0]


def test_a_variance_of_0_is_named_where_nothing_is_added_to_it():
    ours = SAMPLE.ours()
    name = "backbone.layer2.1.bn2.running_var"
    ours[name] = ours[name].clone()
    ours[name][3] = 0
    with pytest.raises(CheckpointError, match=rf"{name} holds a variance of 0, by whose root a batch norm of eps 0"):
        read_state(SAMPLE.theirs(ours), FLAGS)


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("backbone.body.layer3.0.conv2.offset.weight", "deformable convolutions"),
        ("rpn.head.cls_tower.9.offset.weight", "deformable convolutions"),
        ("backbone.body.features.1.conv.0.weight", "MobileNet"),
    ],
)
def test_relatives_are_refused(key: str, message: str):
    with pytest.raises(CheckpointError, match=message):
        read_state(SAMPLE.theirs(SAMPLE.ours()) | {key: torch.ones(2, 2)}, FLAGS)


def test_retinanet_of_maskrcnn_benchmark_is_refused():
    state = {
        name: tensor
        for name, tensor in SAMPLE.theirs(SAMPLE.ours()).items()
        if "centerness" not in name and "scales" not in name
    }
    with pytest.raises(CheckpointError, match=r"FCOS or RetinaNet of tianzhi0549/FCOS \(maskrcnn-benchmark\)"):
        read_state(state)
