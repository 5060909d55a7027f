"""The listening socket: shared, handed on, and closed without losing anybody."""

import asyncio
import errno
import logging
import os
import resource
import select
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from boxship.errors import AddressError
from boxship.serve.processes.listener import (
    MOST_AT_ONCE,
    Acceptor,
    listen,
    refuse_new_connections,
)

LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a facility of Linux")


@contextmanager
def listening(host: str = "127.0.0.1") -> Iterator[socket.socket]:
    sock = listen(host, 0)
    try:
        yield sock
    finally:
        sock.close()


def connected(sock: socket.socket, host: str = "127.0.0.1") -> socket.socket:
    return socket.create_connection((host, sock.getsockname()[1]), timeout=5)


@contextmanager
def no_descriptors() -> Iterator[None]:
    """Nothing more can be opened in here."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # The next descriptor would have the number that the limit forbids.
    free = os.dup(0)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


# The socket


def test_port_zero_picks_a_free_one() -> None:
    """It listens, and does not block whoever accepts from it."""
    with listening() as sock, connected(sock):
        assert sock.getsockname()[1] > 0
        assert select.select([sock], [], [], 5)[0] == [sock]
        sock.accept()[0].close()
        with pytest.raises(BlockingIOError):
            sock.accept()


def test_an_address_may_be_used_again_at_once() -> None:
    """A server that restarts does not wait for the old one's connections to be forgotten."""
    with listening() as sock:
        port = sock.getsockname()[1]
        client = connected(sock)
        accepted, _ = sock.accept()
        accepted.close()
        client.close()
    listen("127.0.0.1", port).close()


def refused(host: str, port: int) -> AddressError:
    with pytest.raises(AddressError) as caught:
        listen(host, port)
    assert caught.value.exit_code == 5
    assert "--port (or PORT) and --host" in caught.value.tip
    return caught.value


def test_an_address_in_use() -> None:
    with listening() as sock:
        port = sock.getsockname()[1]
        message = refused("127.0.0.1", port).message
    assert message == f"Cannot listen on 127.0.0.1:{port}: Address already in use."


@pytest.mark.parametrize("host", ["192.0.2.1", "a..b", "x" * 80, "[::1]"])
def test_an_address_that_is_not_ours(host: str) -> None:
    """Another machine's, or no name at all."""
    assert refused(host, 0).message.startswith(f"Cannot listen on {host}:0: ")


@LINUX
def test_no_descriptor_is_left() -> None:
    """A machine that cannot give a socket at all is told of in the same way."""
    with no_descriptors():
        message = refused("127.0.0.1", 0).message
    assert message == "Cannot listen on 127.0.0.1:0: Too many open files."


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_ipv6(), reason="needs IPv6 on loopback: enable it")
@pytest.mark.optional_part("a machine may have no IPv6")
def test_all_addresses_are_ipv4_and_ipv6() -> None:
    """One address, ``::``, for a dual-stack cluster."""
    with listening("::") as sock:
        for host in ("127.0.0.1", "::1"):
            with connected(sock, host):
                accepted, _ = sock.accept()
                accepted.close()


# Accepting


class Protocol(asyncio.Protocol):
    """Answers each line with a number of its own, and remembers who connected."""

    made: list[asyncio.Transport]

    def __init__(self, made: list[asyncio.Transport]) -> None:
        self.made = made

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.made.append(transport)

    def data_received(self, data: bytes) -> None:
        self.transport.write(data.upper())


Test = Callable[[socket.socket, Acceptor, list[asyncio.Transport]], Awaitable[None]]


def run(test: Test, yields: Callable[[], bool] = lambda: False) -> None:
    """Run ``test`` with a socket that the acceptor owns a duplicate of."""

    async def body() -> None:
        with listening() as sock:
            made: list[asyncio.Transport] = []
            acceptor = Acceptor(sock.dup(), lambda: Protocol(made), yields)
            acceptor._sock.setblocking(False)
            try:
                await test(sock, acceptor, made)
            finally:
                await acceptor.close(take_waiting=False)
                for transport in made:
                    transport.abort()
                await asyncio.sleep(0)

    asyncio.run(asyncio.wait_for(body(), 20))


