"""Canonical ONNX -> OM through atc, or its CPU stand-in and what the NPU host needs to build the OM. No torch here."""
