"""Files that one stage writes and another reads: bins, results, the OM, and what binds each to what it was made of."""
