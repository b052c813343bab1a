"""Consent receipts: a consent record as JSON-LD.

A receipt has the fields of ISO/IEC TS 27560:2023 that the service knows of, in the terms of the W3C's Data Privacy
Vocabulary (DPV 2; "Consent Records and Receipts as per ISO/IEC TS 27560:2023 using DPV", CG-FINAL 2024-08-01). Where
data is stored, for how long and who else receives it is for the privacy policy to say, which is named in it.
"""

from datetime import datetime

from consentflow.domain.addresses import Subject
from consentflow.domain.consent_records import ConsentRecord, Json, Status
from consentflow.domain.evidence import ChainedEntry
from consentflow.domain.letters import Controller

_CONTEXT = {
    "dct": "http://purl.org/dc/terms/",
    "dpv": "https://w3id.org/dpv#",
    "dpv-27560": "https://w3id.org/dpv/schema/dpv-27560#",
    "eu-gdpr": "https://w3id.org/dpv/legal/eu/gdpr#",
    "ledger": "urn:consentflow:ledger:",
    "pd": "https://w3id.org/dpv/pd#",
    "skos": "http://www.w3.org/2004/02/skos/core#",
}
_CONTROLLER = "ledger:controller"
_SUBJECT = "ledger:subject"


_OURS = frozenset({Status.REQUESTED, Status.UNANSWERED})
"""What the controller brought about; the rest the subject did."""


def as_receipt(record: ConsentRecord, subject: Subject, controller: Controller, issued_at: datetime) -> Json:
    """The receipt of a record as JSON-LD.

    Args:
        controller: As the settings name it now; the mail's own wording is bound by the text version.
    """
    return {
        "@context": _CONTEXT,
        "@type": "dpv:ConsentReceipt",
        "dct:conformsTo": "dpv-27560:receipt",
        "dct:identifier": f"receipt-{record.record_id}",
        "dct:created": _text(issued_at),
        "dct:publisher": _CONTROLLER,
        "dpv:hasRecordOfActivity": {
            "@type": "dpv:ConsentRecord",
            "dpv:hasIdentifier": record.record_id,
            "dct:created": _text(record.events[0].at),
            "dct:creator": _CONTROLLER,
            "dct:language": record.language,
            "dpv:hasDataSubject": {
                "@id": _SUBJECT,
                "@type": ["dpv:DataSubject"],
                "dpv:hasIdentifier": subject,
                "dct:description": "Keyed hash of the mailbox; the key is the controller's.",
            },
            "dpv:hasNotice": _notices(record, controller),
            "dpv:hasProcess": [_process(record)],
            "dpv:hasEntity": {_CONTROLLER: _entity(controller)},
            "ledger:registration": record.registrations,
            "ledger:decisionPolicyVersion": record.policy_version,
            "ledger:mailIdentifier": record.mail_id,
            "ledger:linkFetched": [{"dct:date": _text(entry.at), **_proof(entry)} for entry in record.fetches],
        },
    }


def _process(record: ConsentRecord) -> Json:
    return {
        "@type": ["dpv:Process"],
        "dpv:hasPurpose": [
            {
                "@type": ["dpv:Purpose"],
                "skos:broader": "dpv:DirectMarketing",
                "skos:prefLabel": "Keeping contact data, and contact about the company's interest in our products",
            }
        ],
        "dpv:hasPersonalData": ["pd:EmailAddress", "pd:Name"],
        "dpv:hasProcessing": ["dpv:Store", "dpv:Use"],
        "dpv:hasDataController": [_CONTROLLER],
        "dpv:hasDataSource": ["dpv:ThirdPartyDataSource"],
        "dpv:hasLegalBasis": ["dpv:ExpressedConsent", "eu-gdpr:A6-1-a"],
        "dpv:hasConsentControl": [
            {"@type": ["dpv:WithdrawConsent"], "dpv:isExercisedAt": "links in every mail, at any time"}
        ],
        "dpv:hasConsentStatus": [
            {
                "@type": [event.status.value],
                "dpv:isIndicatedAtTime": _text(event.at),
                "dpv:isExercisedAt": event.how,
                "dpv:isIndicatedBy": _CONTROLLER if event.status in _OURS else _SUBJECT,
                **_proof(event.entry),
            }
            for event in record.events
        ],
    }


def _notices(record: ConsentRecord, controller: Controller) -> list[Json]:
    privacy: Json = {
        "@type": ["dpv:PrivacyNotice"],
        "dpv:hasIdentifier": record.privacy_policy_version or controller.privacy_policy_version,
        "dpv:hasLocation": controller.privacy_policy_url,
    }
    if record.text_version is None:
        return [privacy]
    asked: Json = {
        "@type": ["dpv:ConsentNotice"],
        "dpv:hasIdentifier": f"sha256:{record.text_version}",
        "dct:language": record.language,
        "dct:date": _text(record.events[0].at),
    }
    return [asked, privacy]


def _entity(controller: Controller) -> Json:
    return {
        "@type": ["dpv:DataController"],
        "dpv:hasName": controller.name,
        "dpv:hasAddress": controller.address,
        "dpv:hasContact": [f"mailto:{controller.email}"],
        "dpv:hasRepresentative": [{"@type": ["dpv:DataProtectionOfficer"], "dpv:hasContact": controller.dpo_email}],
        "dpv:hasAuthority": [
            {"@type": ["dpv:DataProtectionAuthority"], "dpv:hasName": controller.supervisory_authority}
        ],
    }


def _proof(entry: ChainedEntry) -> Json:
    return {"ledger:entry": entry.entry_id, "ledger:entryHash": entry.entry_hash.hex()}


def _text(at: datetime) -> str:
    return at.isoformat()
