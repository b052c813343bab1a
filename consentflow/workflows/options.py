"""Named time-outs, retry policies and queues of the workflows."""

from datetime import timedelta

from temporalio.common import RetryPolicy

STORAGE_TIMEOUT = timedelta(seconds=30)
"""One attempt of an activity that only talks to Postgres."""

CHECKPOINT_TIMEOUT = timedelta(minutes=30)
"""One attempt at a checkpoint: it reads every entry since the last one, some ten thousand a second."""

VERIFICATION_TIMEOUT = timedelta(hours=12)
"""One attempt at going through the whole ledger: well before the next one begins."""

VERIFICATION_HEARTBEAT = timedelta(minutes=2)
"""It gives a sign of life every few thousand entries."""

SWEEP_TIMEOUT = timedelta(hours=12)
"""One attempt at a sweep: well before the next one begins."""

SWEEP_HEARTBEAT = timedelta(minutes=2)
"""A sweep gives a sign of life after every batch."""

SENDING_TIMEOUT = timedelta(minutes=20)
"""One attempt at sending: longer than every time-out of the SMTP conversation together (RFC 5321 section 4.5.3.2)."""

SENDING_HEARTBEAT = timedelta(seconds=30)
"""An attempt that is silent for so long died with its worker, and is made again."""

PERSISTENT = RetryPolicy(
    initial_interval=timedelta(seconds=2), backoff_coefficient=2.0, maximum_interval=timedelta(minutes=15)
)
"""Tries until it works: what is down comes back, and what was accepted is never given up."""

MAIL_QUEUE_SUFFIX = "-mail"
"""Mail has a task queue of its own, so that a slow mail server holds up nothing else."""

DOUBLE_OPT_IN_PRIORITY = 1
POST_PRIORITY = 2
"""Somebody waits for it at a screen, or by law: sign-in links, confirmations, answers to a request."""
NOTICE_PRIORITY = 3
DIGEST_PRIORITY = 4
