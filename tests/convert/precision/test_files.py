import json
import os
from pathlib import Path

import pytest
from onnx import helper

from convert.precision.files import read_keep, read_mixlist, write_keep
from convert.precision.modes import Compute, Keep, Rules, assign
from detector.errors import ArtifactError, SpecError


def test_names_and_types_are_told_apart(tmp_path):
    path = tmp_path / "keep.txt"
    path.write_text("node_exp\n\nOpType::Conv2D\r\n node_mul \n")
    assert read_keep(path) == Keep(frozenset({"node_exp", "node_mul"}), frozenset({"Conv2D"}))


def test_what_is_written_is_read(tmp_path):
    write_keep(tmp_path / "keep.txt", ["b", "a"])
    assert (tmp_path / "keep.txt").read_text() == "b\na\n"
    assert read_keep(tmp_path / "keep.txt").names == {"a", "b"}


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ArtifactError, match=r"none\.txt of --keep_dtype not found"):
        read_keep(tmp_path / "none.txt")


@pytest.mark.parametrize(("read", "option"), [(read_keep, "keep_dtype"), (read_mixlist, "modify_mixlist")])
def test_only_regular_files_are_read(tmp_path, read, option):
    os.mkfifo(tmp_path / "fifo")
    for path, kind in [(tmp_path / "fifo", "a FIFO"), (Path("/dev/zero"), "a device"), (tmp_path, "a folder")]:
        with pytest.raises(ArtifactError, match=f"cannot read {path} of --{option}: {kind}, expected .*correct the"):
            read(path)


def mixlist(tmp_path, document):
    path = tmp_path / "mix.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


def test_the_mix_list_says_what_may_be_lowered(tmp_path):
    document = {"black-list": {"to-add": ["Conv2D"], "to-remove": ["Xlog1py"]}, "white-list": {"to-add": ["Exp"],
                "to-remove": ["Conv2D", "MatMulV2"]}}  # fmt: skip
    mix = read_mixlist(mixlist(tmp_path, document))
    assert mix == {"Conv2D": False, "Xlog1py": None, "Exp": True, "MatMulV2": None}
    nodes = [helper.make_node(op, [a], [b], name=b) for op, a, b in
             [("Exp", "x", "a"), ("Relu", "a", "b"), ("Conv", "b", "c"), ("Relu", "c", "d")]]  # fmt: skip
    graph = helper.make_graph(nodes, "g", [], [])
    assert assign(graph, Rules("allow_mix_precision", mix=mix), 13) == [
        Compute.HALF, Compute.HALF, Compute.MIXED, Compute.FULL,
    ]  # fmt: skip


def test_the_mode_that_keeps_everything_has_no_use_for_a_keep_file():
    graph = helper.make_graph([helper.make_node("Conv", ["x"], ["y"], name="conv")], "g", [], [])
    assert assign(graph, Rules("must_keep_origin_dtype", Keep(frozenset({"conv"}))), 13) == [Compute.FULL]
    assert assign(graph, Rules("force_fp16", Keep(frozenset({"conv"}))), 13) == [Compute.MIXED]


@pytest.mark.parametrize(
    ("document", "error", "message"),
    [
        ("{", ArtifactError, "is not JSON"),
        ({"black": {}}, SpecError, "expected .*black-list.*, got the key 'black'"),
        ({"black-list": {"add": ["Exp"]}}, SpecError, "got the key 'add'"),
        ({"black-list": {"to-add": "Exp"}}, SpecError, "expected .*black-list"),
        ([], SpecError, "expected .*black-list"),
        (
            {"black-list": {"to-add": ["Exp"]}, "white-list": {"to-add": ["Exp"]}},
            SpecError,
            "'Exp' to the black list and",
        ),
    ],
)
def test_another_mix_list_is_refused(tmp_path, document, error, message):
    with pytest.raises(error, match=message):
        read_mixlist(mixlist(tmp_path, document))
