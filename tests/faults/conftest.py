"""One world for each file; a test that breaks something in it mends it again."""

import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.faults.world import World, running


@pytest.fixture(scope="module")
async def world() -> AsyncIterator[World]:
    folder = Path(tempfile.mkdtemp(prefix="consentflow-faults-"))
    try:
        async with running(folder) as world:
            yield world
    finally:
        shutil.rmtree(folder, ignore_errors=True)
