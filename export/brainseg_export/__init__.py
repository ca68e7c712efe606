"""From a trained checkpoint to a sealed bundle that is proven to compute the same."""
