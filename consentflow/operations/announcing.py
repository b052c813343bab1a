"""Telling Temporal, by way of the outbox, what course a registration takes."""

from datetime import datetime

from consentflow.domain.registrations import Registration, course_of
from consentflow.storage import outbox
from consentflow.storage.pool import Connection

START = "registration.start"
STEER = "registration.steer"


async def announce(
    connection: Connection, registration: Registration, answer_until: datetime | None, topic: str
) -> None:
    """Writes to the outbox what the registration's workflow must hear.

    Args:
        answer_until: When the question it awaits closes, UTC.
        topic: `START` for a registration Temporal has not heard of, `STEER` for a change of course.
    """
    course = course_of(registration, answer_until)
    message = {
        "registration_id": registration.registration_id,
        "kind": registration.kind.value,
        "regime": registration.regime,
        "revision": course.revision,
        "step": course.step.value,
        "at": course.at.isoformat() if course.at else None,
    }
    await outbox.write(connection, topic, message)
