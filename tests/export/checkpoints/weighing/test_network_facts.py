from pathlib import Path

import pytest

from detector.errors import CheckpointError, SpecError
from export.checkpoints.weighing.network_facts import ASSUMED, Decision, Facts, decide
from export.families.fcos import FcosNetwork

FILE = Path("w.pth")
VALUES = {
    "depth": 18,
    "style": "pytorch",
    "stem_channels": 8,
    "base_channels": 8,
    "groups": 1,
    "base_width": 8,
    "bn_eps": 1e-5,
    "fpn_channels": 32,
    "p6_from": "P5",
    "relu_before_p7": True,
    "strides": (8, 16, 32, 64, 128),
    "head_channels": 32,
    "cls_convs": 1,
    "box_convs": 1,
    "cls_norm": "GN",
    "box_norm": "GN",
    "same_padding": False,
    "cell_step": "stride",
    "point_offset": 0.5,
    "norm_groups": 8,
    "gn_eps": 1e-5,
    "tower_conv_bias": False,
    "centerness_on_reg": False,
    "norm_on_bbox": False,
    "num_classes": 3,
}
GUESSED = (
    *("style", "bn_eps", "gn_eps", "relu_before_p7", "strides", "norm_groups", "centerness_on_reg"),
    "norm_on_bbox",
)


def facts(names: tuple[str, ...], source: str, **changes: object) -> Facts:
    result = Facts()
    for name in names:
        result.add(name, changes.get(name, VALUES[name]), source)
    return result


def run(given: dict[str, object], *, text: Facts | None = None, **guesses: object) -> Decision:
    shapes = facts(tuple(name for name in VALUES if name not in GUESSED), "shapes")
    guessed = facts(GUESSED, f"{ASSUMED}so", **guesses)
    return decide(FILE, FcosNetwork, shapes=shapes, known=text or Facts(), guesses=guessed, given=given)  # type: ignore[arg-type]


def test_every_field_has_a_source():
    decision = run({})
    assert decision.values == VALUES
    assert decision.sources["depth"] == "shapes"
    assert decision.sources["style"] == "assumed: so"
    assert not decision.questions


def test_what_the_user_gives_may_repeat_the_file():
    assert run({"depth": 18, "num_classes": 3, "cls_norm": "GN"}).values["depth"] == 18


def test_the_user_cannot_contradict_the_file():
    with pytest.raises(SpecError, match=r"network\.num_classes is 80 in the spec, but 3 in w\.pth \(shapes\)"):
        run({"num_classes": 80})


@pytest.mark.parametrize(("given", "agrees"), [("1.0000000001e-5", True), ("1.0001e-5", False), ("0.995e-5", False)])
def test_numbers_agree_to_the_digits_that_authors_write(given: str, agrees: bool):
    text = Facts.of("config text", bn_eps=1e-5)
    if agrees:
        assert run({"bn_eps": given}, text=text).values["bn_eps"] == 1e-5
        return
    with pytest.raises(SpecError, match=rf"network\.bn_eps is {float(given)!r} in the spec, but 1e-05 in w\.pth"):
        run({"bn_eps": given}, text=text)


def test_the_user_decides_guesses():
    decision = run({"style": "caffe", "bn_eps": "1e-3", "strides": "4,8,16,32,64", "norm_on_bbox": True})
    wanted = {"style": "caffe", "bn_eps": 1e-3, "strides": (4, 8, 16, 32, 64), "norm_on_bbox": True}
    assert {name: decision.values[name] for name in wanted} == wanted
    assert decision.sources["style"] == "given by the spec"


def test_text_overrules_guesses_and_binds_the_user():
    text = facts(("style",), "config text", style="caffe")
    assert run({}, text=text).values["style"] == "caffe"
    with pytest.raises(SpecError, match=r"'pytorch' in the spec, but 'caffe' in w\.pth \(config text\)"):
        run({"style": "pytorch"}, text=text)


def test_text_and_shapes_must_agree():
    text = facts(("depth",), "config text (model.backbone.depth)", depth=50)
    with pytest.raises(
        CheckpointError, match=r"depth is 50 by its config text \(model\.backbone\.depth\), but 18 by shapes"
    ):
        run({}, text=text)


def test_what_the_file_does_not_tell_is_an_open_question():
    decision = run({}, norm_groups=None)
    assert decision.questions == {"norm_groups": "so"}
    assert "norm_groups" not in decision.values
    assert run({"norm_groups": 4}, norm_groups=None).values["norm_groups"] == 4


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"num_clases": 3}, r"unknown key 'network\.num_clases'; did you mean 'num_classes'"),
        ({"style": "cafe"}, "expected 'pytorch' or 'caffe', got 'cafe'"),
        ({"depth": True}, "expected int, got True"),
        ({"norm_on_bbox": 1}, "expected bool, got 1"),
        ({"bn_eps": "small"}, "got 'small'"),
        ({"bn_eps": True}, "expected a finite number, got True"),
        ({"strides": "8;16"}, "got '8;16'"),
    ],
)
def test_a_mistaken_fact_is_named(given: dict[str, object], message: str):
    with pytest.raises(SpecError, match=message):
        run(given)
