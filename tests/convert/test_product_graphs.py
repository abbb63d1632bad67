"""A file that is called ours, and was changed since."""

import pytest

from convert.conversion_plan import plan_conversion
from convert.graph.isolated import IllegalGraphError
from convert.product_graphs import frozen_graph, lowered_graph, stand_in_graph
from convert.sound.graph import read_sound
from detector.errors import ArtifactError, SpecError
from detector.onnx_files.read_write import embed_spec, write_onnx
from detector.spec import replace
from tests.conftest import run_onnx
from tests.convert.foreign import images_of

pytestmark = pytest.mark.usefixtures("no_atc")


@pytest.fixture
def frozen(tmp_path):
    def freeze(model):
        write_onnx(tmp_path / "m.onnx", model)
        return frozen_graph(plan_conversion(tmp_path / "m.onnx", batch_size=1, target="cpu")).model

    return freeze


@pytest.mark.parametrize("count", [2, 7])
def test_a_spec_of_other_classes_than_the_scores_have(canonical, spec, frozen, count):
    names = [f"class_{index}" for index in range(count)]
    embed_spec(canonical, replace(spec, classes=names))
    with pytest.raises(SpecError, match=rf"scores of 3 classes, and the spec inside it names {count}: export it again"):
        frozen(canonical)


def test_nodes_in_any_order_are_sorted(canonical, frozen):
    exact = run_onnx(frozen(canonical), images_of(0.5))
    nodes = [type(node).FromString(node.SerializeToString()) for node in reversed(canonical.graph.node)]
    del canonical.graph.node[:]
    canonical.graph.node.extend(nodes)
    found = run_onnx(frozen(canonical), images_of(0.5))
    assert all((found[name] == exact[name]).all() for name in ("labels", "dets"))


def test_nodes_in_a_circle_are_refused(canonical, frozen):
    canonical.graph.node[0].input[0] = "dets"
    with pytest.raises(ArtifactError, match=r"m\.onnx is not valid ONNX: its nodes go in a circle around"):
        frozen(canonical)


def test_an_operator_that_does_not_exist_is_refused(canonical, frozen):
    canonical.graph.node[0].op_type = "AveragePoll"
    with pytest.raises(ArtifactError, match=r"m\.onnx is not valid ONNX: .*AveragePoll"):
        frozen(canonical)


def test_what_onnx_itself_dies_of_names_the_file(canonical, frozen, monkeypatch):
    monkeypatch.setenv("OMLINE_MAX_FOLDED_BYTES", "8")
    with pytest.raises(SpecError, match=r"m\.onnx: node .*OMLINE_MAX_FOLDED_BYTES"):
        frozen(canonical)


def test_each_graph_of_a_conversion_names_the_file(canonical, tmp_path, monkeypatch):
    write_onnx(tmp_path / "m.onnx", canonical)
    plan = plan_conversion(tmp_path / "m.onnx", batch_size=1, target="cpu")
    static = frozen_graph(plan)

    def refused(*_):
        raise IllegalGraphError("it takes more than 10 bytes of memory")

    for make, part in ((stand_in_graph, "with_precise_norms"), (lowered_graph, "lower")):
        monkeypatch.setattr(f"convert.product_graphs.{part}", refused)
        with pytest.raises(SpecError, match=r"m\.onnx: it takes more than 10 bytes of memory"):
            make(plan, static)


@pytest.mark.parametrize("options", [{}, {"image_sizes": [[64, 96], [96, 64], [64, 64]]}])
def test_the_file_is_read_once_for_all_gears(canonical, tmp_path, monkeypatch, options):
    write_onnx(tmp_path / "m.onnx", canonical)
    sizes = 2 if options else (1, 2, 4)
    plan = plan_conversion(tmp_path / "m.onnx", batch_size=sizes, target="cpu", options=options)
    reads = []
    monkeypatch.setattr("convert.product_graphs.read_sound", lambda path, **_: reads.append(path) or read_sound(path))
    frozen = frozen_graph(plan)
    lowered_graph(plan, frozen)
    stand_in_graph(plan, frozen)
    assert reads == [tmp_path / "m.onnx"]
