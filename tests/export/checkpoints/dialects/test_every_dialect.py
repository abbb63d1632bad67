"""What holds for every dialect: names, values, and that nothing half-right loads."""

import re

import pytest
import torch

from detector.errors import CheckpointError, SpecError
from export.families import family_of
from export.families.retinanet import RetinaNetwork
from tests.export.checkpoints.dialects.framework_names import SAMPLES, Sample, State, examine_state, read_state

PAIRS = [
    (first, second)
    for first in SAMPLES
    for second in SAMPLES
    if first != second and "torchvision_old" not in (first, second)
]

SAME_BACKBONE = [
    {"detectron2", "cvpods", "adelaidet"},
    {"torchvision_fcos", "torchvision_retinanet"},
    {"mmdet_fcos", "mmdet_retinanet", "mmdet_atss"},
]


@pytest.fixture(scope="module", params=SAMPLES)
def sample(request) -> Sample:
    return SAMPLES[request.param]


@pytest.fixture(scope="module")
def state(sample: Sample) -> State:
    return sample.theirs(sample.ours())


def kinds(state: State) -> dict[str, str]:
    """One name of each kind: what differs in numbers only is of the same kind."""
    return {re.sub(r"\d+", "#", name): name for name in reversed(state)}


def test_it_is_recognised(sample: Sample, state: State):
    found = read_state(state, sample.given)
    assert found.dialect == sample.dialect
    assert found.detector == family_of(type(sample.config)).name


def test_every_tensor_finds_its_place(sample: Sample, state: State):
    ours, found = sample.ours(), read_state(state, sample.given).tensors
    if sample.dialect == "torchvision":  # the first row of every anchor is the background's, scales there are none
        anchors = len(ours["head.box.bias"]) // 4
        for name in ("head.cls.weight", "head.cls.bias"):
            ours[name] = ours[name].unflatten(0, (anchors, -1))[:, 1:].flatten(0, 1)
        if "head.scale" in ours:
            ours["head.scale"] = torch.ones(5)
    if sample.dialect == "mindspore":  # the second eps is in the variances
        for name in [name for name in ours if name.endswith("running_var") and ".bn1." not in name]:
            ours[name] = ours[name] + 9e-5
    assert found.keys() == ours.keys()
    assert [name for name in ours if not torch.equal(ours[name], found[name])] == []


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("name", ["head.box.bias", "head.cls_tower.1.conv.weight", "backbone.bn1.bias", "fpn.p7.bias"])
def test_numbers_that_are_none_are_named(sample: Sample, name: str, value: float):
    ours = sample.ours()
    ours[name] = ours[name].clone()
    ours[name].view(-1)[-1] = value
    theirs = sample.theirs(ours)
    (own,) = (key for key, tensor in theirs.items() if not tensor.isfinite().all())
    both = name if own == name else f"{own} = {name}"
    with pytest.raises(CheckpointError, match=rf": {re.escape(both)} holds NaN or infinity"):
        read_state(theirs, sample.given)


@pytest.mark.parametrize("prefix", ["module.", "model.", "module.model.", "_orig_mod.module."])
def test_wrappers_prefixes_are_no_part_of_names(sample: Sample, state: State, prefix: str):
    wrapped = {f"{prefix}{name}": tensor for name, tensor in state.items()}
    assert read_state({"model": wrapped}, sample.given).dialect == sample.dialect


def test_a_lost_tensor_is_an_error(sample: Sample, state: State):
    for kind, name in kinds(state).items():
        with pytest.raises(CheckpointError, match=r"framework_names\.py(:| has| lacks| holds)"):
            pytest.fail(kind) if read_state({k: v for k, v in state.items() if k != name}, sample.given) else None


def test_a_lost_tensor_of_the_backbone_is_named(sample: Sample):
    ours = sample.ours()
    del ours["backbone.layer2.1.bn2.running_var"]
    with pytest.raises(CheckpointError, match=r"lacks backbone\.layer2\.1\.bn2\.running_var \(canonical names\)"):
        read_state(sample.theirs(ours), sample.given)


def test_a_lost_layer_of_a_tower_is_an_error(sample: Sample):
    ours = {name: tensor for name, tensor in sample.ours(cls_convs=3).items() if "cls_tower.1." not in name}
    with pytest.raises(
        CheckpointError, match=r"has more than the network: (\S+ = )?head\.cls_tower\.2\.conv\.(bias|weight)"
    ):
        read_state(sample.theirs(ours), sample.given)


