"""The proof's JSON form, its place in a file, and its sentence."""

import json
from dataclasses import replace
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from boxship import proof as proofs
from boxship.errors import ModelError
from boxship.proof import PROOF_KEY, Proof

PROOF = Proof(
    source="churn.pkl",
    source_digest="sha256:" + "ab12" * 16,
    graph="sha256:" + "00" * 32,
    samples="generated from the model",
    rows=4812,
    refused=3,
    undecided=0,
    largest_absolute=4e-8,
    largest_relative=3e-8,
    labels_that_differ=0,
    tolerance=1e-4,
    datatype="FP32",
    versions={"boxship": "0.1.0", "onnx": "1.19.0"},
)


def test_it_comes_back_from_json_as_it_was() -> None:
    assert proofs.from_json(proofs.to_json(PROOF)) == PROOF


def test_equal_proofs_give_equal_text() -> None:
    turned = replace(PROOF, versions=dict(reversed(PROOF.versions.items())))
    assert proofs.to_json(turned) == proofs.to_json(PROOF)


def changed(**fields: object) -> str:
    content = json.loads(proofs.to_json(PROOF)) | fields
    return json.dumps({key: value for key, value in content.items() if value is not None})


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "it is no JSON"),
        ("[]", "it is no JSON object"),
        (changed(version=2), "its version is not 1"),
        (changed(version=None), "its version is not 1"),
        (changed(rows="many"), "`rows` is missing or of another type"),
        (changed(rows=True), "`rows` is missing or of another type"),
        (changed(graph=None), "`graph` is missing or of another type"),
        (changed(versions=[]), "`versions` is missing or of another type"),
        (changed(largest_relative="0"), "`largest_relative` is missing or of another type"),
    ],
)
def test_what_is_no_proof_is_told(text: str, why: str) -> None:
    with pytest.raises(ModelError) as caught:
        proofs.from_json(text)
    assert caught.value.message.startswith(f"The model's metadata `{PROOF_KEY}` cannot be read")
    assert why in caught.value.message


def test_a_whole_number_is_a_number_too() -> None:
    """JSON may have lost the point of a zero on its way."""
    assert proofs.from_json(changed(largest_absolute=0)).largest_absolute == 0


def saved(path: Path) -> bytes:
    """A small ONNX file with metadata of its own; its bytes."""
    info = helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 1])
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 1])
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", [info], [out])
    model = helper.make_model(graph)
    helper.set_model_props(model, {"boxship.columns": '["x"]'})
    content: bytes = model.SerializeToString()
    path.write_bytes(content)
    return content


@pytest.fixture
def proven(tmp_path: Path) -> tuple[Path, str, Proof]:
    """A file with its proof, the proof's text and the proof."""
    path = tmp_path / "model.onnx"
    content = saved(path)
    proof = replace(PROOF, graph=proofs.digest(content))
    text = proofs.to_json(proof)
    path.write_bytes(content + proofs.entry(text))
    return path, text, proof


def test_appended_it_is_metadata_like_any_other(proven: tuple[Path, str, Proof]) -> None:
    path, text, proof = proven
    model = onnx.load(path)
    found = {one.key: one.value for one in model.metadata_props}
    assert found == {"boxship.columns": '["x"]', PROOF_KEY: text}
    assert proofs.holds(path, text, proof)


def test_it_does_not_hold_for_other_bytes(proven: tuple[Path, str, Proof]) -> None:
    path, text, proof = proven
    content = path.read_bytes()
    path.write_bytes(content.replace(b"Identity", b"Negative"))
    assert not proofs.holds(path, text, proof)


def test_it_does_not_hold_once_another_tool_has_written_the_file(
    proven: tuple[Path, str, Proof],
) -> None:
    path, text, proof = proven
    model = onnx.load(path)
    helper.set_model_props(model, {PROOF_KEY: text, "author": "me"})
    onnx.save(model, path)
    assert not proofs.holds(path, text, proof)


def test_a_long_proof_is_written_with_its_length(tmp_path: Path) -> None:
    """A length of more than seven bits takes more than one byte."""
    path = tmp_path / "model.onnx"
    text = proofs.to_json(replace(PROOF, samples="x" * 40_000))
    path.write_bytes(saved(path) + proofs.entry(text))
    (found,) = [one.value for one in onnx.load(path).metadata_props if one.key == PROOF_KEY]
    assert found == text


UNDECIDED = "and on 2 the original itself is undecided"


@pytest.mark.parametrize(
    ("proof", "sentence"),
    [
        (PROOF, "4,812 rows agree within 3e-08 of their values, no label differs"),
        (
            replace(PROOF, largest_relative=0.0),
            "4,812 rows agree exactly, no label differs",
        ),
        (
            replace(PROOF, undecided=2, labels_that_differ=1),
            f"4,810 rows agree within 3e-08 of their values, 1 label differs, {UNDECIDED}",
        ),
        (
            replace(PROOF, undecided=2, labels_that_differ=2),
            f"4,810 rows agree within 3e-08 of their values, 2 labels differ, {UNDECIDED}",
        ),
    ],
)
def test_the_sentence(proof: Proof, sentence: str) -> None:
    start = "converted from churn.pkl (sha256:ab12ab12ab12…): "
    assert proofs.sentence(proof) == start + sentence
