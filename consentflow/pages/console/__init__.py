"""The privacy officers' console: today's work, requests, what is held and why, the records."""

from fastapi import APIRouter

from consentflow.pages.console import deciding, finding, people, records, registrations, requests, today

router = APIRouter()
for _group in (today, finding, requests, deciding, registrations, people, records):
    router.include_router(_group.router)
