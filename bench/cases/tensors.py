"""One image of 1x3x224x224 float32 through an identity model, as binary tensors and as JSON."""

import json
import random
import struct
from dataclasses import replace
from functools import partial
from typing import Any

import lineup
import wrk
from lineup import Peer
from payload import JSON, Payload
from plan import Plan, rotated
from server import Running

MODEL = "identity"
SHAPE = [1, 3, 224, 224]
BINARY_CONNECTIONS = 16
JSON_CONNECTIONS = 4
PATH = "/v2/models/model/infer"

BOXSHIP_BINARY = replace(lineup.boxship("onnx"), name="tensors-binary")
BOXSHIP_JSON = replace(lineup.boxship("onnx"), name="tensors-json")
ECHO = replace(lineup.ceiling("echo"), name="tensors-echo")
MLSERVER_JSON = replace(lineup.MLSERVER, name="tensors-mlserver", suffix=".onnx")


def numbers() -> list[float]:
    """Pixels as a normalised image has them, exact in float32."""
    dice = random.Random(0)
    count = SHAPE[1] * SHAPE[2] * SHAPE[3]
    return list(struct.unpack(f"<{count}f", _packed([dice.gauss(0, 1) for _ in range(count)])))


def _packed(values: list[float]) -> bytes:
    return struct.pack(f"<{len(values)}f", *values)


def _tensor(**further: Any) -> dict[str, Any]:
    return {"name": "input", "datatype": "FP32", "shape": SHAPE, **further}


def binary(values: list[float]) -> Payload:
    """V2 with the tensor's bytes behind a short JSON header."""
    raw = _packed(values)
    tensor = _tensor(parameters={"binary_data_size": len(raw)})
    wanted = {"inputs": [tensor], "parameters": {"binary_data_output": True}}
    head = json.dumps(wanted).encode()
    return Payload(
        path=PATH,
        bodies=[head + raw],
        headers={
            "content-type": "application/octet-stream",
            "inference-header-content-length": str(len(head)),
        },
        is_right=lambda _, answer: answer.endswith(raw),
    )


def text(values: list[float]) -> Payload:
    """V2 with the tensor's numbers as JSON."""

    def is_right(_: int, answer: bytes) -> bool:
        try:
            return bool(_packed(json.loads(answer)["outputs"][0]["data"]) == raw)
        except (ValueError, LookupError, TypeError, struct.error):
            return False

    raw = _packed(values)
    body = json.dumps({"inputs": [_tensor(data=values)]}).encode()
    return Payload(path=PATH, bodies=[body], headers=JSON, is_right=is_right)


def run(plan: Plan) -> None:
    """Boxship beside the same server's echo, and beside MLServer."""
    values = numbers()
    as_bytes, as_text = binary(values), text(values)
    echoed = replace(as_bytes, is_right=lambda _, answer: answer == as_bytes.bodies[0])
    visits: list[tuple[Peer, Payload, int]] = [
        (BOXSHIP_BINARY, as_bytes, BINARY_CONNECTIONS),
        (ECHO, echoed, BINARY_CONNECTIONS),
        (BOXSHIP_JSON, as_text, JSON_CONNECTIONS),
        (MLSERVER_JSON, as_text, JSON_CONNECTIONS),
    ]
    for number in range(plan.rounds):
        for peer, asked, connections in rotated(visits, number):
            plan.visit(number, peer, MODEL, asked, partial(_measure, plan, number, connections))


def _measure(plan: Plan, number: int, connections: int, server: Running) -> None:
    name, asked = server.peer.name, server.payload
    check = wrk.run(server.port, asked, connections=connections, seconds=1, check=True)
    wrong = sum(n for body, n in check.answers.items() if not asked.is_one_of_ours(body))
    plan.ask_each(number, server, MODEL)
    load = wrk.run(server.port, asked, connections=connections, seconds=plan.seconds(4))
    plan.record(
        number,
        name,
        MODEL,
        rate=load.rate,
        bad=load.bad_status + load.broken,
        checked=sum(check.answers.values()),
        wrong=wrong,
    )
    if wrong:
        plan.fail(number, f"{name}: {wrong} wrong tensors under load")
