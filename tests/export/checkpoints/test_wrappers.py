import functools
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from torch.optim.swa_utils import AveragedModel

from detector.errors import CheckpointError
from export.checkpoints import open_checkpoint
from export.checkpoints.weighing.weights import Weights
from export.checkpoints.wrappers import Unwrapped, mappings_in, unwrap
from tests.export.checkpoints.dialects.framework_names import SAMPLES, State

Root = Callable[[State], dict[str, object]]


@functools.cache
def detector() -> State:
    return SAMPLES["mmdet_fcos"].theirs(SAMPLES["mmdet_fcos"].ours())


def recognise(keys) -> bool:
    return "bbox_head.conv_cls.weight" in keys


def found(root: Mapping[str, object], wanted: str | None = None) -> Unwrapped:
    return unwrap(root, recognise, wanted=wanted)


def under(prefix: str, state: State) -> State:
    return {prefix + name: tensor for name, tensor in state.items()}


def averaged(state: State) -> State:
    """What torch's averages of a network save."""
    return {"n_averaged": torch.tensor(7), **under("module.", state)}


def inside(state: State, outer: str, wrapper: str) -> State:
    return {name.replace(outer, f"{outer}{wrapper}"): tensor for name, tensor in state.items()}


WRAPPED: dict[str, tuple[Root, str, list[str]]] = {
    "bare": (lambda s: s, "", []),
    "state_dict": (lambda s: {"state_dict": s}, "state_dict", []),
    "model": (lambda s: {"model": s, "epoch": 3, "optimizer": {"state": {0: {"m": torch.ones(9)}}}}, "model", []),
    "nested": (lambda s: {"state_dict": {"state_dict": s}}, "state_dict.state_dict", ["under 'state_dict.state_dict'"]),
    "own key": (lambda s: {"checkpoint": {"my_detector": s}}, "checkpoint.my_detector", ["'checkpoint.my_detector'"]),
    "model_state_dict": (lambda s: {"model_state_dict": s}, "model_state_dict", ["under 'model_state_dict'"]),
    "ema": (lambda s: {"ema": {"module": s, "updates": 4}}, "ema.module", ["under 'ema.module'"]),
    "averaged": (averaged, "module", ["prefix 'module.'", "not read: 'n_averaged'"]),
    "lightning": (
        lambda s: {
            "state_dict": {**under("model.", s), "loss_weight": torch.ones(3), "metric.total": torch.ones(())},
            "pytorch-lightning_version": "2.4",
        },
        "state_dict.model",
        ["prefix 'model.'", "not read: 'loss_weight', 'metric.total'"],
    ),
    "own prefix": (lambda s: under("net.detector.", s), "net.detector", ["prefix 'net.detector.'"]),
    "student alone": (lambda s: under("student.", s), "student", ["prefix 'student.'"]),
    "compiled": (lambda s: under("_orig_mod.module.", s), "_orig_mod.module", ["prefix '_orig_mod.module.'"]),
    "compiled part": (lambda s: inside(s, "backbone.", "_orig_mod."), "", ["without '_orig_mod.'"]),
    "sharded": (
        lambda s: inside(inside(s, "layer1.", "_fsdp_wrapped_module."), "neck.", "_checkpoint_wrapped_module."),
        "",
        ["without '_checkpoint_wrapped_module.', '_fsdp_wrapped_module.'"],
    ),
    "parallel part": (lambda s: inside(s, "bbox_head.", "module."), "", ["without 'module.'"]),
    "mmcv's averages": (
        lambda s: {"state_dict": {**s, **{"ema_" + name.replace(".", "_"): t for name, t in s.items()}}},
        "state_dict",
        ["tensors ema_…, by mmcv what the weights are the moving average of, are not read"],
    ),
    "a loss with buffers": (
        lambda s: {**s, "bbox_head.loss_cls.weight": torch.ones(5)},
        "",
        ["not read: 'bbox_head.loss_cls.weight'"],
    ),
}


@pytest.mark.parametrize(("root", "keys", "notes"), WRAPPED.values(), ids=WRAPPED.keys())
def test_wrappers_are_taken_off_and_said(root: Root, keys: str, notes: list[str]):
    state = detector()
    result = found(root({**state, "backbone.bn1.num_batches_tracked": torch.tensor(3)}))
    assert result.tensors.keys() == state.keys()
    assert all(result.tensors[name] is tensor for name, tensor in state.items())
    assert result.place.keys == keys
    assert result.counts_batches
    assert result.place.rivals == ()
    assert len(result.place.notes) == len(notes)
    assert all(wanted in note for wanted, note in zip(notes, result.place.notes, strict=True))


