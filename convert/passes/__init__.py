"""What `lower` does to a static graph, one transformation per file."""
