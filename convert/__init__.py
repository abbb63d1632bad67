"""Canonical ONNX -> OM through atc, or the CPU stand-in and everything the NPU host needs to build the OM. Needs no torch."""
