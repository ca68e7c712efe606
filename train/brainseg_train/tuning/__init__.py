"""Studies: which configurations are tried, by how many processes, and their progress."""
