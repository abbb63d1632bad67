"""The rules of a graph as a whole: its names, its outputs, its gears, its memory."""
