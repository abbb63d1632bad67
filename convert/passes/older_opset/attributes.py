"""An attribute that the opset does not know yet is dropped where it says what the operator does anyway.

Valid because a newer attribute's default is what the operator did before (BatchNormalization's training_mode = 0).
"""

import onnx
from onnx import defs, helper

from convert.graph.rewrite import remove_attribute, replace_nodes
from convert.graph.walk import DEFAULT_DOMAINS, default_opset
from detector.errors import SpecError


def drop_newer_defaults(model: onnx.ModelProto, opset: int) -> None:
    """Drop such attributes, in place.

    Raises:
        SpecError: an attribute with another value, or an operator that is newer than the opset.
    """
    source = default_opset(model)

    def known(node: onnx.NodeProto) -> list[onnx.NodeProto]:
        if node.domain not in DEFAULT_DOMAINS or not defs.has(node.op_type):  # the card's own operator
            return [node]
        try:
            old = defs.get_schema(node.op_type, opset)
        except defs.SchemaError as error:
            raise SpecError(
                f"operator {node.op_type} (node {node.name!r}) does not exist in opset {opset}: set atc.opset of the "
                "spec to a higher one"
            ) from error
        new = defs.get_schema(node.op_type, source)
        for each in list(node.attribute):
            if each.name in old.attributes or each.name not in new.attributes:
                continue
            default = new.attributes[each.name].default_value
            if helper.get_attribute_value(each) != helper.get_attribute_value(default):
                raise SpecError(
                    f"operator {node.op_type} (node {node.name!r}): opset {opset} has no {each.name}: set atc.opset "
                    "of the spec to a higher one"
                )
            remove_attribute(node, each.name)
        return [node]

    replace_nodes(model.graph, known)
