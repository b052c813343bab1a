"""The application: API, pages, health, in one ASGI app."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from importlib.metadata import version
from importlib.resources import files

import uvicorn
from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles
from starlette.types import ASGIApp
from uvicorn.loops.auto import auto_loop_factory

from consentflow.api import (
    access,
    audit,
    erasures,
    events,
    health,
    inbound,
    partners,
    problems,
    registration_batches,
    registrations,
    source_requests,
    subscribers,
)
from consentflow.api.limits import BodyLimits
from consentflow.api.measuring import Measured
from consentflow.domain.clock import SystemClock
from consentflow.logs import set_up_logging
from consentflow.pages import console, crowding, lead, partner, session, sign_in, source_request, subscriber
from consentflow.pages.headers import SafeHeaders
from consentflow.pages.render import PageRenderer
from consentflow.runtime import Parts
from consentflow.settings import Settings, read_settings
from consentflow.signals import until_stopped
from consentflow.tracing import sending_traces

DESCRIPTION = """\
Takes registrations of leads by partners and sees to it that each lead is asked, told or left alone as the law of
its country wants. Errors are problem documents (RFC 9457) with a stable `code`. Times are RFC 3339, UTC.
"""


class _App(FastAPI):
    """FastAPI, with the headers of every answer set outside even of what answers failures."""

    def build_middleware_stack(self) -> ASGIApp:
        """Builds the way of a request."""
        public_url: str = self.state.parts.settings.public_url
        return SafeHeaders(super().build_middleware_stack(), encrypted=public_url.startswith("https:"))


def create_app(parts: Parts) -> FastAPI:
    """Builds the application; it connects to nothing before it is asked something."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        parts.registrations.make_ready()
        yield
        await parts.database.close()

    app = _App(
        title="consentflow",
        version=version("consentflow"),
        description=DESCRIPTION,
        lifespan=lifespan,
        responses=problems.RESPONSES,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
    )
    app.state.parts = parts
    app.state.pages = PageRenderer()
    problems.install(app)
    session.install(app)
    crowding.install(app)
    app.add_middleware(BodyLimits, streamed={registration_batches.PATH})
    app.add_middleware(Measured)
    app.include_router(registrations.router)
    app.include_router(registration_batches.router)
    app.include_router(events.router)
    app.include_router(erasures.router)
    app.include_router(access.router)
    app.include_router(audit.router)
    app.include_router(partners.router)
    app.include_router(subscribers.router)
    app.include_router(source_requests.router)
    app.include_router(inbound.router)
    app.include_router(health.router)
    app.include_router(lead.router)
    app.include_router(source_request.router)
    app.include_router(subscriber.router)
    app.include_router(sign_in.router)
    app.include_router(partner.router)
    app.include_router(console.router)
    app.mount("/assets", StaticFiles(directory=str(files("consentflow.templates") / "assets")), name="assets")
    return app


class _Server(uvicorn.Server):
    """A server that leaves the signals alone; whoever runs it says when to stop."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Captures none."""
        yield


@asynccontextmanager
async def serving(app: FastAPI, listener: socket.socket) -> AsyncIterator[None]:
    """Serves on a listening socket until the block ends, then lets requests in flight finish.

    Paths are not logged, since they hold tokens.
    """
    settings: Settings = app.state.parts.settings
    config = uvicorn.Config(
        app,
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=20,
        lifespan="on",
        forwarded_allow_ips=settings.trusted_proxies,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]), name="http")
    while not server.started and not task.done():
        await asyncio.sleep(0.01)
    try:
        yield
    finally:
        server.should_exit = True
        await task


async def run(settings: Settings) -> None:
    """The API process: serves until it is told to stop. Needs no database to start, only to accept."""
    with socket.create_server((settings.host, settings.port), backlog=2048) as listener:
        async with serving(create_app(Parts(settings, SystemClock())), listener):
            await until_stopped()


def main() -> None:
    """Runs the API from the environment's settings."""
    settings = read_settings()
    set_up_logging(settings.log_format)
    with (
        sending_traces(settings.tracing.endpoint, "api"),
        asyncio.Runner(loop_factory=auto_loop_factory()) as runner,  # uvloop, where there is one
    ):
        runner.run(run(settings))