def test_a_misspelt_tensor_is_an_error(sample: Sample, state: State):
    for kind, name in kinds(state).items():
        module, _, word = name.rpartition(".")
        renamed = {f"{module}.old_{word}" if key == name else key: tensor for key, tensor in state.items()}
        with pytest.raises(CheckpointError):
            pytest.fail(kind) if read_state(renamed, sample.given) else None


@pytest.mark.parametrize("name", ["mask_head.fcn.weight", "backbone.layer1.0.se.fc1.weight", "iou_pred.weight"])
def test_a_tensor_too_many_is_named(sample: Sample, state: State, name: str):
    with pytest.raises(CheckpointError, match=re.escape(name) + "|instance-segmentation"):
        read_state(state | {name: torch.ones(4, 4)}, sample.given)


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_halves_of_two_dialects_are_no_detector(first: str, second: str):
    one, other = (SAMPLES[name].theirs(SAMPLES[name].ours()) for name in (first, second))
    for start in (0, 1):
        mixed = dict([*list(one.items())[start::2], *list(other.items())[1 - start :: 2]])
        for given in (SAMPLES[second].given, *([SAMPLES[first].given] if SAMPLES[first].given else [])):
            with pytest.raises((CheckpointError, SpecError)):
                read_state(mixed, given)


@pytest.mark.parametrize(
    ("first", "second"), [pair for pair in PAIRS if not any(set(pair) <= names for names in SAME_BACKBONE)]
)
def test_the_head_of_one_on_the_backbone_of_another_is_no_detector(first: str, second: str):
    one, other = (SAMPLES[name].ours() for name in (first, second))
    backbone = SAMPLES[first].theirs({name: t for name, t in one.items() if not name.startswith("head.")})
    head = SAMPLES[second].theirs({name: t for name, t in other.items() if name.startswith("head.")})
    with pytest.raises((CheckpointError, SpecError)):
        read_state(backbone | head, SAMPLES[second].given)


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_two_whole_detectors_are_no_detector(first: str, second: str):
    one, other = (SAMPLES[name].theirs(SAMPLES[name].ours()) for name in (first, second))
    with pytest.raises((CheckpointError, SpecError)):
        read_state(one | other, SAMPLES[second].given)


@pytest.mark.parametrize("classes", [1, 300])
def test_custom_classes(sample: Sample, classes: int):
    found = read_state(
        sample.theirs(sample.ours(num_classes=classes + (sample.dialect == "torchvision"))), sample.given
    )
    assert found.network.num_classes == classes
    assert found.classes is None
    assert found.sources["classes"] == "the file names no classes"


def test_frozen_statistics_say_where_the_stride_lies(sample: Sample):
    network = read_state(sample.theirs(sample.ours("folded", depth=50)), sample.given).network
    of_code = sample.dialect in ("torchvision", "mindspore")  # have it on the 3x3 convolution always
    assert network.style == ("pytorch" if of_code else "caffe")


def test_real_statistics_leave_the_stride_open(sample: Sample):
    state = sample.theirs(sample.ours(depth=50))
    questions = examine_state(state, sample.given).decision.questions
    assert ("style" in questions) == (sample.dialect not in ("torchvision", "mindspore"))


def test_the_stride_can_be_given(sample: Sample):
    state = sample.theirs(sample.ours(depth=50))
    if sample.dialect in ("torchvision", "mindspore"):
        with pytest.raises(SpecError, match=r"network\.style is 'caffe' in the spec, but 'pytorch' in .* code\)"):
            read_state(state, {**sample.given, "style": "caffe"})
    else:
        found = read_state(state, {**sample.given, "style": "caffe"})
        assert (found.network.style, found.sources["style"]) == ("caffe", "given by the spec")


def test_grouped_convolutions_are_resnext(sample: Sample):
    ours = sample.ours(depth=50, groups=4, base_width=2)
    network = read_state(sample.theirs(ours), sample.given).network
    assert (network.groups, network.base_width, network.style) == (4, 2, "pytorch")


def test_equal_channels_leave_the_input_of_p6_open(sample: Sample):
    state = sample.theirs(sample.ours(fpn_channels=64, p6_from="C5"))  # C5 has 64, too
    questions = examine_state(state, sample.given).decision.questions
    assert ("p6_from" in questions) == (sample.dialect not in ("torchvision", "mindspore"))
    if "p6_from" in questions:
        with pytest.raises(CheckpointError, match=r"P5 and C5 have as many channels.*--set network\.p6_from=…"):
            read_state(state, sample.given)
        assert read_state(state, {**sample.given, "p6_from": "C5"}).network.p6_from == "C5"


