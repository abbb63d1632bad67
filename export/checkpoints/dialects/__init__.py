"""One module per training framework: its names, its settings, what its code does."""
