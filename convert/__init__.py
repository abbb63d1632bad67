"""Canonical ONNX -> OM through atc, or its CPU stand-in and what the NPU host needs to build the OM. No torch here."""

import detector as detector  # before all others: signals are heard from here on
