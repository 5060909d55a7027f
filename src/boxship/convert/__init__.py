"""A trained model into ONNX, and the proof that both answer alike."""