async def until(condition: Callable[[], object]) -> None:
    while not condition():  # noqa: ASYNC110 (a test has no one to wake it)
        await asyncio.sleep(0.001)


async def echoed(client: socket.socket) -> bytes:
    loop = asyncio.get_running_loop()
    client.setblocking(False)
    await loop.sock_sendall(client, b"ping")
    return await loop.sock_recv(client, 4)


def test_a_connection_is_handed_to_a_protocol() -> None:
    """Without Nagle's delay: an answer is sent when it is written."""

    async def test(sock: socket.socket, acceptor: Acceptor, made: list[asyncio.Transport]) -> None:
        acceptor.resume()
        acceptor.resume()
        assert acceptor.accepting
        with connected(sock) as client:
            assert await echoed(client) == b"PING"
            connection = made[0].get_extra_info("socket")
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)

    run(test)


def test_many_connections_are_taken_at_once() -> None:
    """A crowd must not wait for one turn of a busy event loop each; nor hold it up for long."""

    async def test(sock: socket.socket, acceptor: Acceptor, made: list[asyncio.Transport]) -> None:
        taken: list[int] = []
        with ExitStack() as stack:
            for _ in range(MOST_AT_ONCE + 3):
                stack.enter_context(connected(sock))
            acceptor.resume()
            await asyncio.sleep(0)
            for _ in range(2):
                # One turn of the loop, which has looked at its sockets once.
                await asyncio.sleep(0)
                taken.append(len(acceptor._handshakes) + len(made))
            assert taken == [MOST_AT_ONCE, MOST_AT_ONCE + 3]
            await until(lambda: len(made) == MOST_AT_ONCE + 3)

    run(test)


def test_a_paused_acceptor_leaves_connections_to_others() -> None:
    async def test(sock: socket.socket, acceptor: Acceptor, made: list[asyncio.Transport]) -> None:
        acceptor.resume()
        acceptor.pause()
        acceptor.pause()
        assert not acceptor.accepting
        with connected(sock) as client:
            await asyncio.sleep(0.02)
            assert made == []
            acceptor.resume()
            assert await echoed(client) == b"PING"

    run(test)


def test_another_process_may_go_first() -> None:
    """It gets a moment; a connection that it does not want is taken after all."""
    asked: list[float] = []
    waiting: list[socket.socket] = []
    taken: list[socket.socket] = []

    def yields() -> bool:
        asked.append(asyncio.get_running_loop().time())
        while waiting:
            taken.append(waiting.pop().accept()[0])
        return True

    async def test(sock: socket.socket, acceptor: Acceptor, made: list[asyncio.Transport]) -> None:
        acceptor.resume()
        with connected(sock) as client:
            assert await echoed(client) == b"PING"
        assert len(made) == 1
        assert asyncio.get_running_loop().time() - asked[0] < 1
        waiting.append(sock)
        with connected(sock):
            await until(lambda: len(taken) == 1)
            taken.pop().close()
            await asyncio.sleep(0.02)
        assert len(made) == 1

    run(test, yields)


def test_pausing_ends_a_yield() -> None:
    """A server that drains does not come back for the connection it let another have."""
    drains: list[Callable[[], None]] = []

    def yields() -> bool:
        asyncio.get_running_loop().call_soon(drains[0])
        return True

    async def test(sock: socket.socket, acceptor: Acceptor, made: list[asyncio.Transport]) -> None:
        drains.append(acceptor.pause)
        acceptor.resume()
        with connected(sock):
            await until(lambda: not acceptor.accepting)
            await asyncio.sleep(0.02)
            assert (made, acceptor.accepting) == ([], False)

    run(test, yields)


