import json

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from benchmarks.device_nms import CardNms
from convert.__main__ import main
from convert.aipp.config import aipp_of
from convert.conversion_plan import plan_conversion
from convert.precision.card_rounding import with_runnable_nms
from convert.precision.modes import Keep, Rules
from convert.precision.simulate import card_graph
from convert.product_graphs import frozen_graph
from detector.errors import SpecError
from detector.nms.function import nms_attributes
from detector.onnx_files.read_write import read_onnx
from detector.spec.decode import DecodeSpec
from detector.spec_files import load_spec
from tests.conftest import run_onnx
from tests.convert.aipp.arithmetic import apply
from tests.convert.precision import planted


@pytest.fixture
def card(canonical, tmp_path):
    path = planted.written(planted.softplus(canonical), tmp_path)
    plan = plan_conversion(path, batch_size=2, target="cpu", output=tmp_path / "t")
    return card_graph(plan, frozen_graph(plan))


def run_all(model, feeds):
    """Every tensor of a graph that is no subject of its NMS function."""
    whole = onnx.ModelProto()
    whole.CopyFrom(model)
    names = [name for node in model.graph.node for name in node.output if name]
    del whole.graph.output[:]
    whole.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(whole.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return dict(zip(names, session.run(names, feeds), strict=True)) | feeds


def run_one(node, model, feeds):
    """One operator in float32."""
    kinds = {name: helper.np_dtype_to_tensor_dtype(value.dtype) for name, value in feeds.items()}
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info(name, kinds[name], value.shape) for name, value in feeds.items()],
        [onnx.ValueInfoProto(name=name) for name in node.output],
    )
    single = helper.make_model(graph, opset_imports=model.opset_import, ir_version=9)
    return ort.InferenceSession(single.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, feeds)


def check_storage(simulated, images):
    """Every operator outside NMS stores numpy's float16 of its float32 result; how many were compared."""
    tensors = run_all(simulated, {"input": images})
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in simulated.graph.initializer} | tensors
    compared = 0
    for node in simulated.graph.node:
        if node.domain or node.op_type == "Cast" or node.name.startswith("device."):
            continue
        feeds = {name: values[name] for name in node.input if name}
        assert all(np.array_equal(half(x), x, equal_nan=True) for x in feeds.values() if x.dtype == np.float32), (
            node.name
        )
        for name, expected in zip(node.output, run_one(node, simulated, feeds), strict=True):
            found = values[name.removesuffix(".unrounded")]
            np.testing.assert_array_equal(found, half(expected), err_msg=node.name)
            compared += 1
    return compared


def half(value):
    if value.dtype != np.float32:
        return value
    with np.errstate(over="ignore"):
        return value.astype(np.float16).astype(np.float32)


def test_every_operator_of_a_detector_stores_float16(card):
    assert check_storage(card.simulated(Rules()), planted.bright_cells()) > 10


def test_the_cards_nms_is_not_rounded_a_second_time(card):
    made = [node.name for node in card.simulated(Rules()).graph.node]
    assert any(name.startswith("device.") for name in made)
    assert not any(name.startswith("round.") and ".device." in name for name in made)


def test_nodes_have_the_names_that_atc_sees(canonical, card, tmp_path):
    path = planted.written(planted.softplus(canonical), tmp_path)
    main(["--onnx", str(path), "--batch_size", "2", "--target", "cpu", "--output", str(tmp_path / "c")])
    lowered = {node.name for node in read_onnx(tmp_path / "c.atc.onnx").graph.node}
    assert set(card.float_nodes) <= lowered
    assert {"planted.exp.power", "planted.log.soft"} <= set(card.float_nodes)


def test_kept_operators_are_an_island(card):
    images = planted.bright_cells()
    by_name = Rules(keep=Keep(frozenset({"planted.exp.power", "planted.add.lifted"})))
    tensors = run_all(card.simulated(by_name), {"input": images})
    assert tensors["power"].max() > 65504
    np.testing.assert_array_equal(tensors["lifted"], tensors["power"] + np.float32(1))
    by_type = run_all(card.simulated(Rules(keep=Keep(types=frozenset({"Exp", "Add"})))), {"input": images})
    np.testing.assert_array_equal(by_type["lifted"], tensors["lifted"])
    assert np.isinf(run_all(card.simulated(Rules()), {"input": images})["power"].max())


