"""What all stages must agree on: the spec, geometry, artifacts, errors and the command-line edge. Imports no stage."""
