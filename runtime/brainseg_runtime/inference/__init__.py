"""One ONNX graph run on one provider: the graph check, the providers, sessions, and the engine."""
