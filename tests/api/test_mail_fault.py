"""A mail server that refuses our own set-up: nobody is blamed, the queue stands still, and everybody can see why."""

from typing import TYPE_CHECKING

import pytest

from consentflow.domain.errors import ConfigurationFault
from consentflow.domain.letters import LetterKind
from consentflow.operations.posting import FAULT_PAUSE, NotYet
from consentflow.storage.mails import StoredMail

if TYPE_CHECKING:
    from tests.api.conftest import Api
    from tests.conftest import HandClock

REFUSED = ConfigurationFault("auth", 535, "5.7.8")


async def begin(api: "Api", registration_id: str) -> StoredMail:
    due = await api.parts.sending.begin(registration_id, LetterKind.DOUBLE_OPT_IN)
    assert isinstance(due, StoredMail)
    return due


async def test_after_a_fault_no_mail_is_tried_until_the_pause_is_over(api: "Api", clock: "HandClock") -> None:
    for number in (1, 2):
        await api.register(f"r-{number}", email=f"lead{number}@firma.example")
    first = await begin(api, "r-1")
    await api.parts.sending.postponed(first.mail_id, REFUSED)
    for number in (1, 2):
        with pytest.raises(NotYet) as wait:
            await begin(api, f"r-{number}")
        assert wait.value.wait == FAULT_PAUSE
    clock.at += FAULT_PAUSE
    again = await begin(api, "r-1")
    assert again.mail == first.mail


async def test_a_fault_blames_nobody(api: "Api") -> None:
    await api.register()
    mail = await begin(api, "r-1")
    await api.parts.sending.postponed(mail.mail_id, REFUSED)
    assert (await api.show())["state"] == "accepted"
    assert await api.rows("facts") == []


async def test_readyz_and_metrics_name_the_fault_until_a_mail_is_taken(api: "Api", clock: "HandClock") -> None:
    await api.register()
    mail = await begin(api, "r-1")
    await api.parts.sending.postponed(mail.mail_id, REFUSED)
    ready = await api.client.get("/readyz")
    assert ready.status_code == 200
    assert ready.json()["mail_fault"] == {"fault": "auth 535 5.7.8", "since": clock.now().isoformat()}
    assert "consentflow_mail_configuration_fault 1.0" in (await api.client.get("/metrics")).text

    clock.at += FAULT_PAUSE
    await begin(api, "r-1")
    await api.parts.sending.accepted(mail.mail_id, "2.0.0 taken")
    assert (await api.client.get("/readyz")).json()["mail_fault"] is None
    assert "consentflow_mail_configuration_fault 0.0" in (await api.client.get("/metrics")).text


async def test_readyz_names_the_neighbours_that_are_down(api: "Api") -> None:
    assert set((await api.client.get("/readyz")).json()["down"]) <= {"temporal", "smtp"}
