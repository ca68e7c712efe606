"""Training: data sets and splits, three networks, `engine.fit`, studies that compare them, and the command."""
