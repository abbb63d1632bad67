"""Weights -> canonical ONNX. Needs torch, onnx and onnxscript; onnxruntime to verify."""
