"""Sample leads: one for every way a registration can go."""

from consentflow.domain.errors import ConsentflowError
from consentflow.domain.intake import RegistrationIn
from consentflow.operations.registrations import Registrations


def lead(name: str, given: str, family: str, domain: str, country: str | None, partner: str = "p-77") -> RegistrationIn:
    """A registration as the registration service would send it."""
    return RegistrationIn.model_validate(
        {
            "registration_id": f"sample-{name}",
            "partner_id": partner,
            "registered_by": "ana@partner.example",
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


async def register_samples(registrations: Registrations) -> None:
    """Registers the sample leads; those that are there already stay as they are."""
    for request in LEADS:
        try:
            await registrations.register(request)
        except ConsentflowError as error:  # a company of theirs may be taken by now: a sample is no reason to stop
            print(f"{request.registration_id} was not registered: {error}")  # noqa: T201 - a command's own words
