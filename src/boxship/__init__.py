"""Ship a trained model as a production serving container."""

from boxship.errors import InputError
from boxship.service import Service

__version__ = "0.1.0"

__all__ = ["InputError", "Service", "__version__"]
