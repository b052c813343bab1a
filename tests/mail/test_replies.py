"""What a server's answer means for a mail."""

import pytest

from consentflow.domain.errors import (
    ConfigurationFault,
    OutcomeUnsure,
    RecipientRefused,
    SendingFailed,
    TransientFailure,
)
from consentflow.mail.replies import LONGEST_LINE, Stage, classify, enhanced_status, one_line

ALL_STAGES = list(Stage)
TRANSACTION = [Stage.MAIL, Stage.RCPT, Stage.DATA]


@pytest.mark.parametrize(
    ("stage", "code", "text", "expected"),
    [
        # The session.
        (Stage.CONNECT, 421, "4.3.2 shutting down", TransientFailure),
        (Stage.CONNECT, 554, "no SMTP service here", ConfigurationFault),
        (Stage.CONNECT, 554, "5.7.1 your network is blocked", ConfigurationFault),
        (Stage.CONNECT, 502, "5.5.1 no EHLO", ConfigurationFault),
        (Stage.AUTH, 454, "4.7.0 temporary authentication failure", TransientFailure),
        (Stage.AUTH, 530, "5.7.0 authentication required", ConfigurationFault),
        (Stage.AUTH, 534, "5.7.9 mechanism too weak", ConfigurationFault),
        (Stage.AUTH, 535, "5.7.8 credentials invalid", ConfigurationFault),
        (Stage.AUTH, 538, "encryption required", ConfigurationFault),
        # The sender.
        (Stage.MAIL, 451, "4.3.0 try again", TransientFailure),
        (Stage.MAIL, 452, "4.3.1 out of storage", TransientFailure),
        (Stage.MAIL, 530, "5.7.0 must issue STARTTLS first", ConfigurationFault),
        (Stage.MAIL, 550, "5.1.8 sender domain not found", ConfigurationFault),
        (Stage.MAIL, 552, "5.3.4 message too big", ConfigurationFault),
        (Stage.MAIL, 553, "5.1.7 bad sender", ConfigurationFault),
        (Stage.MAIL, 550, "5.6.7 no UTF-8 here", RecipientRefused),
        # The recipient.
        (Stage.RCPT, 450, "4.2.0 greylisted", TransientFailure),
        (Stage.RCPT, 451, "4.7.1 greylisted, come back later", TransientFailure),
        (Stage.RCPT, 452, "4.2.2 mailbox full", TransientFailure),
        (Stage.RCPT, 550, "5.1.1 no such user", RecipientRefused),
        (Stage.RCPT, 550, "5.1.1 no such user\nsee https://example.test", RecipientRefused),
        (Stage.RCPT, 550, "no such user here", RecipientRefused),
        (Stage.RCPT, 550, "5.0.0 rejected", RecipientRefused),
        (Stage.RCPT, 550, "4.1.1 status of another class", RecipientRefused),
        (Stage.RCPT, 551, "user not local", RecipientRefused),
        (Stage.RCPT, 553, "mailbox name not allowed", RecipientRefused),
        (Stage.RCPT, 556, "5.1.10 recipient's domain takes no mail", RecipientRefused),
        (Stage.RCPT, 556, "domain takes no mail", RecipientRefused),
        (Stage.RCPT, 501, "5.1.3 bad recipient syntax", RecipientRefused),
        (Stage.RCPT, 550, "5.2.1 mailbox disabled", RecipientRefused),
        (Stage.RCPT, 550, "5.4.1 no answer from the domain's host", RecipientRefused),
        (Stage.RCPT, 550, "5.4.4 unable to route", RecipientRefused),
        (Stage.RCPT, 553, "5.6.7 no UTF-8 for this one", RecipientRefused),
        (Stage.RCPT, 552, "5.2.2 mailbox full", TransientFailure),
        (Stage.RCPT, 550, "5.2.2 over quota", TransientFailure),
        (Stage.RCPT, 552, "exceeded storage allocation", TransientFailure),
        (Stage.RCPT, 550, "5.1.8 sender's domain not found", ConfigurationFault),
        (Stage.RCPT, 553, "5.1.7 bad sender", ConfigurationFault),
        (Stage.RCPT, 550, "5.7.1 relaying denied", ConfigurationFault),
        (Stage.RCPT, 554, "5.7.1 blocked using a list", ConfigurationFault),
        (Stage.RCPT, 530, "5.7.0 authentication required", ConfigurationFault),
        (Stage.RCPT, 503, "5.5.1 bad sequence", ConfigurationFault),
        (Stage.RCPT, 554, "transaction failed", ConfigurationFault),
        (Stage.RCPT, 555, "parameters not recognised", ConfigurationFault),
        # The content.
        (Stage.DATA, 451, "4.3.0 try again", TransientFailure),
        (Stage.DATA, 550, "5.1.1 no such user after all", RecipientRefused),
        (Stage.DATA, 550, "5.2.1 mailbox disabled", RecipientRefused),
        (Stage.DATA, 554, "5.6.9 no UTF-8 headers", RecipientRefused),
        (Stage.DATA, 552, "5.2.2 mailbox full", TransientFailure),
        (Stage.DATA, 552, "exceeded storage allocation", TransientFailure),
        (Stage.DATA, 550, "looks like spam", ConfigurationFault),
        (Stage.DATA, 554, "5.7.1 content rejected", ConfigurationFault),
        (Stage.DATA, 554, "5.6.0 content rejected", ConfigurationFault),
        (Stage.DATA, 554, "5.4.6 too many hops", ConfigurationFault),
        (Stage.DATA, 554, "transaction failed", ConfigurationFault),
    ],
)
def test_an_answer_is_blamed_on_whom_it_is_about(
    stage: Stage, code: int, text: str, expected: type[SendingFailed]
) -> None:
    failure = classify(stage, code, text, handed_over=stage is Stage.DATA)

    assert type(failure) is expected
    assert (failure.stage, failure.code) == (stage, code)


