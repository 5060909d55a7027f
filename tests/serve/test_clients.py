"""The published clients work unchanged: ``tritonclient.http`` and ``kserve.InferenceRESTClient``."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import numpy as np
import pytest
from conftest import Need, Serve
from support import models
from support.serving import Server

QUICK = ("--workers", "1", "--drain-delay", "0", "--model-version", "3")


def values(datatype: str) -> Any:
    """A tensor ``[2, 2]`` of the datatype, its ends included."""
    if datatype == "BYTES":
        return np.array([["", "Zürich\n\0"], ["☃ 🚢", '"quoted"']], dtype=object)
    if datatype == "BOOL":
        return np.array([[True, False], [False, True]])
    if datatype.startswith("FP"):
        dtype = np.dtype(f"float{datatype[2:]}")
        return np.array([[np.finfo(dtype).max, -0.1], [np.finfo(dtype).tiny, 3]], dtype=dtype)
    dtype = np.dtype(datatype.lower())
    return np.array([[np.iinfo(dtype).min, np.iinfo(dtype).max], [1, 2]], dtype=dtype)


@pytest.fixture(scope="module")
def identity(serve_module: Serve, tmp_path_factory: pytest.TempPathFactory) -> Server:
    """A model that gives back a tensor of every datatype, and an image."""
    tensors: list[models.Tensor] = [
        *((datatype.lower(), datatype, (None, 2)) for datatype in models.DATATYPES),
        ("image", "FP32", (None, 3, 8, 8)),
    ]
    return serve_module(models.save_identity(tmp_path_factory.mktemp("onnx"), tensors), *QUICK)


@pytest.fixture(scope="module")
def image(serve_module: Serve, tmp_path_factory: pytest.TempPathFactory) -> Server:
    folder = tmp_path_factory.mktemp("image")
    path = models.save_identity(folder, [("image", "FP32", (None, 3, 8, 8))], "image")
    return serve_module(path, *QUICK)


@pytest.fixture(scope="module", params=["churn", "forest", "people"])
def scikit(
    request: pytest.FixtureRequest, serve_module: Serve, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Server, models.Trained]]:
    """A served estimator of named columns, of a plain array, of strings and missing values."""
    trained = {
        "churn": models.named_classifier,
        "forest": models.plain_classifier,
        "people": models.text_pipeline,
    }[request.param]()
    path = models.save_pickle(trained, tmp_path_factory.mktemp("scikit"))
    server = serve_module(path, *QUICK)
    yield server, trained
    server.stop()


def tensors_of(rows: Any) -> dict[str, Any]:
    """Rows as the V2 tensors of the model: one for each column, or one of all."""
    if not hasattr(rows, "columns"):
        return {"input": rows}
    return {str(name): rows[[name]].to_numpy() for name in rows.columns}


def datatype_of(array: Any) -> str:
    return "BYTES" if array.dtype == object else "FP64"


def check_own(result: Callable[[str], Any], trained: models.Trained, rows: Any) -> None:
    """Each output is the estimator's own; sums differ in the last bits by memory layout."""
    scores = trained.estimator.predict_proba(rows)
    binary = len(trained.estimator.classes_) == 2
    name, own = ("score", scores[:, 1]) if binary else ("scores", scores)
    np.testing.assert_allclose(result(name), own, rtol=1e-12)
    np.testing.assert_array_equal(texts(result("label")), trained.estimator.predict(rows))


def texts(array: Any) -> Any:
    """BYTES elements as text: the clients give them as bytes."""
    decoded = [one.decode() if isinstance(one, bytes) else one for one in array.ravel().tolist()]
    return np.array(decoded, dtype=array.dtype).reshape(array.shape)