def test_a_name_that_atc_would_not_find_is_an_error(card):
    with pytest.raises(SpecError, match=r"keep_dtype names the node 'node_exp', which the lowered graph lacks"):
        card.simulated(Rules(keep=Keep(frozenset({"node_exp"}))))
    with pytest.raises(SpecError, match=r"names OpType::Conv, .*; its Ascend IR types are Add, AvgPoolV2, "):
        card.simulated(Rules(keep=Keep(types=frozenset({"Conv"}))))


def test_the_command_writes_a_model_that_carries_its_precision(canonical, tmp_path, capsys, caplog):
    caplog.set_level("INFO")
    path, output = planted.written(canonical, tmp_path), tmp_path / "om" / "forecast"
    main(["simulate", "--onnx", str(path), "--batch_size", "2", "--precision_mode", "fp16", "--output", str(output)])
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == {
        "model": f"{output}.onnx",
        "precision": "fp16 (simulated)",
        "float16_inside": {},
        "range": None,
    }
    assert "a prediction: " in caplog.text
    assert "UNCONFIRMED" in caplog.text
    assert load_spec(f"{output}.onnx").precision == "fp16 (simulated)"
    found = run_onnx(onnx.load(f"{output}.onnx"), planted.bright_cells())
    assert {name: value.shape for name, value in found.items()} == {"labels": (2, 10), "dets": (2, 10, 5)}


def test_the_range_of_what_computes_in_float16_inside(canonical, tmp_path, capsys, caplog):
    caplog.set_level("INFO")
    path, output = planted.written(planted.softplus(canonical), tmp_path), tmp_path / "forecast"
    given = ["simulate", "--onnx", str(path), "--batch_size", "2", "--output", str(output)]
    main(given)
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    ends = [f"{output}.low.onnx", f"{output}.high.onnx"]
    assert (told["float16_inside"], told["range"]) == ({"Exp": 1, "RealDiv": 1}, ends)
    assert "Exp (1), RealDiv (1) computes, or may compute, in float16 inside: beside the forecast, " in caplog.text
    assert [load_spec(end).precision for end in ends] == [
        "force_fp16 (simulated, low end)", "force_fp16 (simulated, high end)",
    ]  # fmt: skip
    images = planted.bright_cells() / np.float32(4)  # without overflow
    low, nearest, high = (
        run_all(onnx.load(file), {"input": images})["power"] for file in (ends[0], f"{output}.onnx", ends[1])
    )
    cells = nearest > 0  # the dark ones underflow
    assert (low < nearest)[cells].all()
    assert (nearest < high)[cells].all()
    (tmp_path / "modes.ini").write_text("[ByOpType]\nExp=high_precision\nRealDiv=high_precision\nSqrt=high_precision\n")
    main([*given, "--atc", f"op_precision_mode={tmp_path / 'modes.ini'}"])
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (told["float16_inside"], told["range"]) == ({}, None)
    assert not list(tmp_path.glob("forecast.*.onnx"))
    assert "op_precision_mode: Sqrt=high_precision: not simulated; what is: modes of Exp, RealDiv" in caplog.text


def test_one_simulated_graph_serves_every_gear(canonical, tmp_path):
    path = planted.written(canonical, tmp_path)

    def written(name, *options):
        main(["simulate", "--onnx", str(path), "--output", str(tmp_path / name), *options])
        return onnx.load(tmp_path / f"{name}.onnx")

    cells = planted.bright_cells()
    wide = np.concatenate([cells, cells[..., :32]], 3)
    for number, gears in enumerate(("image_sizes=[[64,96],[64,128]]", "dims=[[2,64,96],[2,64,128]]")):
        batch = ("--batch_size", "2") if gears.startswith("image") else ()
        geared = written(f"gears{number}", *batch, "--atc", gears)
        for images, canvas in ((cells, "64,96"), (wide, "64,128")):
            alone = run_onnx(written(f"alone{images.shape[3]}", "--batch_size", "2", "--canvas", canvas), images)
            together = run_onnx(geared, images)
            assert all(np.array_equal(together[name], alone[name]) for name in alone)


