"""Converters of our own, where those of skl2onnx lose something."""
