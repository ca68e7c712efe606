"""A segmenter in a process of its own, and the messages between the two."""
