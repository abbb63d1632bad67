"""A detector that someone else exported -> the canonical graph."""
