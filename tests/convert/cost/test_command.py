import json

import numpy as np
import onnx
import pytest

from convert.__main__ import main
from convert.cost.forecast import card_speeds, peak_macs
from convert.cost.macs import Work
from detector.errors import ArtifactError, SpecError
from detector.onnx_files.read_write import write_onnx


@pytest.fixture
def model_file(canonical, tmp_path):
    """The miniature with a convolution before it, 3 -> 3 channels, 1 x 1."""
    first = canonical.graph.node[0]
    first.input[0] = "mixed"
    weight = np.eye(3, dtype=np.float32).reshape(3, 3, 1, 1)
    canonical.graph.initializer.append(onnx.numpy_helper.from_array(weight, "weight"))
    canonical.graph.node.insert(0, onnx.helper.make_node("Conv", ["input", "weight"], ["mixed"], name="conv"))
    write_onnx(tmp_path / "tiny.onnx", canonical)
    return tmp_path / "tiny.onnx"


def planned(capsys, *argv):
    main(["plan", *map(str, argv)])
    lines = capsys.readouterr().out.splitlines()
    return lines[:-1], json.loads(lines[-1])


def test_the_peak_is_the_published_one():
    assert 2 * peak_macs("Ascend310P3") == pytest.approx(69.5e12, rel=0.001)


def test_the_published_fcos_is_predicted_at_what_it_reached():
    speeds = card_speeds(Work(round(214.7e9), 0, 0), "Ascend310P3", (1, 2, 4, 64, 128))
    assert [speed.like_fcos for speed in speeds] == pytest.approx([58, 58, 65, 45, 45])
    assert speeds[2].like_fcos / speeds[2].peak == pytest.approx(0.40, abs=0.005)


def test_a_slower_chip_is_slower():
    work = Work(10**11, 0, 0)
    fast, slow = (card_speeds(work, chip, (1,))[0].peak for chip in ("Ascend310P3", "Ascend310P7"))
    assert slow / fast == pytest.approx(550 / 1060)


def test_memory_moves_the_values_of_every_image_and_the_weights_of_every_batch():
    work = Work(10**11, 0, parameters=30_000_000, values=70_000_000)
    assert [speed.memory for speed in card_speeds(work, "Ascend310P3", (1, 3))] == pytest.approx(
        [204e9 / 200e6, 204e9 / 160e6]
    )
    assert card_speeds(work, "Ascend310P7", (1,))[0].memory is None
    assert card_speeds(Work(10**11, 0, 0), "Ascend310P3", (1,))[0].memory is None


def test_a_batch_of_none_is_refused(model_file, capsys):
    with pytest.raises(SystemExit) as caught:
        planned(capsys, "--onnx", model_file, "--batch_size", "0")
    assert caught.value.code == 2
    assert "argument --batch_size: expected a positive number" in capsys.readouterr().err


def test_a_model_that_is_not_exported_yet(capsys):
    _, document = planned(capsys, "--model", "fcos_r50_caffe_fpn_1x", "--images", "5000")
    figures = document["figures"]
    assert figures["macs"] == {"value": 214_700_000_000, "provenance": "from source"}
    assert figures["parameters"] == {"value": None, "provenance": "not known"}
    assert figures["float32_bytes"]["value"] == 3 * 800 * 1344 * 4
    assert figures["dataset_uint8_bytes"]["value"] == 3 * 800 * 1344 * 5000
    assert figures["memory_bandwidth"] == {"value": 204e9, "provenance": "from source"}
    assert figures["traffic_bytes"] == {"value": None, "provenance": "not known"}
    assert [speed["batch_size"] for speed in document["images_per_second"]] == [1, 4, 8, 16, 32, 64]


def test_the_published_work_goes_with_the_canvas(capsys):
    _, document = planned(capsys, "--model", "fcos_r50_caffe_fpn_1x", "--canvas", "1344,1344")
    assert document["figures"]["macs"]["value"] == pytest.approx(360.6e9, rel=0.001)


def test_an_unpublished_model_must_be_exported(capsys):
    with pytest.raises(SpecError, match=r"nothing was published on the work of retinanet_r18_fpn_1x: export it"):
        planned(capsys, "--model", "retinanet_r18_fpn_1x")


def test_a_graph_is_counted(model_file, capsys):
    lines, document = planned(capsys, "--onnx", model_file, "--batch_size", "1,8", "--soc_version", "310P1")
    assert document["figures"]["macs"] == {"value": 64 * 96 * 3 * 3, "provenance": "computed"}
    assert document["figures"]["parameters"] == {"value": 9, "provenance": "computed"}
    assert document["figures"]["float32_bytes"] == {"value": 3 * 64 * 96 * 4, "provenance": "computed"}
    assert document["figures"]["result_bytes"]["value"] == 10 * 8 + 50 * 4
    assert document["figures"]["traffic_bytes"] == {"value": 2 * 2 * 3 * 64 * 96, "provenance": "computed"}
    assert document["figures"]["memory_bandwidth"] == {"value": None, "provenance": "not known"}
    assert document["soc_version"] == "Ascend310P1"
    assert document["figures"]["hours"]["provenance"] == "from source"
    assert any("Ascend310P1" in line for line in lines)


def test_a_run_of_infer_is_a_measurement(model_file, tmp_path, capsys):
    (tmp_path / "bs1_summary.json").write_text(json.dumps({"throughput": 0.5}))
    _, document = planned(capsys, "--onnx", model_file, "--images", 3600, "--measured", tmp_path / "bs1_summary.json")
    assert document["figures"]["seconds_per_image"] == {"value": 2.0, "provenance": "measured"}
    assert document["figures"]["hours"] == {"value": 2.0, "provenance": "measured"}


@pytest.mark.parametrize("content", ["{", "{}", '{"throughput": 0}'])
def test_a_summary_without_throughput_is_refused(tmp_path, capsys, content):
    (tmp_path / "bs1_summary.json").write_text(content)
    with pytest.raises(ArtifactError, match=r"bs1_summary\.json is no summary of `python -m infer`"):
        planned(capsys, "--model", "fcos_r50_caffe_fpn_1x", "--measured", tmp_path / "bs1_summary.json")


def test_a_missing_file_is_named(tmp_path, capsys):
    with pytest.raises(ArtifactError, match=r"nowhere\.onnx not found"):
        planned(capsys, "--onnx", tmp_path / "nowhere.onnx")
