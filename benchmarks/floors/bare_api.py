"""The floor of accepting: the same framework, the same server, a validated body, one insert."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import uvicorn
from fastapi import FastAPI

from consentflow.domain.intake import RegistrationIn


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with asyncpg.create_pool(os.environ["FLOOR_DATABASE_URL"], min_size=1, max_size=10) as pool:
        await pool.execute("CREATE TABLE IF NOT EXISTS taken (id text PRIMARY KEY, content jsonb NOT NULL)")
        app.state.pool = pool
        yield


app = FastAPI(lifespan=_lifespan)


@app.post("/v1/registrations", status_code=202)
async def take(body: RegistrationIn) -> dict[str, str]:
    """Keeps the request as it is."""
    await app.state.pool.execute(
        "INSERT INTO taken (id, content) VALUES ($1, $2)", body.registration_id, body.model_dump_json()
    )
    return {"registration_id": body.registration_id}


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ["FLOOR_PORT"]), access_log=False, log_config=None)
