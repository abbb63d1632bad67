"""An ONNX checked against what atc and the chip take, without CANN."""