@pytest.mark.parametrize("stage", ALL_STAGES)
@pytest.mark.parametrize("code", [None, -1, 250, 354])
def test_no_answer_is_worth_another_try_while_the_server_lacks_the_mail(stage: Stage, code: int | None) -> None:
    assert type(classify(stage, code)) is TransientFailure


@pytest.mark.parametrize("code", [None, -1, 354])
def test_no_answer_to_the_whole_mail_leaves_us_unsure(code: int | None) -> None:
    failure = classify(Stage.DATA, code, handed_over=True)

    assert type(failure) is OutcomeUnsure
    assert failure.code is None


@pytest.mark.parametrize("stage", ALL_STAGES)
@pytest.mark.parametrize("minor", range(20))
def test_a_matter_of_policy_never_falls_on_the_recipient(stage: Stage, minor: int) -> None:
    assert type(classify(stage, 550, f"5.7.{minor} no")) is ConfigurationFault


@pytest.mark.parametrize("stage", ALL_STAGES)
@pytest.mark.parametrize("code", range(400, 500, 7))
@pytest.mark.parametrize("text", ["", "4.1.1 no such user yet", "4.7.1 later", "5.1.1 confused"])
def test_every_4yz_is_worth_another_try(stage: Stage, code: int, text: str) -> None:
    assert type(classify(stage, code, text)) is TransientFailure


@pytest.mark.parametrize("stage", TRANSACTION)
def test_the_failure_names_stage_code_and_status_and_nothing_of_the_text(stage: Stage) -> None:
    assert str(classify(stage, 550, "5.1.1 <jane@example.test> unknown")) == f"{stage} 550 5.1.1"


@pytest.mark.parametrize(
    ("code", "text", "status"),
    [
        (550, "5.1.1 no such user", "5.1.1"),
        (550, "5.1.10", "5.1.10"),
        (250, "2.0.0 fine", "2.0.0"),
        (450, "4.2.0\nsecond line", "4.2.0"),
        (550, "5.1.1.1 no status", None),
        (550, "5.1.1000 no status", None),
        (550, "user 5.1.1 unknown", None),
        (450, "5.1.1 wrong class", None),
        (550, "", None),
    ],
)
def test_an_enhanced_status_opens_the_reply_and_agrees_with_its_code(code: int, text: str, status: str | None) -> None:
    assert enhanced_status(code, text) == status


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("2.0.0 queued as ABC", "2.0.0 queued as ABC"),
        ("two\nlines\r\n and\ttabs", "two lines and tabs"),
        ("\x1b[31mred\x00\u202e\u2028end\udcff", "[31mred end"),
        ("x" * 1000, "x" * LONGEST_LINE),
    ],
)
def test_a_reply_is_recorded_as_one_printable_line(text: str, line: str) -> None:
    assert one_line(text) == line
