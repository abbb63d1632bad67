"""ONNX files of anybody: what is opened, what is believed."""

import os

import numpy as np
import onnx
import pytest
from onnx import helper

from detector.errors import ArtifactError
from detector.onnx_files.read_write import METADATA_KEY, read_onnx, spec_inside, write_onnx, write_onnx_set
from detector.spec_files import find_spec_onnx


@pytest.fixture
def file(canonical, tmp_path):
    path = tmp_path / "m.onnx"
    write_onnx(path, canonical)
    return path


@pytest.mark.parametrize("kind", ["fifo", "folder", "loop", "device", "missing"])
def test_only_regular_files_are_opened(tmp_path, kind):
    path = tmp_path / "m.onnx"
    {
        "fifo": lambda: os.mkfifo(path),
        "folder": path.mkdir,
        "loop": lambda: path.symlink_to(path),
        "device": lambda: path.symlink_to("/dev/zero"),
        "missing": lambda: None,
    }[kind]()
    for read in (read_onnx, find_spec_onnx):
        with pytest.raises(ArtifactError, match=r"m\.onnx"):
            read(path)


def test_no_more_than_the_bound_is_read(file, monkeypatch):
    monkeypatch.setenv("OMLINE_MAX_ONNX_BYTES", "100")
    with pytest.raises(ArtifactError, match="at most 100 are taken; set OMLINE_MAX_ONNX_BYTES"):
        read_onnx(file)


@pytest.mark.parametrize("data", [b"", b"\0" * 100, b"\x08\x08", os.urandom(300)])
def test_what_is_no_onnx(tmp_path, data):
    (tmp_path / "m.onnx").write_bytes(data)
    with pytest.raises(ArtifactError, match="is not an ONNX file or is truncated"):
        read_onnx(tmp_path / "m.onnx")


def test_a_file_carries_one_spec(canonical, spec, file):
    canonical.metadata_props.add(key=METADATA_KEY, value=canonical.metadata_props[0].value)
    with pytest.raises(ArtifactError, match="carries 2 specs"):
        spec_inside(canonical, file)


@pytest.mark.parametrize("value", ["[]", '{"name": "a", "name": "b"}', "[" * 100_000])
def test_a_spec_is_json_without_doubles_or_abysses(canonical, file, value):
    canonical.metadata_props[0].value = value
    with pytest.raises(ArtifactError, match=r"metadata 'omline\.spec' is (no spec|not taken)"):
        spec_inside(canonical, file)


@pytest.fixture
def split(tmp_path):
    """A graph whose weights lie in the file beside it."""
    weight = onnx.numpy_helper.from_array(np.ones((4, 4), np.float32), "w")
    value = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [4, 4])
    graph = helper.make_graph([helper.make_node("Add", ["x", "w"], ["y"])], "g", [value], [value], [weight])
    (tmp_path / "in").mkdir()
    path = tmp_path / "in" / "m.onnx"
    onnx.save(helper.make_model(graph), path, save_as_external_data=True, location="m.data", size_threshold=0)
    return path


def relocated(path, **facts):
    model = onnx.load(path, load_external_data=False)
    for entry in model.graph.initializer[0].external_data:
        entry.value = facts.get(entry.key, entry.value)
    path.write_bytes(model.SerializeToString())


def test_weights_of_a_file_beside_it_are_read(split):
    weight = read_onnx(split).graph.initializer[0]
    np.testing.assert_array_equal(onnx.numpy_helper.to_array(weight), np.ones((4, 4)))


@pytest.mark.parametrize("location", ["../secret", "/etc/passwd", "a/../../secret", "link", ""])
def test_weights_are_not_read_from_elsewhere(split, location):
    (split.parent.parent / "secret").write_bytes(b"\0" * 64)
    (split.parent / "link").symlink_to(split.parent.parent / "secret")
    relocated(split, location=location)
    with pytest.raises(
        ArtifactError, match=r"the weights 'w' lie in another file: .*(leads out|absolute|names no file)"
    ):
        read_onnx(split)


@pytest.mark.parametrize("facts", [{"length": "65"}, {"length": "-1"}, {"offset": "x"}, {"offset": "60"}])
def test_as_many_weights_as_the_file_has(split, facts):
    relocated(split, **facts)
    with pytest.raises(ArtifactError, match=r"the weights 'w' lie in another file: .*(has 64 bytes|invalid literal)"):
        read_onnx(split)


def test_a_set_of_files_is_written_whole_or_not_at_all(tmp_path):
    model = onnx.helper.make_model(onnx.helper.make_graph([], "g", [], []))
    old = [tmp_path / "a.onnx", tmp_path / "b.onnx", tmp_path / "c.onnx"]
    for path in old:
        path.write_text("old")

    def models():
        yield old[0], model
        assert old[0].read_text() == "old"
        yield old[1], model
        raise ArtifactError("the third cannot be made")

    with pytest.raises(ArtifactError, match="third"):
        write_onnx_set(models(), stale=old)
    assert [path.read_text() for path in old] == ["old"] * 3
    assert sorted(tmp_path.iterdir()) == old
    write_onnx_set([(old[0], model)], stale=old)
    assert sorted(tmp_path.iterdir()) == old[:1]
    assert onnx.load(old[0]).graph.name == "g"
