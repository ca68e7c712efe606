"""The evidence that a graph computes what the network computes, and what it scores.

    predictors   graphs run by the runtime's own engine, on each provider that is available
    threshold    threshold and temperature, chosen on the validation patients
    parity       every difference from PyTorch in probability and mask, counted
    gate         how much accuracy a variant may lose
    golden       made-up images and the answers of each variant; tested by test_export
    proof        all of it for every candidate, in one pass over the validation patients; tested by test_export
    stress       the stress table, and the lowest values that it must reach
    latency      milliseconds a slice; tested by test_export

`proof.prove` runs PyTorch and all candidates over the same slices, `parity` counts what differs, and `gate.judge` says
what may ship.
"""
