"""On what the figures were measured."""

import asyncio
import os
import platform
import sys
import sysconfig
from importlib.metadata import version
from pathlib import Path

import asyncpg

Machine = dict[str, str]
"""What each fact is called, and the fact."""


async def describe(postgres_url: str) -> Machine:
    """Processor, memory, and the versions of what does the work."""
    return {
        "processor": _processor(),
        "cores": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.machine()}",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "PostgreSQL": await _postgres(postgres_url),
        "Temporal": await _temporal(),
        "Temporal SDK": version("temporalio"),
        "load before": f"{os.getloadavg()[0]:.1f}",
    }


def _processor() -> str:
    described = Path("/proc/cpuinfo")
    lines = described.read_text().splitlines() if described.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or sys.platform)


async def _postgres(url: str) -> str:
    connection = await asyncpg.connect(url)
    try:
        return str(await connection.fetchval("SHOW server_version"))
    finally:
        await connection.close()


async def _temporal() -> str:
    command = str(Path(sysconfig.get_path("scripts")) / "temporal")
    asked = await asyncio.create_subprocess_exec(command, "--version", stdout=asyncio.subprocess.PIPE)
    answer, _ = await asked.communicate()
    return answer.decode().strip().removeprefix("temporal version ")