def test_bytes_are_normalized_before_the_simulated_graph(canonical, tmp_path):
    path = planted.written(canonical, tmp_path)
    for dtype in ("float32", "uint8"):
        output = str(tmp_path / dtype)
        main(["simulate", "--onnx", str(path), "--batch_size", "2", "--dtype", dtype, "--output", output])
    pixels = np.random.default_rng(0).integers(0, 256, (2, 64, 96, 3), np.uint8)
    aipp = aipp_of(load_spec(str(tmp_path / "uint8.onnx")))
    given = run_onnx(onnx.load(tmp_path / "uint8.onnx"), pixels)
    fed = run_onnx(onnx.load(tmp_path / "float32.onnx"), apply(aipp, pixels).astype(np.float32))
    assert all(np.array_equal(given[name], fed[name]) for name in fed)


def test_a_mix_list_needs_a_mixed_mode(canonical, tmp_path):
    path = planted.written(canonical, tmp_path)
    (tmp_path / "mix.json").write_text('{"white-list": {"to-add": ["Exp"]}}')
    given = ["simulate", "--onnx", str(path), "--batch_size", "2", "--output", str(tmp_path / "forecast"),
             "--modify_mixlist", str(tmp_path / "mix.json")]  # fmt: skip
    with pytest.raises(SpecError, match=r"--modify_mixlist needs .* mixed_float16, got force_fp16"):
        main(given)
    main([*given, "--precision_mode", "mixed_float16"])
    assert (tmp_path / "forecast.onnx").is_file()


def test_the_input_is_not_overwritten(canonical, tmp_path):
    path = planted.written(canonical, tmp_path)
    with pytest.raises(SpecError, match="would overwrite the input"):
        main(["simulate", "--onnx", str(path), "--batch_size", "2", "--output", str(path.with_suffix(""))])


@pytest.mark.parametrize(("spread", "size"), [(60, 50), (20, 50), (4, 50), (5, 400), (12, 400)])
def test_the_cards_operator_is_its_numpy_model(spread, size):
    """Boxes apart from each other, and in each other's way."""
    generator = np.random.default_rng(0)
    corners = (np.stack(np.meshgrid(np.arange(10), np.arange(10)), -1).reshape(1, -1, 2) * spread).astype(np.float32)
    sides = generator.uniform(size / 5, size, (2, 100, 2)).astype(np.float32)
    near = corners + generator.uniform(0, 9, (2, 100, 2)).astype(np.float32)
    boxes = np.concatenate([near, near + sides], -1)[:, :, None]
    scores = generator.permuted(np.linspace(0.01, 1, 300).astype(np.float32).reshape(1, -1), axis=1)
    scores = np.repeat(scores.reshape(1, 100, 3), 2, 0)
    half_, int_ = TensorProto.FLOAT16, TensorProto.INT32
    decode = DecodeSpec(max_detections=20 if size == 50 else 200, iou_threshold=0.65)
    outputs = [("nmsed_boxes", half_), ("nmsed_scores", half_), ("nmsed_classes", half_), ("nmsed_num", int_)]
    node = helper.make_node(
        "BatchMultiClassNMS", ["boxes", "scores"], [name for name, _ in outputs], name="nms", **nms_attributes(decode)
    )
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info("boxes", half_, boxes.shape),
         helper.make_tensor_value_info("scores", half_, scores.shape)],
        [helper.make_tensor_value_info(name, kind, None) for name, kind in outputs],
    )  # fmt: skip
    model = with_runnable_nms(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7))
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    found = session.run(None, {"boxes": boxes.astype(np.float16), "scores": scores.astype(np.float16)})
    expected = CardNms.of_node(node)(boxes.astype(np.float16), scores.astype(np.float16))
    used = expected[1] > 0  # the class of an unused row means nothing
    for ours, theirs in zip(found[:3], expected[:3], strict=True):
        np.testing.assert_array_equal(ours[used], theirs[used])
    assert not found[0][~used].any()
    assert not found[1][~used].any()
    np.testing.assert_array_equal(found[3], expected[3])
