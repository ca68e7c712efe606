"""What happens within an epoch: batches, augmentation, a step of learning, validation.

`batches` says which slices make up a step and gathers them, `augment` varies them, `learner` takes the step: forward,
`losses`, backward, Adam at the learning rate of `schedule`, the running mean of `ema`. `validation` scores the network.
`device`, `threads` and `distributed` say where and in how many processes; `randomness` seeds every draw.

A new term of the loss: its weight in `brainseg_train.config.LossConfig` and its function in `losses`.
"""
