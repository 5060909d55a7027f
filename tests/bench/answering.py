"""A server that answers ``{"row": n}`` with ``{"score": n}`` and does as the body says.

``"refuse": true`` gets 503, with ``Retry-After`` where ``"again"`` says so; ``"lie": true`` a wrong
score; ``"stall_ms"`` holds up the whole server, once.
"""

import asyncio
import json
import sys
import time
from typing import Any, cast

stalled: set[float] = set()


class Answers(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        head, _, body = data.partition(b"\r\n\r\n")
        asked: dict[str, Any] = json.loads(body)
        stall = asked.get("stall_ms", 0)
        if stall and stall not in stalled:
            stalled.add(stall)
            time.sleep(stall / 1e3)
        lines = [b"HTTP/1.1 503 No" if asked.get("refuse") else b"HTTP/1.1 200 OK"]
        if asked.get("again"):
            lines.append(b"retry-after: 1")
        lines += [line for line in head.split(b"\r\n") if line.startswith(b"x-request-id:")]
        answer = json.dumps({"score": asked["row"] + bool(asked.get("lie"))}).encode()
        lines += [b"content-length: %d" % len(answer), b"", answer]
        self.transport.write(b"\r\n".join(lines))


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(Answers, "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
