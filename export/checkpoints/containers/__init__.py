"""The formats of weights files: what kind a file is, and what reads it without running anything in it."""
