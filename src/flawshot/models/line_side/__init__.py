"""Models for computers without torch: one ONNX graph, its description, and a script that runs it."""
