"""From the converter's graph to the bytes of the file that is served."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from boxship.convert.converters import TARGET_OPSET, Converted
from boxship.convert.edits import Edit, element_type
from boxship.convert.errors import INSTEAD, ConversionError
from boxship.convert.inputs import Inputs, described, put_inputs
from boxship.convert.outputs import Given, put_outputs
from boxship.runtimes.base import Tensors
from boxship.runtimes.onnx.metadata import ANSWERS_KEY, COLUMNS_KEY
from boxship.signature import Answer, Datatype, Signature


def finished(converted: Converted, inputs: Inputs, signature: Signature, sample: Tensors) -> bytes:
    """The ONNX file with the original's names, shapes and answers, without a proof yet.

    ``sample`` is a batch of ``outputs.PROBE_ROWS`` rows that the original answers. Equal models
    give equal bytes. Raises ``ConversionError`` where onnxruntime cannot run the graph.
    """
    model = converted.graph
    del model.graph.value_info[:]
    _use_plain_locale(model.graph)
    _cast_outputs(model.graph, inputs.number)
    given = _given(model, inputs, sample)
    names = put_outputs(model.graph, signature, given)
    put_inputs(model.graph, inputs)
    _sort_opsets(model)
    del model.metadata_props[:]
    for key, value in (
        (COLUMNS_KEY, described(signature)),
        (ANSWERS_KEY, [_answer(answer, names) for answer in signature.answers]),
    ):
        model.metadata_props.add(key=key, value=json.dumps(value, ensure_ascii=False))
    try:
        return bytes(model.SerializeToString(deterministic=True))
    except ValueError as error:
        raise ConversionError(
            f"The ONNX file would be larger than the 2 GB that such a file can have: {error}",
            tip=INSTEAD.format("train a smaller model"),
        ) from error


def _use_plain_locale(graph: Any) -> None:
    """Text is made lower case by a locale, and slim images have no other that knows Unicode."""
    from onnx import helper

    for node in graph.node:
        if node.op_type == "StringNormalizer":
            others = [one for one in node.attribute if one.name != "locale"]
            del node.attribute[:]
            node.attribute.extend([*others, helper.make_attribute("locale", "C.UTF-8")])


def _sort_opsets(model: Any) -> None:
    """The operator sets in one order, with the plain one, which the edits use."""
    from onnx import helper

    versions = {"": TARGET_OPSET[""]} | {one.domain: one.version for one in model.opset_import}
    del model.opset_import[:]
    model.opset_import.extend(helper.make_opsetid(*one) for one in sorted(versions.items()))


def _cast_outputs(graph: Any, number: Datatype) -> None:
    """Every output of numbers in ``number``.

    Converters announce the type of the first input, which may be a text, and not always
    the one that their last node gives.
    """
    edit, kind = Edit(graph), element_type(number)
    numbers = (element_type("FP32"), element_type("FP64"))
    for output in graph.output:
        if output.type.tensor_type.elem_type in numbers:
            output.name = edit.node("Cast", [output.name], to=kind)
            output.type.tensor_type.elem_type = kind


def _answer(answer: Answer, names: Mapping[str, str]) -> dict[str, Any]:
    said = asdict(answer) | {"output": names[answer.output]}
    return {key: value for key, value in said.items() if value not in (None, (), "")}


def _given(model: Any, inputs: Inputs, sample: Tensors) -> Given:
    """What the converter's outputs are for ``sample``."""
    import onnxruntime

    from boxship.runtimes.onnx.runtime import sentence

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    # What it would log is raised, or is about shapes that are asked about here.
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), sess_options=options, providers=["CPUExecutionProvider"]
        )
        names = [one.name for one in session.get_outputs()]
        return dict(zip(names, session.run(names, inputs.inside(sample)), strict=True))
    except Exception as error:
        raise ConversionError(
            f"onnxruntime {onnxruntime.__version__} cannot run what the converter made: "
            f"{sentence(error)}",
            tip=INSTEAD.format("replace the part that it names"),
        ) from error
