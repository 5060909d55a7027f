"""The base class of models that need code around them."""

from collections.abc import Awaitable
from typing import Any


class Service:
    """A model with code around it, served as ``boxship serve module:Class``.

    The type hints of ``predict`` are the model's signature; the docstrings of the
    class and of ``predict`` are the API's documentation. Every method may be a
    plain function or ``async def``. Raise ``boxship.InputError`` where a row is
    well formed but cannot be answered.

    A row is a dataclass, a ``msgspec.Struct``, a pydantic model or a ``TypedDict``::

        class Churn(Service):
            def load(self, model_path):
                self.model = joblib.load(model_path)

            def predict(self, rows: list[Customer]) -> list[float]: ...

    or the batch is one array: ``rows: numpy.typing.NDArray[numpy.float32]``.
    """

    def load(self, model_path: Any) -> Awaitable[None] | None:
        """Read the model. Called once in each worker, before anything else.

        ``model_path`` is where the model lies, a ``str``, or
        ``None`` where no model is configured.
        """
        del model_path
        return None

    def predict(self, rows: Any) -> Any:
        """Answer a batch: as many answers as rows, in the same order."""
        raise NotImplementedError(f"{type(self).__name__} does not define predict")

    def warmup(self) -> Awaitable[None] | None:
        """Do what the first request would otherwise wait for. Called once in each worker, after ``load``."""
        return None
