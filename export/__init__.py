"""Weights -> canonical ONNX. Needs torch, onnx and onnxscript; onnxruntime to verify."""

import detector as detector  # before all others: signals are heard from here on
