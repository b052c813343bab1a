"""``consentflow import``: registrations from a file, straight into the database."""

from consentflow.importing.command import import_

__all__ = ["import_"]
