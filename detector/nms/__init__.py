"""Suppression as ONNX functions: the card's operator, its rounding, and overlaps that it does not know."""
