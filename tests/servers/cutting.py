"""A uvicorn that says when it is ready, and stops at once."""

import asyncio
import socket
import threading

import uvicorn

TURNS_OF_THE_LOOP = 10
"""A connection that was just accepted is known after a few, and one that is cut is then closed."""


class CuttingServer(uvicorn.Server):
    """Cuts every connection when it stops, as a killed process does, from whatever thread."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()
        self.loop: asyncio.AbstractEventLoop | None = None
        self._end = asyncio.Event()

    async def main_loop(self) -> None:
        self.loop = asyncio.get_running_loop()
        await self.on_tick(0)
        self.ready.set()
        await self._end.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """What uvicorn does, without the tenth of a second that it gives each connection to end.

        Hundreds of servers stop while the tests run, and those were forty seconds.
        """
        loop = asyncio.get_running_loop()
        for listener in (each for server in self.servers for each in server.sockets):
            # What was accepted before must come in first: asyncio loses it where its server closes.
            loop.remove_reader(listener.fileno())
        for _ in range(TURNS_OF_THE_LOOP):
            for connection in list(self.server_state.connections):
                connection.transport.abort()
            await asyncio.sleep(0)
        for closing in (*self.servers, *(sockets or [])):
            closing.close()
        if self.server_state.tasks:
            _, late = await asyncio.wait(
                self.server_state.tasks, timeout=self.config.timeout_graceful_shutdown
            )
            for task in late:
                task.cancel()
        await self.lifespan.shutdown()

    def stop(self) -> None:
        if self.loop is not None and not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self._end.set)
