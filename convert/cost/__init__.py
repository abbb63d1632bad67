"""What a deployment will cost, before anything runs."""
