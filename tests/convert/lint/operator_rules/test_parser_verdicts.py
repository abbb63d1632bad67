"""Lint against the genuine ONNX parser (hicann/ge ffdcbc9f, plug-ins of August 2026), run once over these graphs.

`tests/data/parser_verdicts.json`: one graph of one operator per line, what the parser said of it, and the first code of
a refusal. The parser is not part of this repository; its verdicts are facts.
"""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from convert.lint.check import lint

ROWS = json.loads((Path(__file__).parents[3] / "data" / "parser_verdicts.json").read_text(encoding="utf-8"))
# What keeps a graph from the card behind the parser: sizes that are known only while it runs, kernels, a crash of atc
# itself; and attributes that are read by nobody, or as another default.
BEHIND = {
    "dynamic-output", "element-type", "nms-inputs", "pad-dynamic", "resize-attribute", "resize-dynamic", "softmax-axes",
    "topk-dynamic", "topk-int64", "unread-attribute",
}  # fmt: skip


def built(row):
    names, inputs, weights = [], [], []
    for index, value in enumerate(row["inputs"]):
        name = f"i{index}"
        names.append(name if value is not None else "")
        if isinstance(value, dict):
            weights.append(numpy_helper.from_array(np.array(value["constant"], value["type"]), name))
        elif value is not None:
            kind, shape = value
            inputs.append(helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(kind)), shape))
    outputs = [f"y{index}" for index in range(row["outputs"])]
    node = helper.make_node(row["operator"], names, outputs, name="it", **row["attributes"])
    graph = helper.make_graph([node], "g", inputs, [onnx.ValueInfoProto(name=name) for name in outputs], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", row["opset"])], ir_version=8)


def named(row):
    return f"{row['operator']}-{row['opset']}-{row['attributes']}-{len(row['inputs'])}".replace(" ", "")


@pytest.mark.parametrize("row", ROWS, ids=map(named, ROWS))
def test_lint_refuses_what_the_parser_refuses(row):
    refusals = [each for each in lint(built(row), cann="9.2").failures if each.rule not in BEHIND]
    assert bool(refusals) == (row["verdict"] == "refuses"), refusals
    if row["code"].startswith("E13"):
        assert any(row["code"] in each.cause for each in refusals)
