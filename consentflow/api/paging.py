"""How every list is paged: ``after`` is the mark that the page before ended with, ``most`` how much one page holds."""

from typing import Annotated

from fastapi import Depends, Query

from consentflow.domain.errors import InvalidInput
from consentflow.domain.paging import Mark


def _after(
    after: Annotated[str | None, Query(max_length=400, description="From the page before.")] = None,
) -> Mark | None:
    mark = Mark.read(after) if after else None
    if mark and not mark.key.isprintable():
        raise InvalidInput("/after", "invalid_mark", "is not a mark of this list")
    return mark


After = Annotated[Mark | None, Depends(_after)]
Most = Annotated[int, Query(ge=1, le=200)]
