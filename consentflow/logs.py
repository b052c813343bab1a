"""Structured logs. No personal data and no token goes into them: events carry ids, codes and counts."""

import logging
import sys
from typing import Literal

import structlog


def set_up_logging(form: Literal["json", "console"], level: int = logging.INFO) -> None:
    """Sends our own logs and those of the libraries to stderr, one event per line.

    Args:
        form: ``json`` for machines, ``console`` for people.
        level: The least that is shown.
    """
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if form == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                renderer,
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=level, force=True)
    logging.getLogger("pogo_core").setLevel(logging.ERROR)  # it calls every migration a warning
    logging.getLogger("temporalio.activity").setLevel(logging.ERROR)  # every failed attempt is in Temporal's history
