"""What officers search and list comes page by page, whatever the tables hold; `test_plans` sees how it is read."""

from benchmarks.measured.filling import BIG_COMPANY, REGISTRANT
from consentflow.runtime import Parts
from consentflow.storage import search
from tests.storage.conftest import FILLING, NUMBER

pytestmark = FILLING


async def test_pages_of_a_company_follow_each_other_without_a_gap(filled: Parts) -> None:
    found: list[str] = []
    after = None
    for _ in range(4):
        page = await filled.search.of_company(BIG_COMPANY, after)
        found += [each.registration_id for each in page.entries]
        after = page.after
    assert found == [f"r-{NUMBER - 19 - 20 * n}" for n in range(200)]


async def test_pages_of_a_registrant_follow_each_other_without_a_gap(filled: Parts) -> None:
    found: list[str] = []
    after = None
    for _ in range(4):
        async with filled.database.transaction() as connection:
            page = await search.registrations(connection, "registered_by", REGISTRANT, after, 50)
        found += [each.registration_id for each in page]
        after = page[-1].mark
    assert found == [f"r-{NUMBER - 20 * n}" for n in range(200)]
