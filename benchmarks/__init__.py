"""Measurements: throughput by batch size (`python -m benchmarks`), and one script per claim, its record beside it."""
