"""ONNX graphs: converted, audited, quantised, fine-tuned."""
