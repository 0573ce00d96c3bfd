"""A TCP proxy on loopback that damages what it forwards, as told.

It knows no HTTP: a fault waits for bytes that a client sends (the beginning of a request
line will do), and counts bytes of one direction of that connection from there on.
"""

import asyncio
import dataclasses
import re
import threading

PIECE = 16384


@dataclasses.dataclass
class Fault:
    match: bytes      # in what the client sends
    do: str           # "cut", "flip", "stall" or "rate"; "chunk": the head of the answer
                      # tells no length, as when a proxy sends it on in chunks
    at: int = 0       # after so many bytes: of the answer, or with is_up of the request
    value: float = 0  # seconds of a stall, bytes a second of a rate
    times: int = 1    # requests that it may still strike
    is_up: bool = False
    struck: int = 0   # how often it did strike
    passed: int = 0   # bytes let through at a rate


class FaultProxy:
    """with FaultProxy(port) as p: the server at port is also at p.url, faults and all."""

    def __init__(self, target):
        self.target = target
        self.faults = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._tasks = set()

    def __enter__(self):
        self._thread.start()
        start = asyncio.start_server(self._client, "127.0.0.1", 0)
        self._server = asyncio.run_coroutine_threadsafe(start, self._loop).result(10)
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        return self

    def __exit__(self, *_):
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _close(self):
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _client(self, reader, writer):
        task = asyncio.current_task()
        self._tasks.add(task)
        try:
            there = await asyncio.open_connection("127.0.0.1", self.target)
            await self._forward(reader, writer, *there)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _forward(self, reader, writer, their_reader, their_writer):
        armed = {True: [], False: []}  # by direction: [fault, bytes until it strikes]
        ways = [asyncio.create_task(self._way(reader, their_writer, armed, True)),
                asyncio.create_task(self._way(their_reader, writer, armed, False))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            their_writer.close()

    async def _way(self, reader, writer, armed, is_up):
        while data := await reader.read(PIECE):
            if is_up:
                self._arm(data, armed)
            data, is_end = await self._strike(bytearray(data), armed[is_up])
            writer.write(data)
            await writer.drain()
            if is_end:
                return

    def _arm(self, data, armed):
        for fault in self.faults:
            way = armed[fault.is_up]
            if fault.match not in data or fault.times <= 0:
                continue
            if fault.do != "rate" or not any(fault is known for known, _ in way):
                fault.times -= 1
                way.append([fault, fault.at])

    async def _strike(self, data, armed):
        for entry in list(armed):
            fault, left = entry
            if left >= len(data):
                entry[1] -= len(data)
                continue
            if fault.do == "rate":  # holds for the connection's life
                fault.struck = 1
                fault.passed += len(data)
                await asyncio.sleep(len(data) / fault.value)
                continue
            fault.struck += 1
            armed.remove(entry)
            if fault.do == "cut":
                return data[:left], True
            if fault.do == "flip":
                data[left] ^= 1
            elif fault.do == "chunk":
                head, body = bytes(data).split(b"\r\n\r\n", 1)
                length = re.search(rb"\r\n[Cc]ontent-[Ll]ength: (\d+)", head)
                head = head.replace(length[0], b"\r\nTransfer-Encoding: chunked")
                data[:] = head + b"\r\n\r\n%x\r\n" % int(length[1]) + body
            elif fault.do == "stall":
                await asyncio.sleep(fault.value)
        return data, False
