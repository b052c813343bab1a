"""Every error that consentflow raises on purpose.

ConsentflowError
├── InvalidInput            a value that was handed in cannot be accepted; names the field, never the value
├── NotFound                nothing is stored under that name
├── Conflict                what was asked contradicts what is stored
│   ├── RegistrationConflict    the same registration id, other content
│   ├── RegistrationClosed      the lead has been told or has answered; nothing is left to change
│   ├── LeadUnavailable         the company is taken; says why, never by whom
│   ├── NotStorable             one of several could not be taken for a reason that nobody foresaw
│   └── RequestNotReady         a data-source request does not stand where this could be done
├── StorageUnavailable      Postgres cannot be reached or gave up; nothing was half-done
└── SendingFailed           a mail did not go out, or we cannot know
    ├── RecipientRefused        permanent, and about this recipient alone
    ├── TransientFailure        worth trying the same bytes again later
    ├── ConfigurationFault      our own set-up is refused; no recipient is to blame
    └── OutcomeUnsure           the server had the whole mail and never answered

Foreign errors (asyncpg, aiosmtplib, pydantic) are translated into these once, at the edge where they arise.
No message carries personal data: they end up in logs, histories and answers.
"""


class ConsentflowError(Exception):
    """Root of the tree."""


class InvalidInput(ConsentflowError):
    """A value cannot be accepted.

    Args:
        pointer: JSON pointer to the field, such as ``/contact/email``.
        code: Stable machine-readable reason.
        reason: One plain sentence; never repeats the value.
    """

    def __init__(self, pointer: str, code: str, reason: str) -> None:
        super().__init__(f"{pointer}: {reason}")
        self.pointer = pointer
        self.code = code
        self.reason = reason


class NotFound(ConsentflowError):
    """Nothing is stored under that name."""


class Conflict(ConsentflowError):
    """What was asked contradicts what is stored."""

    code = "conflict"


class RegistrationConflict(Conflict):
    """The registration id is known with other content."""

    code = "registration_conflict"


class RegistrationClosed(Conflict):
    """The registration has come to its end; there is nothing left to change."""

    code = "registration_closed"


class LeadUnavailable(Conflict):
    """The lead's company cannot be registered by this partner."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class NotStorable(Conflict):
    """One of several could not be taken, for a reason that nobody foresaw; the others were."""

    code = "not_storable"

    def __init__(self) -> None:
        super().__init__("This one could not be stored; the others are not affected.")


class RequestNotReady(Conflict):
    """A data-source request does not stand where this could be done."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class StorageUnavailable(ConsentflowError):
    """Postgres cannot be reached or gave up; the transaction did not happen."""


class SendingFailed(ConsentflowError):
    """A mail did not go out, or we cannot know whether it did.

    Args:
        code: SMTP reply code, or None when no reply was read.
        enhanced: RFC 3463 status such as ``5.1.1``, or None.
        stage: The SMTP step that failed: ``connect``, ``auth``, ``mail``, ``rcpt``, ``data`` or ``quit``.
    """

    def __init__(self, stage: str, code: int | None = None, enhanced: str | None = None) -> None:
        super().__init__(" ".join(str(part) for part in (stage, code, enhanced) if part is not None))
        self.stage = stage
        self.code = code
        self.enhanced = enhanced


class RecipientRefused(SendingFailed):
    """Permanent, and about this recipient alone (5.1.x at RCPT, or an address we cannot express)."""


class TransientFailure(SendingFailed):
    """Worth trying again: 4yz replies, lost connections, time-outs before the mail was handed over."""


class ConfigurationFault(SendingFailed):
    """The server refuses us, not the recipient: authentication, 554 at connect, 5.7.x, missing TLS."""


class OutcomeUnsure(SendingFailed):
    """The whole mail was handed over and the reply never came: it may or may not have been taken."""
