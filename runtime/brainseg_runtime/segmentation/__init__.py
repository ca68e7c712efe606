"""What surrounds the network for slices and volumes: results, post-processing, and the input guard."""