class TestTritonclient:
    @pytest.fixture
    def http(self, need: Need) -> Any:
        return need.module("tritonclient.http")

    @pytest.fixture
    def connect(self, http: Any) -> Iterator[Callable[[Server], Any]]:
        opened: list[Any] = []

        def connect(server: Server) -> Any:
            opened.append(http.InferenceServerClient(f"127.0.0.1:{server.port}", concurrency=4))
            return opened[-1]

        yield connect
        for client in opened:
            client.close()

    def tensor(self, http: Any, name: str, array: Any, datatype: str, *, binary: bool) -> Any:
        tensor = http.InferInput(name, list(array.shape), datatype)
        tensor.set_data_from_numpy(array, binary_data=binary)
        return tensor

    def test_health_and_metadata(self, connect: Any, image: Server) -> None:
        client = connect(image)
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("image")
        assert client.is_model_ready("image", "3")
        assert not client.is_model_ready("other")
        assert client.get_server_metadata()["extensions"] == ["binary_tensor_data"]
        metadata = client.get_model_metadata("image")
        assert metadata == client.get_model_metadata("image", "3")
        assert metadata["versions"] == ["3"]
        shape = [-1, 3, 8, 8]
        assert metadata["inputs"] == [{"name": "image", "datatype": "FP32", "shape": shape}]
        assert metadata["outputs"] == [{"name": "image_out", "datatype": "FP32", "shape": shape}]

    @pytest.mark.parametrize("binary_output", [True, False], ids=["binary out", "JSON out"])
    @pytest.mark.parametrize("binary_input", [True, False], ids=["binary in", "JSON in"])
    def test_an_estimator_gives_its_own_answers(
        self,
        http: Any,
        connect: Any,
        scikit: tuple[Server, models.Trained],
        *,
        binary_input: bool,
        binary_output: bool,
    ) -> None:
        server, trained = scikit
        # As JSON this client writes NaN, which JSON does not have: no row with a missing value.
        rows = trained.rows[:7] if binary_input else trained.rows[1:5]
        inputs = [
            self.tensor(http, name, array, datatype_of(array), binary=binary_input)
            for name, array in tensors_of(rows).items()
        ]
        names = ("label", "score" if len(trained.estimator.classes_) == 2 else "scores")
        outputs = [http.InferRequestedOutput(name, binary_data=binary_output) for name in names]
        result = connect(server).infer(trained.name, inputs, outputs=outputs, request_id="r1")
        assert result.get_response()["id"] == "r1"
        assert result.get_response()["model_version"] == "3"
        check_own(result.as_numpy, trained, rows)

    @pytest.mark.parametrize("binary", [True, False], ids=["binary", "JSON"])
    @pytest.mark.parametrize("datatype", models.DATATYPES)
    def test_each_datatype_goes_in_and_out(
        self, http: Any, connect: Any, identity: Server, datatype: str, *, binary: bool
    ) -> None:
        """With every other tensor of the model at its side, whose values may not be mixed up."""
        inputs = [
            self.tensor(http, kind.lower(), values(kind), kind, binary=binary or kind != datatype)
            for kind in models.DATATYPES
        ]
        pixels = np.zeros((2, 3, 8, 8), np.float32)
        inputs.append(self.tensor(http, "image", pixels, "FP32", binary=True))
        name = f"{datatype.lower()}_out"
        outputs = [
            http.InferRequestedOutput("image_out", binary_data=True),
            http.InferRequestedOutput(name, binary_data=binary),
        ]
        result = connect(identity).infer("identity", inputs, outputs=outputs)
        np.testing.assert_array_equal(texts(result.as_numpy(name)), values(datatype))
        assert [output["name"] for output in result.get_response()["outputs"]] == [
            "image_out",
            name,
        ]

    @pytest.mark.parametrize("packing", ["gzip", "deflate"])
    @pytest.mark.parametrize("binary", [True, False], ids=["binary", "JSON"])
    def test_an_image_may_be_compressed(
        self, http: Any, connect: Any, image: Server, packing: str, *, binary: bool
    ) -> None:
        pixels = np.random.default_rng(1).random((4, 3, 8, 8), np.float32)
        result = connect(image).infer(
            "image",
            [self.tensor(http, "image", pixels, "FP32", binary=binary)],
            request_compression_algorithm=packing,
            response_compression_algorithm=packing,
        )
        np.testing.assert_array_equal(result.as_numpy("image_out"), pixels)

    def test_concurrent_calls_get_their_own_answers(
        self, http: Any, connect: Any, image: Server
    ) -> None:
        client = connect(image)
        images = [np.full((1, 3, 8, 8), number, np.float32) for number in range(16)]
        pending = [
            client.async_infer(
                "image",
                [self.tensor(http, "image", pixels, "FP32", binary=True)],
                request_id=str(number),
            )
            for number, pixels in enumerate(images)
        ]
        for number, request in enumerate(pending):
            result = request.get_result()
            assert result.get_response()["id"] == str(number)
            np.testing.assert_array_equal(result.as_numpy("image_out"), images[number])

    def test_a_refusal_reaches_the_caller(self, http: Any, connect: Any, image: Server) -> None:
        client = connect(image)
        wrong = self.tensor(http, "image", np.zeros((1, 8), np.float32), "FP32", binary=True)
        refusal = pytest.importorskip("tritonclient.utils").InferenceServerException
        with pytest.raises(
            refusal, match=r"image\.shape: expected \[-1, 3, 8, 8\], found \[1, 8\]"
        ):
            client.infer("image", [wrong])
        with pytest.raises(refusal, match="expected the model image"):
            client.get_model_metadata("other")


