"""One graph for all gears of an OM: what it computes at a gear is what the static graph of that gear computes."""

import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from benchmarks.lowered_graph import LoweredGraph
from convert.__main__ import main
from convert.atc.rules import check_arguments
from convert.build import convert
from convert.conversion_plan import plan_conversion
from convert.gears.batch import with_open_batch
from convert.gears.kernels import own
from convert.gears.open_shapes import folded_at, open_shapes
from convert.gears.shape import with_open_shape
from convert.graph.freeze import freeze
from convert.lint.check import lint
from convert.lint.command import lint_command
from convert.lower import lower
from detector.errors import SpecError
from detector.geometry import Size
from detector.onnx_files.read_write import write_onnx
from detector.spec_files import load_spec
from tests.conftest import run_onnx
from tests.convert import foreign


@pytest.fixture(autouse=True)
def no_atc(monkeypatch):
    monkeypatch.setenv("PATH", "/usr/bin:/bin")


@pytest.fixture
def model_file(canonical, tmp_path):
    write_onnx(tmp_path / "tiny.onnx", canonical)
    return tmp_path / "tiny.onnx"


def images(batch, height, width):
    return np.random.default_rng(batch + height).uniform(-2, 2, (batch, 3, height, width)).astype(np.float32)


def assert_as_static(merged, canonical, gears):
    for batch, height, width in gears:
        static = freeze(canonical, batch_size=batch, canvas=Size(height, width))
        given = images(batch, height, width)
        found, wanted = run_onnx(merged, given), run_onnx(static, given)
        np.testing.assert_array_equal(found["labels"], wanted["labels"])
        np.testing.assert_allclose(found["dets"], wanted["dets"], rtol=0, atol=1e-4)


def input_sizes(model):
    return [size.dim_param or size.dim_value for size in model.graph.input[0].type.tensor_type.shape.dim]


def assert_lowered_as_static(lowered, canonical, gears):
    """What atc gets, run by the model of the card, against the canonical graph."""
    for batch, height, width in gears:
        static = freeze(canonical, batch_size=batch, canvas=Size(height, width))
        given = images(batch, height, width)
        found, wanted = LoweredGraph(lowered).run(given), LoweredGraph(lower(static)).run(given)
        assert {name: each.tobytes() for name, each in found.items()} == {
            name: each.tobytes() for name, each in wanted.items()
        }


def test_batch_gears_leave_the_batch_open(canonical, model_file, tmp_path):
    done = convert(plan_conversion(model_file, batch_size=(1, 2, 5), output=tmp_path / "g"))
    made = onnx.load(done.model)
    assert input_sizes(made) == ["batch", 3, 64, 96]
    assert_as_static(made, canonical, [(1, 64, 96), (2, 64, 96), (5, 64, 96)])
    lowered = onnx.load(tmp_path / "g.atc.onnx")
    assert input_sizes(lowered) == ["batch", 3, 64, 96]
    assert_lowered_as_static(lowered, canonical, [(1, 64, 96), (5, 64, 96)])
    assert "--dynamic_batch_size=1,2,5" in done.command
    assert check_arguments(done.command) == []


def test_image_gears_leave_the_sides_open(canonical, model_file, tmp_path):
    options = {"image_sizes": [[64, 96], [96, 64], [32, 128]]}
    done = convert(plan_conversion(model_file, batch_size=2, options=options, output=tmp_path / "g"))
    made = onnx.load(done.model)
    assert input_sizes(made) == [2, 3, "height", "width"]
    assert_as_static(made, canonical, [(2, 64, 96), (2, 96, 64), (2, 32, 128)])
    lowered = onnx.load(tmp_path / "g.atc.onnx")
    assert input_sizes(lowered) == [2, 3, "height", "width"]
    for size in options["image_sizes"]:
        assert open_shapes(folded_at(lowered, {"input": (2, 3, *size)}, own), own) == []
    assert_lowered_as_static(lowered, canonical, [(2, 96, 64), (2, 32, 128)])
    assert check_arguments(done.command) == []


