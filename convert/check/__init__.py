"""`convert check`: somebody's own atc command lines, judged option by option."""