@pytest.mark.parametrize(
    ("keys", "taken", "why"),
    [
        (("ema", "model"), "model", "(by its name a moving average), passed over for those under 'model'"),
        (("state_dict_ema", "state_dict"), "state_dict", "(by its name a moving average)"),
        (("params_ema", "params"), "params", "(by its name a moving average)"),
        (("ema_state_dict", "state_dict"), "state_dict", "mmengine saves the moving average as 'state_dict'"),
        (("net", "state_dict"), "state_dict", "are other weights of a detector, passed over"),
        (("swa_model", "mine"), "mine", "(by its name a moving average)"),
    ],
)
@pytest.mark.parametrize("reverse", [False, True])
def test_of_two_sets_the_usual_one_is_taken_and_the_other_named(
    keys: tuple[str, ...], taken: str, why: str, reverse: bool
):
    root = {key: {name: tensor.clone() for name, tensor in detector().items()} for key in sorted(keys, reverse=reverse)}
    result = found(root)
    (rival,) = result.place.rivals
    (other,) = set(keys) - {taken}
    assert result.place.keys == taken
    assert result.tensors["bbox_head.conv_cls.bias"] is root[taken]["bbox_head.conv_cls.bias"]
    assert rival.startswith(f"under '{other}' are other weights")
    assert why in rival
    assert rival.endswith(f"--weights_key {other} takes them")
    chosen = found(root, other)  # the next step that the message names
    assert (chosen.place.keys, len(chosen.place.rivals)) == (other, 1)
    assert chosen.tensors["bbox_head.conv_cls.bias"] is root[other]["bbox_head.conv_cls.bias"]


def test_the_same_dictionary_under_two_keys_is_one():
    assert found({"model": detector(), "net": detector()}).place.rivals == ()


def test_of_equals_none_is_taken():
    root = {**under("teacher.", detector()), **under("student.", detector())}
    with pytest.raises(CheckpointError, match=r"several detectors: 'teacher', 'student'; .* --weights_key teacher$"):
        found(root)
    chosen = found(root, "teacher")
    assert chosen.place.keys == "teacher"
    assert chosen.tensors.keys() == detector().keys()


def test_a_key_that_leads_to_no_detector_is_an_error():
    with pytest.raises(CheckpointError, match=r"no known detector under 'emma' \(--weights_key\); it has .* 'ema'$"):
        found({"ema": detector()}, "emma")
    with pytest.raises(CheckpointError, match=r"no known detector under 'ema' \(--weights_key\)$"):
        found({"ema": {"a": torch.ones(1)}}, "ema")


def test_a_prefix_is_named_by_words_not_by_letters():
    with pytest.raises(CheckpointError, match="no known detector under 'mod'"):
        found({"model": detector()}, "mod")


def test_wrappers_that_hide_two_tensors_of_one_name_are_an_error():
    state = detector() | {"bbox_head.module.conv_cls.weight": torch.ones(1)}
    with pytest.raises(CheckpointError, match=r"two tensors called bbox_head\.conv_cls\.weight once wrappers"):
        found(state)


def test_torchs_own_average_of_a_network(tmp_path: Path):
    network = torch.nn.ModuleDict({"a": torch.nn.Linear(1, 1)})
    keys = AveragedModel(network).state_dict().keys()
    assert keys == averaged(network.state_dict()).keys()  # which stands for it above


def test_dictionaries_that_hold_each_other_are_met_once():
    # 2**30 ways lead to the innermost one
    root: dict[str, object] = {}
    for _ in range(30):
        root = {"a": root, "b": root}
    assert len(list(mappings_in(root))) == 4


def test_descriptions_beside_nested_weights_are_read(save: Callable[..., Path], tmp_path: Path):
    root = {"outer": {"meta": {"CLASSES": ("a",)}, "state_dict": OrderedDict(under("module.", detector()))}}
    file = open_checkpoint(save(root))
    assert (file.place.keys, file.meta) == ("outer.state_dict.module", {"CLASSES": ("a",)})


def test_a_chosen_set_is_what_an_export_gets(save: Callable[..., Path]):
    from export.checkpoints import read_weights

    other = {name: tensor + 1 for name, tensor in detector().items()}
    path = save({"model": detector(), "ema": other})
    weights: Weights = read_weights(path, {}, weights_key="ema")
    assert torch.equal(weights.tensors["head.cls.bias"], other["bbox_head.conv_cls.bias"])
    assert weights.place.keys == "ema"
    assert "--weights_key model takes them" in weights.place.rivals[0]
