"""One graph for several shapes."""
