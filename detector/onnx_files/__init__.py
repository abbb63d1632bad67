"""ONNX files: read, written, sealed, and held against the spec inside."""
