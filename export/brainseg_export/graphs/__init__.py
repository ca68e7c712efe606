"""ONNX graphs: converted, audited, quantised, fine-tuned.

    audit       what a graph of a bundle may hold
    convert     from a network in PyTorch to the bytes of one graph, in fp32
    quantize    the same graph in 8-bit integers
    fine_tune   integer weights trained to answer what the fp32 network answers
    float16     the same graph in float16, for GPUs

`convert.write` strips, labels and audits every graph. The next variant is a file here that takes a `Graph` and returns
one.
"""