@pytest.mark.parametrize("nms", ["refine", "host"])
def test_gears_of_every_placement_of_suppression_are_closed(model_file, tmp_path, nms):
    options = {"image_sizes": [[64, 96], [96, 64]], "nms": nms}  # of one area: `host` gives every cell
    convert(plan_conversion(model_file, batch_size=2, options=options, output=tmp_path / "g"))
    lowered = onnx.load(tmp_path / "g.atc.onnx")
    for size in options["image_sizes"]:
        assert open_shapes(folded_at(lowered, {"input": (2, 3, *size)}, own), own) == []


@pytest.mark.parametrize("nms", ["refine", "host"])
def test_batch_gears_of_every_placement_of_suppression(canonical, model_file, tmp_path, nms):
    convert(plan_conversion(model_file, batch_size=(1, 3), options={"nms": nms}, output=tmp_path / "g"))
    lowered = onnx.load(tmp_path / "g.atc.onnx")
    assert input_sizes(lowered) == ["batch", 3, 64, 96]
    for batch in (1, 2, 3):
        alone = convert(plan_conversion(model_file, batch_size=batch, options={"nms": nms}, output=tmp_path / "one"))
        given = images(batch, 64, 96)
        wanted = LoweredGraph(onnx.load(tmp_path / "one.atc.onnx")).run(given)
        found = LoweredGraph(lowered).run(given)
        assert alone.obstacle is None
        assert {name: each.tobytes() for name, each in found.items()} == {
            name: each.tobytes() for name, each in wanted.items()
        }


def test_dimension_gears_leave_all_of_them_open(canonical, model_file, tmp_path):
    options = {"dims": [[1, 64, 96], [3, 96, 64]]}
    done = convert(plan_conversion(model_file, batch_size=None, options=options, output=tmp_path / "g"))
    made = onnx.load(done.model)
    assert input_sizes(made) == ["batch", 3, "height", "width"]
    assert_as_static(made, canonical, [(1, 64, 96), (3, 96, 64)])
    assert check_arguments(done.command) == []


def test_the_products_carry_the_gears(model_file, tmp_path):
    done = convert(plan_conversion(model_file, batch_size=(1, 4), output=tmp_path / "g"))
    assert load_spec(done.model).atc.batch_sizes == (1, 4)
    assert load_spec(tmp_path / "g.om").atc.batch_sizes == (1, 4)
    assert json.loads((tmp_path / "g.om.json").read_text())["batch_size"] == 4


@pytest.mark.parametrize(
    ("batch", "options"),
    [
        ((1, 2, 5), {}),
        (2, {"image_sizes": [[64, 96], [96, 64]]}),
        (None, {"dims": [[1, 64, 96], [3, 96, 64]]}),
    ],
)
def test_lint_finds_the_gears_in_the_file(model_file, tmp_path, batch, options):
    convert(plan_conversion(model_file, batch_size=batch, options=options, output=tmp_path / "g"))
    said = []
    assert lint_command([str(tmp_path / "g.atc.onnx")], said.append) == 0
    assert json.loads(said[-1])["verdict"] == "ok"


def test_the_number_of_the_gear_is_found_by_operators_of_the_card(model_file, tmp_path):
    options = {"image_sizes": [[64, 96], [96, 64]]}
    convert(plan_conversion(model_file, batch_size=2, options=options, output=tmp_path / "g"))
    report = lint(onnx.load(tmp_path / "g.atc.onnx"))  # as if atc did not fold them
    assert not [finding for finding in report.findings if finding.rule == "element-type"]


