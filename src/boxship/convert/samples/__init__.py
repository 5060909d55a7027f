"""The rows on which a converted model is compared with its original.

``generate`` makes them from what the fitted model knows about its inputs, ``read``
takes them from a file of the user's.
"""

from boxship.convert.samples.generate import generate
from boxship.convert.samples.read import read
from boxship.convert.samples.samples import GENERATED, Samples

__all__ = ["GENERATED", "Samples", "generate", "read"]
