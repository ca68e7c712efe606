"""The data set: folders, slices, splits, the cache, and the check."""
