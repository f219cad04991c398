"""A uvicorn that says when it is ready, and stops at once."""

import asyncio
import socket
import threading

import uvicorn


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
        for listener in (*self.servers, *(sockets or [])):
            listener.close()
        for connection in list(self.server_state.connections):
            connection.transport.abort()
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
