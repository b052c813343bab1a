"""The plain way to wait 30 days: the request starts a workflow, and the workflow sleeps.

Run as ``python -m benchmarks.floors.bare_timer api`` and ``… worker``.
"""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from fastapi import FastAPI
from temporalio.client import Client
from temporalio.runtime import PrometheusConfig, Runtime, TelemetryConfig
from temporalio.worker import Worker

from benchmarks.floors.bare import Sleeper
from consentflow.domain.intake import RegistrationIn

QUEUE = "bench-plain"


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    app.state.temporal = await Client.connect(os.environ["PLAIN_TEMPORAL"])
    yield


app = FastAPI(lifespan=_lifespan)


@app.post("/v1/registrations", status_code=202)
async def take(body: RegistrationIn) -> dict[str, str]:
    """Starts the workflow before it answers."""
    await app.state.temporal.start_workflow(
        Sleeper.run, body.model_dump_json(), id=f"plain/{body.registration_id}", task_queue=QUEUE
    )
    return {"registration_id": body.registration_id}


async def _worker() -> None:
    # How many first tasks are done is told by the SDK's own count of answered calls.
    telling = PrometheusConfig(bind_address=f"127.0.0.1:{os.environ['PLAIN_METRICS_PORT']}")
    runtime = Runtime(telemetry=TelemetryConfig(metrics=telling))
    client = await Client.connect(os.environ["PLAIN_TEMPORAL"], runtime=runtime)
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    async with Worker(client, task_queue=QUEUE, workflows=[Sleeper]):
        await stopped.wait()


if __name__ == "__main__":
    if sys.argv[1] == "worker":
        asyncio.run(_worker())
    else:
        uvicorn.run(app, host="127.0.0.1", port=int(os.environ["FLOOR_PORT"]), access_log=False, log_config=None)
