"""From renamed tensors to a network: what shapes, texts, frameworks and the user tell, weighed."""
