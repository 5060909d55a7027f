"""What is left when there is no model: Boxship's HTTP server, two processes, one socket.

``direct`` and ``asgi`` parse the body of a request into a typed object and answer a constant, on
the path that ``/predict`` takes and as an ASGI application; ``echo`` answers the body that it got.
Run as ``python server.py direct|asgi|echo PORT``.
"""

import asyncio
import os
import signal
import socket
import sys
from functools import partial
from typing import Any

import msgspec
import uvloop

from boxship.serve.arrived import Answer, Arrived
from boxship.serve.messages import Date
from boxship.serve.processes.http import HttpServer
from boxship.serve.processes.listener import listen
from boxship.serve.processes.spread import ConnectionTable
from boxship.settings import ServeSettings

WORKERS = 2
CONSTANT = b'{"score":0.5,"label":0}'


class Row(msgspec.Struct):
    """The body, as the model would need it."""

    feature_1: float
    feature_2: float


decode = msgspec.json.Decoder(Row).decode
date = Date()


async def _answer(receive: Any, send: Any, kind: bytes, answer: Any) -> None:
    """Read the whole body, and send what ``answer`` makes of it."""
    message = await receive()
    body = message["body"]
    if message.get("more_body"):
        parts = [body]
        while message.get("more_body"):
            message = await receive()
            parts.append(message["body"])
        body = b"".join(parts)
    content = answer(body)
    headers = [(b"content-type", kind), (b"content-length", b"%d" % len(content))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": content})


def _constant(body: bytes) -> bytes:
    decode(body)
    return CONSTANT


async def asgi(_scope: Any, receive: Any, send: Any) -> None:
    await _answer(receive, send, b"application/json", _constant)


def direct(arrived: Arrived) -> Answer:
    decode(arrived.body)
    head = b"HTTP/1.1 200 OK\r\ndate: %b\r\ncontent-type: application/json\r\n" % date.now()
    return Answer(b"%bcontent-length: %d\r\n\r\n%b" % (head, len(CONSTANT), CONSTANT))


async def echo(_scope: Any, receive: Any, send: Any) -> None:
    await _answer(receive, send, b"application/octet-stream", lambda body: body)


async def work(mode: str, sock: socket.socket, table: ConnectionTable, slot: int) -> None:
    """One worker, wired as Boxship's own: the one with fewest connections accepts first."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server = HttpServer(
        echo if mode == "echo" else asgi,
        ServeSettings(),
        counted=partial(table.publish, slot),
        direct=direct if mode == "direct" else None,
    )
    await server.start()
    table.publish(slot, 0)
    server.accept(sock, partial(table.others_have_fewer, slot))
    await stop.wait()
    await server.close()


def main(mode: str, port: int) -> None:
    """Share one socket between the workers, and end them on SIGTERM."""
    sock = listen("127.0.0.1", port)
    table = ConnectionTable.create()
    children = []
    for slot in range(WORKERS):
        child = os.fork()
        if child == 0:
            uvloop.run(work(mode, sock, table, slot))
            os._exit(0)
        children.append(child)
    sock.close()

    def end(*_: Any) -> None:
        for one in children:
            os.kill(one, signal.SIGTERM)

    signal.signal(signal.SIGTERM, end)
    for one in children:
        os.waitpid(one, 0)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
