"""atc: the command line, its rules, its run, and what its errors mean."""
