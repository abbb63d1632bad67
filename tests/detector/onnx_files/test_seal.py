"""The SHA-256 that an ONNX file of ours carries of its content."""

import hashlib

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import helper, numpy_helper

from detector.onnx_files.read_write import METADATA_KEY, embed_spec, read_message, read_onnx, write_onnx
from detector.onnx_files.seal import SEAL_BYTES, SEAL_KEY, ChangedOnnxError
from detector.spec_files import find_spec_onnx

CHANGED = r"m\.onnx was changed after it was made \(SHA-256 [0-9a-f]{16}…, noted [0-9a-f]{16}…\): make it again with"


@pytest.fixture
def file(canonical, tmp_path):
    """A sealed file with weights of 4 kB."""
    weights = np.linspace(1, 2, 1024, dtype=np.float32)
    canonical.graph.initializer.append(numpy_helper.from_array(weights, "weights"))
    write_onnx(tmp_path / "m.onnx", canonical)
    return tmp_path / "m.onnx"


def test_the_file_ends_with_the_digest_of_what_is_before(file, canonical):
    data = file.read_bytes()
    assert data[:-SEAL_BYTES] == canonical.SerializeToString(deterministic=True)
    assert data.endswith(hashlib.sha256(data[:-SEAL_BYTES]).hexdigest().encode())


def test_it_is_taken_off_before_anyone_sees_it(file, canonical, spec):
    assert read_onnx(file) == canonical
    assert find_spec_onnx(file) == spec


def test_the_runtime_takes_the_file_as_it_is(file):
    session = ort.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    assert SEAL_KEY in session.get_modelmeta().custom_metadata_map
    assert session.run(None, {"input": np.ones((1, 3, 64, 96), np.float32)})[0].shape == (1, 10)


def test_written_again_it_is_sealed_once(file):
    before = file.read_bytes()
    model = onnx.load(file)
    assert [entry.key for entry in model.metadata_props] == [METADATA_KEY, SEAL_KEY]
    write_onnx(file, model)
    assert file.read_bytes() == before


def test_every_bit_counts(file):
    data = file.read_bytes()
    for place in range(0, len(data) - SEAL_BYTES, 97):
        bad = bytearray(data)
        bad[place] ^= 1 << place % 8
        file.write_bytes(bad)
        with pytest.raises(Exception, match=r"m\.onnx (was changed after it was made|is not an ONNX file)"):
            read_message(file)


def test_zeroed_weights(file):
    data = file.read_bytes()
    place = data.index(np.float32(1).tobytes() + np.linspace(1, 2, 1024, dtype=np.float32)[1].tobytes())
    file.write_bytes(data[:place] + bytes(4096) + data[place + 4096 :])
    with pytest.raises(ChangedOnnxError, match=CHANGED):
        find_spec_onnx(file)
    assert not numpy_helper.to_array(read_onnx(file, may_differ=True).graph.initializer[-1]).any()


def saved(file, change=lambda model: None, **options):
    """As other tools write it."""
    model = onnx.load(file)
    change(model)
    onnx.save(model, file, **options)


def test_written_again_by_another_tool_it_is_the_same(file, canonical):
    saved(file, lambda model: model.metadata_props.reverse())
    assert read_onnx(file) == canonical


@pytest.mark.parametrize("functions", [True, False])  # without any, the seal stays at the end
def test_weights_put_into_a_second_file_count_as_well(file, canonical, functions):
    if not functions:
        canonical = read_message(file)
        del canonical.functions[:]
        write_onnx(file, canonical)
    saved(file, save_as_external_data=True, location="m.data")
    assert (file.parent / "m.data").stat().st_size == 4096
    assert read_onnx(file) == canonical
    data = bytearray((file.parent / "m.data").read_bytes())
    data[2000] ^= 1
    (file.parent / "m.data").write_bytes(data)
    for read in (read_onnx, find_spec_onnx):
        with pytest.raises(ChangedOnnxError, match=CHANGED):
            read(file)


@pytest.mark.parametrize(
    "change",
    [
        lambda model: model.metadata_props.add(key="author", value="me"),
        lambda model: model.graph.node[0].ClearField("name") or model.graph.node[-1].attribute[0].__setattr__("i", 1),
        lambda model: model.graph.initializer[-1].__setattr__("raw_data", bytes(4096)),
        lambda model: model.metadata_props[1].__setattr__("value", "0" * 64),
        lambda model: model.metadata_props[1].__setattr__("value", ""),
        lambda model: model.metadata_props.pop(0),
    ],
    ids=["remark", "attribute", "weights", "digest", "empty digest", "spec"],
)
def test_what_another_tool_changed(file, change):
    saved(file, change)
    with pytest.raises(ChangedOnnxError, match=r"m\.onnx was changed after it was made"):
        read_message(file)


def test_a_digest_that_is_no_text(file):
    file.write_bytes(file.read_bytes()[:-1] + b"\xff")
    with pytest.raises(ChangedOnnxError, match=r"m\.onnx was changed after it was made"):
        read_message(file)


def test_two_digests(file):
    file.write_bytes(file.read_bytes() + file.read_bytes()[-SEAL_BYTES:])
    with pytest.raises(
        ChangedOnnxError, match=r"m\.onnx carries 2 digests of its content \(metadata 'omline\.sha256'\)"
    ):
        read_message(file)


def test_a_file_without_one_is_taken_and_one_called_ours_said_so_once(file, canonical, caplog):
    file.write_bytes(file.read_bytes()[:-SEAL_BYTES])
    assert read_onnx(file) == canonical
    assert read_onnx(file) == canonical
    assert caplog.text.count("m.onnx carries no SHA-256 of its content") == 1
    caplog.clear()
    value = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    theirs = helper.make_model(helper.make_graph([helper.make_node("Abs", ["x"], ["y"])], "g", [value], [value]))
    onnx.save(theirs, file.with_name("theirs.onnx"))
    read_onnx(file.with_name("theirs.onnx"))
    assert caplog.text == ""


def test_that_it_is_missing_travels_with_the_spec_and_is_said_once(file, canonical, spec):
    file.write_bytes(canonical.SerializeToString())
    found = find_spec_onnx(file)
    told = (
        "m.onnx carries no SHA-256 of its content (metadata 'omline.sha256'): whether it was changed after it was made"
    )
    assert found.departures == (*spec.departures, f"{told} cannot be told")
    embed_spec(canonical, found)
    file.write_bytes(canonical.SerializeToString())
    assert find_spec_onnx(file) == found
