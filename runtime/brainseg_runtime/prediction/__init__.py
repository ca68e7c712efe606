"""Files segmented: which slices, where results go, the record of them, and resuming."""
