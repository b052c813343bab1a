"""What is wrong with what was handed in, field by field. Never repeats a value, since it may be personal data."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

_HARMLESS_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


@dataclass(frozen=True, slots=True)
class Fault:
    """One field that cannot be accepted.

    Args:
        pointer: JSON pointer to it, such as ``/contact/email``.
        code: Stable machine-readable reason.
        reason: The same in words.
    """

    pointer: str
    code: str
    reason: str


def faults_of(errors: Sequence[Any], skip: int = 0) -> tuple[Fault, ...]:
    """Validation errors without the values; an unknown field is named only if its name is harmless.

    Args:
        errors: As pydantic tells them.
        skip: How many leading parts of each location name our own parameters.
    """
    found = []
    for error in errors:
        parts = [str(part) for part in error["loc"][skip:]]
        if error["type"] == "extra_forbidden" and parts and not _HARMLESS_NAME.fullmatch(parts[-1]):
            parts[-1] = "?"
        pointer = "".join(f"/{part.replace('~', '~0').replace('/', '~1')}" for part in parts)
        found.append(Fault(pointer, error["type"], error["msg"]))
    return tuple(found)
