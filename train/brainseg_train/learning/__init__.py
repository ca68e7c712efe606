"""What happens within an epoch: batches, augmentation, a step of learning, validation.

`batches` says which slices make up a step and gathers them, `augment` varies them, `learner` takes the step: forward,
`losses`, backward, Adam at the learning rate of `schedule`, the running mean of `ema`. `validation` scores the network.
Of the augmentation, `scalp` changes what lies outside the brain, `healthy` makes slices without tumour, `appearance`
changes grey values; `head_maps` gathers what the first two need to know of a head, `draws` draws their numbers.
`device`, `threads` and `distributed` say where and in how many processes, which `meeting` brings together and for whom
`normalisation` takes the statistics of a whole batch (tested by `test_distributed`); `randomness` seeds every draw.

A new term of the loss: its weight in `brainseg_train.config.LossConfig` and its function in `losses`.
"""
