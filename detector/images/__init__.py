"""Image files to the arrays that a network takes."""
