"""What happens within a training step and an epoch: batches, augmentation, loss, optimiser, validation."""