@pytest.mark.parametrize("name", [name for name, sample in SAMPLES.items() if sample.config.box_norm == "GN"])
def test_norm_groups_that_do_not_divide_are_asked_for(name: str):
    sample = SAMPLES[name]
    state = sample.theirs(sample.ours(head_channels=48, norm_groups=16))
    with pytest.raises(
        CheckpointError, match=r"norm_groups: 32 groups do not divide 48 .*--set network\.norm_groups=…"
    ):
        read_state(state, sample.given)
    assert read_state(state, {**sample.given, "norm_groups": 16}).network.norm_groups == 16
    with pytest.raises(SpecError, match="norm_groups must divide 48 channels, got 32"):
        read_state(state, {**sample.given, "norm_groups": 32})


@pytest.mark.parametrize("name", [name for name, sample in SAMPLES.items() if isinstance(sample.config, RetinaNetwork)])
def test_anchors_other_than_nine_are_asked_for(name: str):
    sample = SAMPLES[name]
    state = sample.theirs(sample.ours(anchor_scales=(4.0,), num_classes=2))
    with pytest.raises(
        CheckpointError,
        match=r"have 3 anchors per cell, not 9; give .*network\.anchor_scales=….*network\.anchor_ratios=…",
    ):
        read_state(state, sample.given)
    answered = {**sample.given, "anchor_scales": "4", "anchor_ratios": "0.5,1,2"}
    assert read_state(state, answered).network.anchor_scales == (4.0,)
    with pytest.raises(CheckpointError, match=r"head\.(box|cls)\.(weight|bias) has shape"):
        read_state(state, {**answered, "anchor_scales": "4,8"})
    with pytest.raises(SpecError, match=r"anchor_scales must be from 0\.001 to 1000, got 0\.0"):
        read_state(state, {**answered, "anchor_scales": "0"})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"depth": 50}, r"network\.depth is 50 in the spec, but 18"),
        ({"num_classes": 77}, r"network\.num_classes is 77 in the spec, but \d"),
        ({"cls_convs": 4}, r"network\.cls_convs is 4 in the spec, but 2"),
        ({"fpn_channels": 256}, r"network\.fpn_channels is 256 in the spec, but 32"),
        ({"cell_step": "image"}, r"network\.cell_step: expected 'stride' or 'canvas', got 'image'"),
        ({"strides": "8,16,32,64"}, r"strides must be 5 numbers \(P3 to P7\), got 8,16,32,64$"),
        ({"bn_eps": [1]}, r"network\.bn_eps: expected a finite number, got \[1\]"),
        ({"bn_eps": None}, r"network\.bn_eps: expected a finite number, got None"),
        ({"bn_eps": -1}, r"bn_eps (must be from 0 to 0\.1, got -1|is -1\.0 in the spec, but)"),
        ({"bn_eps": 1e9}, r"bn_eps (must be from 0 to 0\.1, got 1000000000|is 1000000000\.0 in the spec, but)"),
        ({"strides": "8,16,32,64,1000000"}, r"strides must be from 1 to 4096, got 8,16,32,64,1000000$"),
        ({"norm_groups": 0}, r"norm_groups must divide 32 channels, got 0"),
        ({"strides": "8,16,32,64,x"}, r"network\.strides: expected .* commas .*, got '8,16,32,64,x'"),
        ({"strides": [8, 16, 32, 64, 128]}, r"network\.strides: expected .* commas .*, got \[8, 16, 32, 64, 128\]"),
        ({"strid": "8"}, r"unknown key 'network\.strid'; did you mean 'strides'"),
    ],
)
def test_answers_that_contradict_the_file_are_errors(sample: Sample, state: State, given: dict, message: str):
    with pytest.raises(SpecError, match=message):
        read_state(state, {**sample.given, **given})


@pytest.mark.parametrize("odd", [torch.tensor(1.0), torch.zeros(0, 3, 3, 3)])
def test_a_tensor_of_an_odd_shape_or_type_is_an_error(sample: Sample, state: State, odd: torch.Tensor):
    for kind, name in kinds(state).items():
        if "layer" in kind or "res#" in kind or name.endswith(".scale"):
            continue
        with pytest.raises(CheckpointError, match=r"framework_names\.py"):
            pytest.fail(kind) if read_state(state | {name: odd}, sample.given) else None
