"""A model behind HTTP: lifecycle, codec, batcher, application, metrics, server."""