def test_a_foreign_detector_gets_gears(tmp_path):
    onnx.save(foreign.detector(foreign.three()), tmp_path / "theirs.onnx")
    spec = foreign.spec_of(foreign.PLAIN)
    done = convert(plan_conversion(tmp_path / "theirs.onnx", batch_size=(1, 2, 3), spec=spec, output=tmp_path / "g"))
    for brightness in ([1.0], [1.0, 0.5], [0.25, 1.0, 0.5]):
        found = run_onnx(onnx.load(done.model), foreign.images_of(*brightness))
        labels, dets = foreign.expected(brightness)
        np.testing.assert_array_equal(found["labels"], labels)
        np.testing.assert_allclose(found["dets"], dets, rtol=1e-6)


def graph_with(constant, op):
    """x -> op(x, constant)."""
    tensor = helper.make_tensor("c", TensorProto.FLOAT, constant.shape, constant.reshape(-1))
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [constant.shape[0], 2])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [constant.shape[0], 2])
    return helper.make_model(
        helper.make_graph([helper.make_node(op, ["x", "c"], ["y"], name="n")], "g", [x], [y], [tensor])
    )


def turned_back(size):
    """x (size, 2) -> its transpose -> (size, 2): the reshaped tensor has 2 rows, whatever the batch."""
    target = numpy_helper.from_array(np.array([size, 2]), "c")
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [size, 2]) for name in "xy")
    nodes = [helper.make_node("Transpose", ["x"], ["t"]), helper.make_node("Reshape", ["t", "c"], ["y"])]
    return helper.make_model(helper.make_graph(nodes, "g", [x], [y], [target]))


def test_a_reshape_to_the_batch_of_what_has_another_first_size():
    session = onnx.reference.ReferenceEvaluator(with_open_batch(turned_back, 4))
    x = np.arange(6, dtype=np.float32).reshape(3, 2)
    np.testing.assert_array_equal(session.run(None, {"x": x})[0], x.T.reshape(3, 2))


def widened(size, *, first):
    """x (size, 1) or (1, 1) -> (size, 2)."""
    target = numpy_helper.from_array(np.array([size, 2]), "c")
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [size, 1])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [size, 2])
    nodes = [] if first else [helper.make_node("ReduceSum", ["x"], ["sum"])]
    expand = helper.make_node("Expand", ["x" if first else "sum", "c"], ["y"], name="n")
    return helper.make_model(helper.make_graph([*nodes, expand], "g", [x], [y], [target]))


def test_an_expand_to_the_batch_keeps_the_rows_that_are_there():
    merged = with_open_batch(lambda size: widened(size, first=True), 4)
    (y,) = onnx.reference.ReferenceEvaluator(merged).run(None, {"x": np.arange(3, dtype=np.float32)[:, None]})
    np.testing.assert_array_equal(y, [[0, 0], [1, 1], [2, 2]])


def test_an_expand_of_one_row_to_the_batch_reads_the_batch():
    merged = with_open_batch(lambda size: widened(size, first=False), 4)
    (y,) = onnx.reference.ReferenceEvaluator(merged).run(None, {"x": np.arange(3, dtype=np.float32)[:, None]})
    np.testing.assert_array_equal(y, np.full((3, 2), 3))
    assert open_shapes(folded_at(merged, {"x": (3, 1)}, own), own) == []


def test_a_constant_with_a_row_per_image_is_cut():
    merged = with_open_batch(lambda size: graph_with(np.arange(2.0 * size).reshape(size, 2), "Add"), 4)
    session = onnx.reference.ReferenceEvaluator(merged)
    (y,) = session.run(None, {"x": np.zeros((3, 2), np.float32)})
    np.testing.assert_array_equal(y, np.arange(6.0).reshape(3, 2))


def test_a_constant_that_depends_on_the_batch_otherwise_is_refused():
    with pytest.raises(SpecError, match=r"atc\.batch_sizes: .* the constant 'c' of Add 'n' depends on it; make one OM"):
        with_open_batch(lambda size: graph_with(np.full((size, 2), size), "Add"), 4)


