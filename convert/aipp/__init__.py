"""AIPP: bytes in, normalized by the card; the file, its arithmetic, its rules."""
