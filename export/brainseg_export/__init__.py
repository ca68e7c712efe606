"""Export: from a trained run to a sealed bundle that is proven to compute the same.

From the ground up; a folder imports from those above it in this list alone:

    errors          what can go wrong, as one tree; tested by test_error_trees
    machine_paths   paths of the machine at hand, which must not get into a bundle
    sources         what an export starts from: the chosen run, its patients, where its data came from
    graphs          ONNX graphs: converted, audited, quantised, fine-tuned
    evidence        what each graph computes against the network: parity, gate, golden vectors, latency
    sealing         what goes into a bundle, and the bundle written whole, and signed
    preflight       checks for what would stop an export, before the work starts
    export          the way through all of it
    summary         what an export reports; tested by test_export
    cli             the command

`export.export` is the way from top to bottom: `sources` chooses a run and reads its patients, `graphs` writes the
network as fp32 and int8, `evidence` compares both with PyTorch on the validation patients, and `sealing` writes what
passed.

What to add where: a variant is a file in `graphs` and a candidate in `export`; a provider needs nothing here but its
entry in the runtime; a network needs nothing here as long as its operators are known to the runtime's graph check; a
sentence of the model card stands in its template.
"""

import brainseg_runtime  # noqa: F401 - first of all: it keeps onnxruntime from reporting to its maker