class TestKserve:
    @pytest.fixture
    def kserve(self, need: Need) -> Any:
        return need.module("kserve")

    def with_client(
        self, kserve: Any, server: Server, use: Callable[[Any, str], Coroutine[Any, Any, Any]]
    ) -> Any:
        async def run() -> Any:
            client = kserve.InferenceRESTClient(kserve.RESTConfig(protocol="v2", retries=0))
            try:
                return await use(client, server.url)
            finally:
                await client.close()

        return asyncio.run(run())

    def tensor(self, kserve: Any, name: str, array: Any, datatype: str, *, binary: bool) -> Any:
        tensor = kserve.InferInput(name, list(array.shape), datatype)
        tensor.set_data_from_numpy(array, binary_data=binary)
        return tensor

    def test_health(self, kserve: Any, image: Server) -> None:
        async def ask(client: Any, url: str) -> list[bool]:
            return [
                await client.is_server_live(url),
                await client.is_server_ready(url),
                await client.is_model_ready(url, "image"),
            ]

        assert self.with_client(kserve, image, ask) == [True, True, True]

    @pytest.mark.parametrize("binary", [True, False], ids=["binary", "JSON"])
    def test_an_estimator_gives_its_own_answers(
        self, kserve: Any, scikit: tuple[Server, models.Trained], *, binary: bool
    ) -> None:
        server, trained = scikit
        rows = trained.rows[:5]
        inputs = [
            self.tensor(kserve, name, array, datatype_of(array), binary=binary)
            for name, array in tensors_of(rows).items()
        ]
        request = kserve.InferRequest(trained.name, inputs, request_id="r2")
        response = self.with_client(
            kserve, server, lambda client, url: client.infer(url, request, trained.name)
        )
        assert response.id == "r2"
        outputs = {output.name: output for output in response.outputs}
        check_own(lambda name: outputs[name].as_numpy(), trained, rows)

    @pytest.mark.parametrize("datatype", models.DATATYPES)
    def test_each_datatype_goes_in_and_out(
        self, kserve: Any, identity: Server, datatype: str
    ) -> None:
        """As JSON; FP16, which the client does not write as JSON, as binary."""
        binary = datatype == "FP16"
        inputs = [
            self.tensor(kserve, kind.lower(), values(kind), kind, binary=kind == "FP16")
            for kind in models.DATATYPES
        ]
        pixels = np.zeros((2, 3, 8, 8), np.float32)
        inputs.append(self.tensor(kserve, "image", pixels, "FP32", binary=True))
        name = f"{datatype.lower()}_out"
        requested = kserve.protocol.infer_type.RequestedOutput
        outputs = [requested(name, {"binary_data": binary})]
        request = kserve.InferRequest("identity", inputs, request_outputs=outputs)
        response = self.with_client(
            kserve, identity, lambda client, url: client.infer(url, request, "identity")
        )
        (output,) = response.outputs
        np.testing.assert_array_equal(texts(output.as_numpy()), values(datatype))

    def test_a_refusal_reaches_the_caller(self, kserve: Any, image: Server) -> None:
        wrong = self.tensor(kserve, "images", np.zeros((1, 8), np.float32), "FP32", binary=False)
        request = kserve.InferRequest("image", [wrong])
        httpx = pytest.importorskip("httpx")
        with pytest.raises(httpx.HTTPStatusError, match="400") as refused:
            self.with_client(kserve, image, lambda client, url: client.infer(url, request, "image"))
        assert "inputs[0].name: expected one of image" in refused.value.response.json()["error"]
