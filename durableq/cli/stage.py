"""Where the workers of `durableq dev` come and go: makes each one, and tells the person what has become of the code."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from durableq.cli import banner
from durableq.cli.banner import say
from durableq.cli.places import DEV_DIRECTORY
from durableq.embedded import EmbeddedServer
from durableq.services.parent import Parent
from durableq.services.pipe import Message
from durableq.services.settings import WorkerSettings
from durableq.store.address import hide_password
from durableq.store.calls import Calls
from durableq.store.leases import Leases
from durableq.store.registry import Registry
from durableq.words.errors import DurableqError
from durableq.words.ids import new_token
from durableq.words.telemetry import get_log

CHILD: Final = (sys.executable, "-m", "durableq.cli.child")


class Stage:
    """Makes workers for a Succession and is its Teller. `server` is our own, None for one that was given."""

    def __init__(
        self, settings: WorkerSettings, server: EmbeddedServer | None, environment: Mapping[str, str], *, reloads: bool
    ) -> None:
        self._settings = settings
        self._server = server
        self._environment = environment
        self._reloads = reloads
        self._calls: Calls | None = None
        self._release = ""
        self._served: banner.Triggers | None = None
        self._telling: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._log = get_log()

    async def opened(self, calls: Calls) -> None:
        """The server answers, on this connection. Says so."""
        self._calls = calls
        say(f"{await banner.server_name(calls)} at {hide_password(self._settings.redis_url)}{await self._shared()}")

    async def _shared(self) -> str:
        if self._server is None:
            return ""
        others = await self._server.sharers()
        if others:
            named = ", ".join(map(str, others))
            return (
                f", shared with another `durableq dev` (process {named}): this one runs a worker of its own, and the last "
                "to stop ends the server"
            )
        kept = f", its data in {DEV_DIRECTORY}/"
        return f"{kept}. It was still running: one that was killed has left it" if self._server.adopted else kept

    def begin(self, heard: Callable[[Message], None]) -> Parent:
        """A worker that has not started. Each has a release of its own, so that its functions replace those before it,
        also where the code is what it once was.
        """
        assert self._calls is not None
        self._release = f"dev-{new_token()}"
        settings = replace(self._settings, release=self._release)
        return Parent(settings, CHILD, Leases(self._calls), self._log, heard)

    # --- what a Succession tells

    def works(self) -> None:
        if self._telling is not None:
            self._telling.cancel()
        self._telling = self._do(self._tell_served(self._release))

    def changed(self, files: Sequence[str]) -> None:
        say(banner.changed(files))

    def refused(self) -> None:
        say("nothing is executed until that is mended and saved. What arrives meanwhile waits")

    def left(self) -> None:
        self._do(self._retire())

    def stopping(self) -> None:
        grace = f"{self._settings.grace_s:g} s"
        say(f"stopping. Steps that execute have {grace} to end; runs go on at the next start. Ctrl-C again: stop now")

    async def close(self) -> None:
        """Tell nothing any more."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _tell_served(self, release: str) -> None:
        assert self._calls is not None
        try:
            functions = await banner.served(self._calls, release)
        except DurableqError as error:
            say(f"what is served cannot be told: {error}")
            return
        if self._served is None:
            settings = self._settings
            where = (settings.redis_url, settings.namespace)
            line = banner.paste_line(*where, functions, self._environment)
            say(banner.welcome(functions, line, banner.look_line(*where, self._environment), self._reloads))
        else:
            say(banner.reloaded(self._served, functions))
        self._served = functions
        await self._retire()

    async def _retire(self) -> None:
        """Forget the functions that the code has no more: on a server of our own at once, elsewhere the scheduler does it."""
        if self._server is None or self._calls is None:
            return
        try:
            for function in await Registry(self._calls).retire_functions(0):
                self._log.info("function.retired", function=function)
        except DurableqError as error:
            self._log.warning("function.not_retired", error=str(error))

    def _do(self, what: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(what)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
