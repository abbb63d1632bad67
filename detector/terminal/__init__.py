"""What standard output and error show, what ends a run there, and what cannot."""
