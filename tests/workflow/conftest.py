"""Real servers for the workflow tests: Temporal's dev server and its time-skipping one, and a mail server."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from temporalio.client import Client

from consentflow.dev.mailbox import mail_sink
from consentflow.dev.temporal import connect, dev_server, free_port, time_skipping_server
from consentflow.neighbours import prepare_search_attributes
from tests.workflow.service import PostOffice, Service, SkippingService, real_service, skipping_service


@pytest.fixture(scope="session")
async def real_temporal(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Client]:
    """The run's one dev server; tests share it, so every id is used once."""
    async with dev_server(tmp_path_factory.mktemp("temporal") / "temporal.db", free_port()) as address:
        yield await connect(address)


@pytest.fixture
async def skipping_temporal() -> AsyncIterator[Client]:
    """A time-skipping server of the test's own: its clock moves for everybody on it."""
    async with time_skipping_server() as address:
        client = await connect(address)
        assert await prepare_search_attributes(client)
        yield client


@pytest.fixture
async def real(database_url: str, real_temporal: Client, tmp_path: Path) -> AsyncIterator[Service]:
    """A service on the dev server that does not work yet; mail arrives in its Maildir."""
    maildir = tmp_path / "mail"
    async with mail_sink(maildir) as port, real_service(database_url, real_temporal, port, maildir) as service:
        yield service


@pytest.fixture
async def skipping(database_url: str, skipping_temporal: Client, tmp_path: Path) -> AsyncIterator[SkippingService]:
    """A working service whose time can be skipped; mail arrives in its Maildir."""
    maildir, memory = tmp_path / "mail", tmp_path / "clock.json"
    async with (
        mail_sink(maildir) as port,
        skipping_service(database_url, skipping_temporal, port, maildir, memory) as service,
    ):
        yield service


@pytest.fixture
def post(tmp_path: Path) -> PostOffice:
    """A mail server that is shut until the test opens it."""
    return PostOffice(tmp_path / "mail")


@pytest.fixture
async def posting(
    database_url: str, skipping_temporal: Client, post: PostOffice, tmp_path: Path
) -> AsyncIterator[SkippingService]:
    """A working service whose time can be skipped and whose mail goes to `post`."""
    memory = tmp_path / "clock.json"
    async with skipping_service(database_url, skipping_temporal, post.port, post.maildir, memory) as service:
        yield service


@pytest.fixture
async def real_by_post(database_url: str, real_temporal: Client, post: PostOffice) -> AsyncIterator[Service]:
    """A service on the dev server that does not work yet; its mail goes to `post`."""
    async with real_service(database_url, real_temporal, post.port, post.maildir) as service:
        yield service
