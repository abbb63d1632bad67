from pathlib import Path

import pytest

from detector.coco import COCO_CATEGORIES
from detector.errors import SpecError
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
        match=r":6: graph\.outputs: must name dets and labels; boxes, scores and labels; or boxes and scores, got",
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
