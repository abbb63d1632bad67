"""Whether a file is a graph that the rest may rely on."""
