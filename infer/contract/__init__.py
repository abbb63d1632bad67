"""What ais_bench and aclruntime demand and leave: options, paths, inputs, shapes, gears, results, the summary."""
