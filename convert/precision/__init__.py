"""What the card's number formats do to a detector: simulated on the CPU, and searched for the operators to blame."""
