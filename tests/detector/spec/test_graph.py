from pathlib import Path

import pytest

from detector.errors import SpecError
from detector.spec.coco_classes import COCO_CATEGORIES
from detector.spec_files import load_spec

TEXT = """detector: other
canvas: [64, 96]
image: {channels: RGB, mean: [0, 0, 0], std: [255, 255, 255]}
classes: [circle, square]
graph:
  outputs: {boxes: b, scores: s}
  boxes: cxcywh
"""


def load(tmp_path: Path, text: str):
    (tmp_path / "theirs.yaml").write_text(text)
    return load_spec(tmp_path / "theirs.yaml")


def test_the_graph_part_says_what_is_not_in_the_file(tmp_path):
    graph = load(tmp_path, TEXT).graph
    assert graph.outputs == {"boxes": "b", "scores": "s"}
    assert (graph.boxes, graph.units, graph.labels) == ("cxcywh", None, None)


@pytest.mark.parametrize("outputs", ["{boxes: b}", "{dets: d, scores: s, labels: l}", "{}"])
def test_outputs_are_named_together(tmp_path, outputs):
    with pytest.raises(
        SpecError,
        match=r":6: graph\.outputs: must name dets and labels; boxes, scores and labels; boxes and scores; or combined",
    ):
        load(tmp_path, TEXT.replace("{boxes: b, scores: s}", outputs))


def test_an_output_has_one_meaning(tmp_path):
    with pytest.raises(SpecError, match=r":6: graph\.outputs: names one output twice: boxes: b, scores: b"):
        load(tmp_path, TEXT.replace("scores: s", "scores: b"))


def test_a_mistyped_key_is_named_with_the_nearest(tmp_path):
    with pytest.raises(SpecError, match=r":7: unknown key 'graph\.boxs'; did you mean 'boxes'\?"):
        load(tmp_path, TEXT.replace("boxes: cxcywh", "boxs: cxcywh"))


def test_the_ids_of_cocos_categories_have_a_word(tmp_path):
    text = TEXT.replace("[circle, square]", "coco\ncategory_ids: coco")
    assert load(tmp_path, text).category_ids == tuple(number for number, _ in COCO_CATEGORIES)


@pytest.mark.parametrize("columns", ["[box]", "[box, score]", "[box, classes, label]", "[box, box, classes]", "[]"])
def test_columns_make_detections(tmp_path, columns):
    text = TEXT.replace("outputs: {boxes: b, scores: s}", f"columns: {columns}")
    with pytest.raises(SpecError, match=r":6: graph\.columns: must be, in the order of the output, box and classes;"):
        load(tmp_path, text)


def test_thousands_of_columns_are_told_in_brief(tmp_path):
    text = TEXT.replace("outputs: {boxes: b, scores: s}", f"columns: {[1] * 2000}")
    with pytest.raises(SpecError, match=r"got 1, 1, [1, ]{80,100}… of 5998 characters$"):
        load(tmp_path, text)


def test_columns_may_be_left_out_by_number(tmp_path):
    text = TEXT.replace("outputs: {boxes: b, scores: s}", "columns: [2, box, objectness, classes, 32]")
    assert load(tmp_path, text).graph.columns == (2, "box", "objectness", "classes", 32)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("outputs: {combined: o}", "outputs names a combined output: say its columns"),
        ("columns: [box, classes]\n  outputs: {boxes: b, scores: s}", "columns are of one output"),
    ],
)
def test_a_combined_output_and_its_columns_go_together(tmp_path, line, problem):
    with pytest.raises(SpecError, match=problem):
        load(tmp_path, TEXT.replace("outputs: {boxes: b, scores: s}", line))
