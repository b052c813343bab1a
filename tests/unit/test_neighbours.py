"""Whoever starts first waits for Temporal; what Temporal will not do is not asked for again and again."""

import pytest
from temporalio.service import RPCError, RPCStatusCode

from consentflow.calls import refused
from consentflow.neighbours import patiently


@pytest.mark.parametrize("status", [RPCStatusCode.UNAVAILABLE, RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.ABORTED])
async def test_what_fails_while_temporal_is_away_is_tried_again(status: RPCStatusCode) -> None:
    answers = [RPCError("away", status, b"")]

    async def attempt() -> str:
        if answers:
            raise answers.pop()
        return "kept"

    assert not refused(answers[0])
    assert await patiently("temporal", attempt) == "kept"


@pytest.mark.parametrize("status", [RPCStatusCode.UNIMPLEMENTED, RPCStatusCode.PERMISSION_DENIED])
def test_what_temporal_refuses_is_refused(status: RPCStatusCode) -> None:
    assert refused(RPCError("no", status, b""))