def test_the_batch_of_rows_is_read_by_operators_of_ge():
    merged = with_open_batch(lambda size: graph_with(np.arange(2.0 * size).reshape(size, 2), "Add"), 4)
    assert open_shapes(folded_at(merged, {"x": (3, 2)}, own), own) == []


def test_graphs_of_other_nodes_are_refused():
    graphs = [graph_with(np.ones((2, 2)), op) for op in ("Add", "Mul")]
    with pytest.raises(SpecError, match=r"atc\.image_sizes, atc\.dims: .* node 'n' \(Mul\) is another one"):
        with_open_shape(graphs)
    with pytest.raises(SpecError, match=r"atc\.batch_sizes: .* node 'n' \(Mul\) is another one at another batch size"):
        with_open_batch(lambda size: graphs[size - 1], 2)


# --- what is asked for ------------------------------------------------------------------------------------------------


def test_one_batch_size_on_the_command_line_drops_the_gears_of_the_spec(model_file):
    plan = plan_conversion(model_file, batch_size=8, options={"batch_sizes": [1, 4]})
    assert (plan.batch_size, plan.spec.atc.batch_sizes) == (8, None)


def test_the_spec_alone_says_the_gears(model_file):
    plan = plan_conversion(model_file, batch_size=None, options={"batch_sizes": [1, 4]})
    assert (plan.batch_size, plan.output.name) == (4, "tiny_bs1-4")


def test_no_batch_size_at_all_is_asked_for(model_file):
    with pytest.raises(SpecError, match=r"how many images per run\? give --batch_size 8 \(or 1,4,8\), or atc\.batch"):
        plan_conversion(model_file, batch_size=None)


def test_a_batch_size_beside_dimension_gears_is_refused(model_file):
    with pytest.raises(SpecError, match=r"atc\.dims of the spec says the batch sizes: leave out --batch_size"):
        plan_conversion(model_file, batch_size=1, options={"dims": [[1, 64, 96], [2, 64, 96]]})


def test_a_size_given_twice_is_refused(model_file):
    with pytest.raises(SpecError, match="--batch_size 4,4 lists a size twice"):
        plan_conversion(model_file, batch_size=(4, 4))


def test_an_illegal_option_is_refused_before_anything_is_written(model_file, tmp_path):
    with pytest.raises(SpecError, match=r"atc\.image_sizes: the canvas \[64, 96\] is none of the gears"):
        plan_conversion(model_file, batch_size=1, options={"image_sizes": [[32, 32], [64, 64]]})
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.onnx"]


def test_the_command_line_sets_options(model_file, tmp_path, capsys):
    main(
        ["--onnx", str(model_file), "--batch_size", "1,8", "--atc", "precision_mode_v2=origin", "--atc", "log=info",
         "--output", str(tmp_path / "x"), "--dry_run"]
    )  # fmt: skip
    command = json.loads(capsys.readouterr().out.splitlines()[-1])["command"]
    assert {"--dynamic_batch_size=1,8", "--precision_mode_v2=origin", "--log=info"} <= set(command)


def test_an_unknown_option_is_named_with_the_nearest(model_file):
    with pytest.raises(SpecError, match=r"unknown key 'atc\.batch_size'; did you mean 'batch_sizes'"):
        main(["--onnx", str(model_file), "--batch_size", "1", "--atc", "batch_size=4", "--dry_run"])


def test_files_of_options_lie_beside_the_script(model_file, tmp_path):
    (tmp_path / "my_types.cfg").write_text("OpType::Sigmoid\n")
    options = {"keep_dtype": str(tmp_path / "my_types.cfg")}
    done = convert(plan_conversion(model_file, batch_size=1, options=options, output=tmp_path / "om" / "t"))
    assert "--keep_dtype=t.keep_dtype.cfg" in (tmp_path / "om" / "t.atc.sh").read_text()
    assert (tmp_path / "om" / "t.keep_dtype.cfg").read_text() == "OpType::Sigmoid\n"
    assert tmp_path / "om" / "t.keep_dtype.cfg" in done.files