@LINUX
def test_a_connection_waits_while_no_descriptor_is_free(caplog: pytest.LogCaptureFixture) -> None:
    """It is told of, not spun on; and the connection is taken once one is free."""

    async def test(sock: socket.socket, acceptor: Acceptor, made: list[asyncio.Transport]) -> None:
        with connected(sock) as client:
            with no_descriptors():
                acceptor.resume()
                await until(lambda: caplog.messages)
                assert (acceptor.accepting, made) == (False, [])
            assert await echoed(client) == b"PING"

    with caplog.at_level(logging.WARNING, "boxship.listener"):
        run(test)
    assert caplog.messages == ["cannot accept a connection: Too many open files"]


@LINUX
def test_a_server_that_closes_for_lack_of_descriptors_does_not_come_back() -> None:
    """The retry would wake up to a socket that is closed."""
    problems: list[dict[str, Any]] = []

    async def test(sock: socket.socket, acceptor: Acceptor, made: list[asyncio.Transport]) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: problems.append(context))
        with connected(sock):
            with no_descriptors():
                acceptor.resume()
                await until(lambda: not acceptor.accepting)
                await acceptor.close()
            await asyncio.sleep(0.15)
        assert (made, acceptor.accepting) == ([], False)

    run(test)
    assert problems == []


def test_another_failure_is_not_hidden() -> None:
    async def test(sock: socket.socket, acceptor: Acceptor, made: list[asyncio.Transport]) -> None:
        with socket.socket() as other:
            acceptor._sock.close()
            acceptor._sock = other
            with pytest.raises(OSError, match=os.strerror(errno.EINVAL)):
                acceptor._accept_one()

    run(test)


# Closing


def test_closing_takes_what_waits() -> None:
    """Whoever is in the queue has connected already: it gets its answer, not a reset."""

    async def test(sock: socket.socket, acceptor: Acceptor, made: list[asyncio.Transport]) -> None:
        acceptor.resume()
        acceptor.pause()
        clients = [connected(sock) for _ in range(5)]
        await acceptor.close()
        assert len(made) == 5
        for client in clients:
            assert await echoed(client) == b"PING"
            client.close()

    run(test)


def test_closing_may_leave_what_waits_to_the_others() -> None:
    async def test(sock: socket.socket, acceptor: Acceptor, made: list[asyncio.Transport]) -> None:
        with connected(sock):
            await acceptor.close(take_waiting=False)
            assert made == []
            accepted, _ = sock.accept()
            accepted.close()

    run(test)


@LINUX
@pytest.mark.optional_part("older kernels and some sandboxes do not allow it")
def test_a_late_client_is_refused_and_never_reset() -> None:
    """Between the last accept and the close none can slip in, and what waits stays.

    One call holds for every process that has the socket.
    """
    with listening() as sock:
        early = connected(sock)
        if not refuse_new_connections(sock):
            early.close()
            pytest.skip("needs Linux 5.7 or a privilege, for a socket bound to no interface")
        with pytest.raises((ConnectionRefusedError, TimeoutError)):
            connected(sock)
        accepted, _ = sock.accept()
        sock.close()
        early.sendall(b"ping")
        assert accepted.recv(4) == b"ping"
        accepted.sendall(b"pong")
        assert early.recv(4) == b"pong"
        early.close()
        accepted.close()


def test_a_socket_that_cannot_refuse_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    """The server goes on without, as it would anywhere else."""
    with listening() as sock:
        sock.close()
        with caplog.at_level(logging.DEBUG, "boxship.listener"):
            assert not refuse_new_connections(sock)
    if sys.platform.startswith("linux"):
        assert caplog.messages == ["new connections cannot be refused: Bad file descriptor"]


def test_elsewhere_than_on_linux_nothing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    with listening() as sock:
        assert not refuse_new_connections(sock)
        connected(sock).close()
