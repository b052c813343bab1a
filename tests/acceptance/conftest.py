"""Two stacks for the whole run, each started as a user starts it; what needs one of its own starts its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.stack import Stack, new_folder, running
from tests.acceptance.test_accessibility import axe, inspector
from tests.acceptance.test_browser import browser

__all__ = ["axe", "browser", "inspector"]  # fixtures that several files use


@pytest.fixture
def folder() -> Iterator[Path]:
    with new_folder() as folder:
        yield folder


@pytest.fixture(scope="session")
def skipping() -> Iterator[Stack]:
    """A stack whose clock can be moved; it moves for everybody who uses it, and never back."""
    with new_folder() as folder, running(folder, "--time-skipping") as stack:
        yield stack


@pytest.fixture(scope="session")
def real() -> Iterator[Stack]:
    """A stack in real time."""
    with new_folder() as folder, running(folder) as stack:
        yield stack
