"""A detection set made on the fly, the recipe of a small FCOS trained on it, its weights and its recorded accuracy."""
