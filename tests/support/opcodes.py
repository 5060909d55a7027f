"""Pickles written by hand, opcode by opcode."""

import struct


def text(value: str) -> bytes:
    """Push a text."""
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def name(module: str, attribute: str) -> bytes:
    """Push what a module calls so, as the oldest protocols say it."""
    return f"c{module}\n{attribute}\n".encode()


def stack_name(module: str, attribute: str) -> bytes:
    """The same as protocol 4 says it, which lets ``attribute`` have dots."""
    return text(module) + text(attribute) + b"\x93"


def call(module: str, attribute: str, *arguments: str) -> bytes:
    """Push what a call with texts returns."""
    return name(module, attribute) + b"(" + b"".join(map(text, arguments)) + b"tR"
