"""The trained demo model: exported once, run at several batch sizes, worker counts and canvases."""

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest

from convert.build import convert
from convert.conversion_plan import plan_conversion
from convert.graph.fold import drop_dead
from convert.graph.freeze import freeze
from convert.graph.walk import rename
from convert.passes.precise_norm import with_precise_norms
from detector.geometry import Size
from detector.images.network_input import to_input
from detector.images.read_image import read_image
from detector.onnx_files.read_write import read_onnx
from detector.spec import replace
from detector.spec_files import load_spec, read_settings
from export.build import build_network, export
from export.network.nms_candidates import Candidates
from export.reference_nms import reference_nms
from export.verify import generated_picture
from tests.conftest import run_onnx
from tests.matching import match
from tests.test_pipeline import command

pytestmark = [pytest.mark.exports, pytest.mark.timeout(600)]

WEIGHTS = Path(__file__).resolve().parents[1] / "demo" / "weights" / "fcos_r18_shapes.pth"


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """The canonical ONNX of the demo model, compared with torch while it was exported."""
    path = tmp_path_factory.mktemp("demo") / "demo.onnx"
    return export(WEIGHTS, path, settings=read_settings("demo"), check=True)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Nine generated pictures: landscape, portrait and square."""
    folder = tmp_path_factory.mktemp("coco")
    command("demo.dataset", "--output", folder, "--split", "val", "--images", 9)
    return folder


def run(exported, images, folder, *, batch_size, workers):
    om, bins = folder / f"demo_bs{batch_size}", folder / f"bins_{workers}"
    command("convert", "--onnx", exported.onnx_file, "--batch_size", batch_size, "--target", "cpu", "--output", om)
    command(
        "preprocess", "--model", f"{om}.onnx", "--image_src_path", images / "val2017", "--bin_file_path", bins,
        "--workers", workers,
    )  # fmt: skip
    command(
        "infer", "--model", f"{om}.onnx", "--input", bins, "--output", folder, "--output_dirname", f"bs{batch_size}"
    )
    return folder / f"bs{batch_size}", bins


def test_the_export_was_verified(exported):
    assert exported.verification.head <= 1e-4
    assert exported.verification.scores <= 1e-4
    assert exported.spec.checkpoint.dialect == "mmdet"
    assert exported.spec.network["depth"] == 18


def test_an_export_is_reproducible_and_names_no_path_of_this_machine(exported):
    text = exported.onnx_file.read_bytes()
    assert str(Path(__file__).resolve().parents[1]).encode() not in text
    assert b"site-packages" not in text


def test_the_canonical_graph(exported):
    model = read_onnx(exported.onnx_file)
    onnx.checker.check_model(model, full_check=True)
    shapes = {
        value.name: [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*model.graph.input, *model.graph.output)
    }
    assert shapes == {
        "input": ["batch", 3, "height", "width"],
        "labels": ["batch", 100],
        "dets": ["batch", 100, 5],
    }
    assert [value.name for value in model.graph.output] == ["labels", "dets"]
    assert [function.name for function in model.functions] == ["BatchMultiClassNMS"]
    assert sum(node.op_type == "BatchMultiClassNMS" for node in model.graph.node) == 1
    assert {entry.domain: entry.version for entry in model.opset_import} == {"": 16, "omline": 1}
    assert load_spec(exported.onnx_file) == exported.spec


def test_results_are_bitwise_equal_and_those_of_torch(exported, images, tmp_path):
    results = {}
    for batch_size, workers in ((1, 1), (4, 2), (8, 2)):
        result, bins = run(exported, images, tmp_path, batch_size=batch_size, workers=workers)
        results[batch_size] = {file.name: file.read_bytes() for file in result.iterdir()}
    assert results[1] == results[4] == results[8]
    network = build_network(exported.weights, exported.spec)
    compared = 0
    for image in json.loads((bins / "manifest.json").read_text())["images"]:
        tensor, _ = to_input(read_image(images / "val2017" / image["file_name"]), exported.spec)
        import torch

        with torch.inference_mode():
            candidates, _ = network(torch.from_numpy(tensor)[None])
            labels, dets = reference_nms(candidates, exported.spec.decode, exported.spec.canvas)
        found = (
            np.frombuffer(results[8][f"{image['stem']}_0.bin"], np.int64),
            np.frombuffer(results[8][f"{image['stem']}_1.bin"], np.float32).reshape(-1, 5),
        )
        done = match(found, (labels[0].numpy(), dets[0].numpy()))
        assert done.unmatched == 0
        assert done.score <= 1e-4
        assert done.edge <= 1e-3
        compared += done.rows
    assert compared > 20


def test_a_canvas_need_not_be_a_multiple_of_32(exported):
    """The published guide runs 800 x 1333; feature maps then have odd sides."""
    import torch

    spec = exported.spec.with_canvas(Size(200, 333))
    frozen = with_precise_norms(freeze(read_onnx(exported.onnx_file), batch_size=1, canvas=spec.canvas))
    tensor, _ = to_input(generated_picture(), spec)
    found = run_onnx(frozen, tensor[None])
    with torch.inference_mode():
        (boxes, scores), _ = build_network(exported.weights, spec)(torch.from_numpy(tensor)[None])
        labels, dets = reference_nms(Candidates(boxes, scores), spec.decode, spec.canvas)
    done = match((found["labels"][0], found["dets"][0]), (labels[0].numpy(), dets[0].numpy()))
    assert done.rows > 10
    assert done.unmatched == 0
    assert done.score <= 1e-4
    assert done.edge <= 1e-3


def test_the_ap_is_mmdetections(exported, tmp_path):
    """`make demo` in short: the whole validation set against what genuine mmdetection scored on it."""
    command("demo.dataset", "--output", tmp_path)
    result, bins = run(exported, tmp_path, tmp_path, batch_size=8, workers=2)
    command(
        "postprocess", "eval", "--bin_data_path", result, "--test_annotation", bins, "--annotations_path",
        tmp_path / "annotations", "--det_results_path", tmp_path / "eval",
    )  # fmt: skip
    found = json.loads((tmp_path / "eval" / "metrics.json").read_text())
    figures = json.loads((WEIGHTS.parents[1] / "reference.json").read_text())["figures"]
    assert found["AP"] >= 50
    assert abs(found["AP"] - figures["stock"]["AP"]) <= 0.05
    for name, value in figures["canvas_clipped"].items():
        assert abs(found[name] - value) <= 0.01, name


def test_a_truncated_checkpoint_leaves_nothing(tmp_path):
    damaged = tmp_path / "cut.pth"
    damaged.write_bytes(WEIGHTS.read_bytes()[:-5000])
    done = command("export", "--model", "demo", "--weights", damaged, "--onnx", tmp_path / "out" / "m.onnx", expect=1)
    assert str(damaged) in done.stderr
    assert not (tmp_path / "out").exists()


def test_another_models_spec_is_refused(tmp_path):
    other = tmp_path / "renamed.pth"
    shutil.copy(WEIGHTS, other)
    done = command(
        "export", "--model", "fcos_r50_caffe_fpn_1x", "--weights", other, "--onnx", tmp_path / "m.onnx", expect=1
    )
    assert "depth" in done.stderr
    assert not (tmp_path / "m.onnx").exists()


def run_converted(onnx_file, folder, images, *, spec=None):
    """Labels and dets of some images, by the stand-in of a conversion."""
    plan = plan_conversion(onnx_file, batch_size=len(images), spec=spec, target="cpu", output=folder / "converted")
    return run_onnx(read_onnx(convert(plan).model), images)


def test_the_model_as_someone_elses_gives_the_same_detections(exported, images, tmp_path):
    """Outputs renamed and in another order, or cut off before suppression; no metadata: told by the spec alone."""
    files = sorted((images / "val2017").iterdir())[:2]
    tensors = np.stack([to_input(read_image(file), exported.spec)[0] for file in files])
    wanted = run_converted(exported.onnx_file, tmp_path, tensors)
    assert (wanted["labels"] >= 0).sum() > 20

    theirs = read_onnx(exported.onnx_file)
    del theirs.metadata_props[:]
    rename(theirs.graph, {"input": "images", "labels": "classes", "dets": "rows"})
    labels, dets = (onnx.ValueInfoProto.FromString(value.SerializeToString()) for value in theirs.graph.output)
    del theirs.graph.output[:]
    theirs.graph.output.extend([dets, labels])
    graph = {"outputs": {"dets": "rows", "labels": "classes"}}
    found = run_foreign(theirs, load_spec("demo"), graph, tmp_path, tensors)
    np.testing.assert_array_equal(found["labels"], wanted["labels"])
    np.testing.assert_array_equal(found["dets"], wanted["dets"])

    del theirs.graph.output[:], theirs.functions[:]
    kinds = {"boxes": ["batch", "n", 4], "scores": ["batch", "n", len(exported.spec.classes)]}
    theirs.graph.output.extend(
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name, shape in kinds.items()
    )
    drop_dead(theirs.graph)
    # The threshold was applied before centerness; what is left of the scores may lie below it.
    spec = replace(load_spec("demo"), decode={**exported.spec.decode.model_dump(), "score_threshold": 0})
    found = run_foreign(theirs, spec, {"boxes": "xyxy", "units": "pixels", "labels": "from_0"}, tmp_path, tensors)
    np.testing.assert_array_equal(found["labels"], wanted["labels"])
    np.testing.assert_array_equal(found["dets"], wanted["dets"])


def run_foreign(model, spec, graph, folder, images):
    onnx.save(model, folder / "theirs.onnx")
    return run_converted(folder / "theirs.onnx", folder, images, spec=replace(spec, graph=graph))
