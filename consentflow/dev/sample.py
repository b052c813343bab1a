"""Sample leads, one for every way a registration can go, and the partners of the samples."""

from consentflow.domain.errors import ConsentflowError, NotFound
from consentflow.domain.intake import RegistrationIn
from consentflow.domain.letters import Language
from consentflow.domain.partners import Partner
from consentflow.operations.partners import Partners
from consentflow.operations.registrations import Registrations

REGISTRANT = "ana@partner.example"
"""Who registered the sample leads for their partner, and may so enter the partner page."""


def lead(name: str, given: str, family: str, domain: str, country: str | None, partner: str = "p-77") -> RegistrationIn:
    """A registration as the registration service would send it."""
    return RegistrationIn.model_validate(
        {
            "registration_id": f"sample-{name}",
            "partner_id": partner,
            "registered_by": REGISTRANT,
            "contact": {"email": f"{given.lower()}@{domain}", "given_name": given, "family_name": family},
            "company": {"name": domain.partition(".")[0].capitalize(), "domain": domain},
            "country": country,
        }
    )


LEADS = (
    lead("germany", "Lea", "Muster", "firma.example", "DE"),
    lead("france", "Camille", "Dupont", "entreprise.example", "France"),
    lead("portugal", "Rui", "Silva", "empresa.example", "PRT"),
    lead("unknown", "Kim", "Larsen", "nowhere.example", None),
    lead("america", "Jo", "Smith", "company.example", "US"),
)


PARTNERS = (
    Partner("p-77", "Partner GmbH", Language.GERMAN, "Europe/Berlin"),
    Partner("p-88", "Parceiro Lda", Language.PORTUGUESE, "Europe/Lisbon"),
)


async def introduce_partners(partners: Partners) -> None:
    """Names the sample partners; those that are known already stay as they are."""
    for partner in PARTNERS:
        try:
            await partners.find(partner.partner_id)
        except NotFound:
            await partners.put(partner)


async def register_samples(registrations: Registrations) -> None:
    """Registers the sample leads; those that are there already stay as they are."""
    for request in LEADS:
        try:
            await registrations.register(request)
        except ConsentflowError as error:  # a company of theirs may be taken by now: a sample is no reason to stop
            print(f"{request.registration_id} was not registered: {error}")  # noqa: T201 - a command's own words
