"""Measurements: throughput by batch size (`python -m benchmarks`), and one script per claim, its record beside it."""

import detector as detector  # before all others: signals are heard from here on
