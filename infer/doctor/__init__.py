"""Whether a machine can do what it is meant for, and what to do where it cannot. Standard library only."""
