"""A registration that waits for 30 days, as one would write it with libraries that do without Temporal.

Run as ``python -m benchmarks.floors.peer_api procrastinate`` or ``… dbos``. Both answer once the wait is in Postgres.
"""

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import uvicorn
from fastapi import FastAPI

from consentflow.domain.intake import RegistrationIn

WAIT = timedelta(days=30)
PORT = int(os.environ.get("FLOOR_PORT", "0"))
URL = os.environ.get("FLOOR_DATABASE_URL", "")


def with_procrastinate() -> FastAPI:
    """A job that is due in 30 days: one row, taken by a worker that asks for what is due."""
    import procrastinate  # noqa: PLC0415 - one process, one peer

    jobs = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=URL, min_size=1, max_size=10))

    async def send_notice(registration: str) -> None:
        """Does nothing, and is never called here."""

    notice = jobs.task(name="notice")(send_notice)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with jobs.open_async():
            await jobs.schema_manager.apply_schema_async()
            yield

    app = FastAPI(lifespan=lifespan)

    @app.post("/v1/registrations", status_code=202)
    async def take(body: RegistrationIn) -> dict[str, str]:
        """Defers the job before it answers."""
        due = notice.configure(schedule_in={"seconds": int(WAIT.total_seconds())})
        await due.defer_async(registration=body.model_dump_json())
        return {"registration_id": body.registration_id}

    return app


def with_dbos() -> FastAPI:
    """A workflow that sleeps durably: a row for it, a row for when it wakes, and a task in the process."""
    import dbos  # noqa: PLC0415 - one process, one peer

    async def wait(registration: str) -> None:  # noqa: ARG001 - it is part of what is kept
        await dbos.DBOS.sleep_async(WAIT.total_seconds())

    # Neither a conductor nor telemetry: it opens no connection but to Postgres.
    dbos.DBOS(
        config={
            "name": "bench",
            "system_database_url": URL.replace("postgresql://", "postgresql+psycopg://"),
            "enable_otlp": False,
            "log_level": "WARNING",
        }
    )
    waiting = dbos.DBOS.workflow(name="wait")(wait)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        dbos.DBOS.launch()
        yield
        dbos.DBOS.destroy(workflow_completion_timeout_sec=0)

    app = FastAPI(lifespan=lifespan)

    @app.post("/v1/registrations", status_code=202)
    async def take(body: RegistrationIn) -> dict[str, str]:
        """Starts the workflow before it answers."""
        with dbos.SetWorkflowID(body.registration_id):
            await dbos.DBOS.start_workflow_async(waiting, body.model_dump_json())
        return {"registration_id": body.registration_id}

    return app


PEERS = {"procrastinate": with_procrastinate, "dbos": with_dbos}

if __name__ == "__main__":
    uvicorn.run(PEERS[sys.argv[1]](), host="127.0.0.1", port=PORT, access_log=False, log_config=None)
