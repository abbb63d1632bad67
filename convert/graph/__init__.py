"""The tools for ONNX graphs: walk, infer, compute, fold, freeze and rewrite them."""
