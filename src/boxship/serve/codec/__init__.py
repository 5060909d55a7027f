"""Bytes into batches, answers into bytes."""
