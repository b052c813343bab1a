"""The one place where things are built: settings in, working parts out."""

import hmac
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar
from urllib.parse import urlsplit

import structlog

from consentflow.domain.clock import Clock
from consentflow.domain.deadlines import RestDays
from consentflow.domain.letters import Compose, FrozenMail, Letter
from consentflow.domain.partner_letters import PartnerLetterKind
from consentflow.domain.policy import Policy, read_policy
from consentflow.domain.secrets import derive_key
from consentflow.domain.source_clock import SourceRules
from consentflow.mail.dkim import DkimSigner
from consentflow.mail.message import Sender, freeze
from consentflow.mail.reading import read_frozen
from consentflow.mail.render import LetterRenderer
from consentflow.mail.smtp import SmtpPool, SmtpServer, TlsMode
from consentflow.operations.access import AccessExports
from consentflow.operations.agenda import Agenda
from consentflow.operations.audit import Acts
from consentflow.operations.backlog import Backlog
from consentflow.operations.bounces import Bounces
from consentflow.operations.bulk import Bulk
from consentflow.operations.consent import Consent
from consentflow.operations.credits import Credits
from consentflow.operations.dossiers import Dossiers
from consentflow.operations.erasure import Erasures
from consentflow.operations.events import Events
from consentflow.operations.evidence import Evidence
from consentflow.operations.explanations import Explanations
from consentflow.operations.keys import Keys
from consentflow.operations.ledger import Ledger
from consentflow.operations.officers import Officers
from consentflow.operations.partner_desk import PartnerDesk
from consentflow.operations.partners import Partners
from consentflow.operations.posting import Office, Posting
from consentflow.operations.preferences import Preferences
from consentflow.operations.registrations import Accounts, Registrations
from consentflow.operations.retention import Retention
from consentflow.operations.search import Search
from consentflow.operations.sending import Sending
from consentflow.operations.sessions import Sessions
from consentflow.operations.simulation import Simulation
from consentflow.operations.source_clock import SourceClock
from consentflow.operations.source_decisions import SourceDecisions
from consentflow.operations.source_desk import SourceDesk
from consentflow.operations.source_identity import SourceIdentity
from consentflow.operations.source_requests import SourceRequests
from consentflow.operations.subscribers import Subscribers
from consentflow.operations.suppressions import Suppressions
from consentflow.operations.telling import Digests
from consentflow.operations.worklist import Worklist
from consentflow.rates import Rate
from consentflow.settings import Settings
from consentflow.storage.pool import Database

_log = structlog.get_logger("consentflow")

T = TypeVar("T")


@dataclass(frozen=True)
class Parts:
    """Everything built from one set of settings. Nothing connects before it is used.

    Args:
        clock: What the whole process takes for the present.
    """

    settings: Settings
    clock: Clock

    @cached_property
    def policy(self) -> Policy:
        """The policy in force."""
        return read_policy(self.settings.policy_file)

    @cached_property
    def rest_days(self) -> RestDays:
        """The days on which no legal deadline ends where the controller is, and its time zone."""
        return self.settings.holidays.as_rest_days()

    @cached_property
    def database(self) -> Database:
        """The way to Postgres."""
        return Database(self.settings.database_url.get_secret_value(), size=self.settings.database_connections)

    @cached_property
    def registrations(self) -> Registrations:
        """Operations on registrations."""
        return Registrations(self.database, self.clock, self.policy, self._secret)

    @cached_property
    def bulk(self) -> Bulk:
        """The operation of taking many registrations."""
        return Bulk(self.registrations)

    @cached_property
    def accounts(self) -> Accounts:
        """Operations on accounts."""
        return Accounts(self.database, self.clock)

    @cached_property
    def consent(self) -> Consent:
        """Operations on what leads say."""
        return Consent(self.database, self.clock, self.policy)

    @cached_property
    def events(self) -> Events:
        """The operation on events."""
        window = self.settings.notifications.immediate_window
        return Events(self.database, self.clock, self.policy, self._secret, window)

    @cached_property
    def partners(self) -> Partners:
        """Operations on partners."""
        return Partners(self.database, self.clock, self.settings.notifications.immediate_window)

    @cached_property
    def subscribers(self) -> Subscribers:
        """Operations on subscribers."""
        window = self.settings.notifications.immediate_window
        return Subscribers(self.database, self.clock, self.office, self.compose, self._secret, window)

    @cached_property
    def credits(self) -> Credits:
        """Operations of reading credits."""
        return Credits(self.database)

    @cached_property
    def preferences(self) -> Preferences:
        """Operations on what leads choose."""
        return Preferences(self.database, self.clock, self.policy)

    @cached_property
    def bounces(self) -> Bounces:
        """Operations on mail that came back."""
        return Bounces(self.database, self.clock, self.policy)

    @cached_property
    def keys(self) -> Keys:
        """Operations on API keys."""
        return Keys(self.database, self.clock)

    @cached_property
    def key_rate(self) -> Rate:
        """How often each API key may call."""
        return Rate(self.settings.limits.per_key)

    @cached_property
    def form_rate(self) -> Rate:
        """How often each client may send the forms that need no sign-in."""
        return Rate(self.settings.limits.forms)

    @cached_property
    def ledger(self) -> Ledger:
        """Operations on the ledger as evidence."""
        return Ledger(self.database, self.clock, self._secret, self.settings.controller.as_controller())

    @cached_property
    def simulation(self) -> Simulation:
        """The operation on policies that are not in force."""
        return Simulation(self.database)

    @cached_property
    def explanations(self) -> Explanations:
        """The operation that explains a registration."""
        return Explanations(self.database, self.clock, self.registrations)

    @cached_property
    def dossiers(self) -> Dossiers:
        """Operations of looking at all that is held about a person."""
        return Dossiers(self.database, self.clock)

    @cached_property
    def evidence(self) -> Evidence:
        """The operation of handing out evidence."""
        return Evidence(self.database, self.clock, self.ledger)

    @cached_property
    def worklist(self) -> Worklist:
        """What an officer has to do."""
        return Worklist(self.database, self.clock, self.rest_days)

    @cached_property
    def suppressions(self) -> Suppressions:
        """Operations of looking at who is not written to."""
        return Suppressions(self.database, self._secret)

    @cached_property
    def search(self) -> Search:
        """Operations of searching."""
        return Search(self.database, self._secret)

    @cached_property
    def access_exports(self) -> AccessExports:
        """The operation of handing out what is held about a person."""
        controller = self.settings.controller.as_controller()
        return AccessExports(
            self.database, self.clock, self._secret, controller, lambda content: read_frozen(content).text
        )

    @cached_property
    def erasures(self) -> Erasures:
        """The operation of erasing persons."""
        return Erasures(self.database, self.clock, self.policy, self._secret)

    @cached_property
    def retention(self) -> Retention:
        """The sweep of what was kept long enough."""
        return Retention(self.database, self.clock)

    @cached_property
    def acts(self) -> Acts:
        """The list of what was done to personal data."""
        return Acts(self.database)

    @cached_property
    def agenda(self) -> Agenda:
        """What is still to come."""
        return Agenda(self.database, self.clock)

    @cached_property
    def backlog(self) -> Backlog:
        """The metrics of what is open, due and overdue."""
        return Backlog(self.database, self.clock, self.rest_days)

    @cached_property
    def office(self) -> Office:
        """In whose name letters are written."""
        return Office(
            controller=self.settings.controller.as_controller(),
            public_url=self.settings.public_url,
            when_unsure=self.settings.mail.when_unsure,
        )

    @cached_property
    def sending(self) -> Sending:
        """Operations around a letter to a lead."""
        return Sending(self.database, self.clock, self.policy, self.office, self.compose)

    @cached_property
    def posting(self) -> Posting:
        """Operations around every other mail."""
        still_wanted = {
            PartnerLetterKind.SUBSCRIPTION.value: self.subscribers.still_wanted,
            PartnerLetterKind.DIGEST.value: self.digests.still_wanted,
        }
        return Posting(self.database, self.clock, self.office.when_unsure, still_wanted)

    @cached_property
    def digests(self) -> Digests:
        """Operations on what subscribers are told."""
        window = self.settings.notifications.immediate_window
        return Digests(self.database, self.clock, self.office, self.compose, window)

    @cached_property
    def sessions(self) -> Sessions:
        """Operations behind the doors: signing in and out."""
        return Sessions(self.database, self.clock, self.office, self.compose, self._secret)

    @cached_property
    def officers(self) -> Officers:
        """Operations on whom the console lets in."""
        return Officers(self.database, self.clock, self._secret)

    @cached_property
    def source_requests(self) -> SourceRequests:
        """Operations of taking and reading data-source requests."""
        return SourceRequests(self._source_desk)

    @cached_property
    def source_identity(self) -> SourceIdentity:
        """Operations on who asks for a source."""
        return SourceIdentity(self._source_desk)

    @cached_property
    def source_decisions(self) -> SourceDecisions:
        """Operations of officers on data-source requests."""
        return SourceDecisions(self._source_desk)

    @cached_property
    def source_clock(self) -> SourceClock:
        """The operation of going on with a data-source request."""
        return SourceClock(self._source_desk)

    @cached_property
    def partner_desk(self) -> PartnerDesk:
        """What a partner's people see."""
        return PartnerDesk(self.database, self.clock)

    def mailer(self) -> SmtpPool:
        """A pool of SMTP connections; close it after use."""
        smtp = self.settings.smtp
        return SmtpPool(
            SmtpServer(
                host=smtp.host,
                port=smtp.port,
                username=smtp.username,
                password=smtp.password.get_secret_value() if smtp.password else None,
                tls=TlsMode(smtp.tls),
                connections=smtp.connections,
                timeout_seconds=smtp.timeout_seconds,
            )
        )

    @cached_property
    def compose(self) -> Compose:
        """Renders and freezes letters."""
        mail, controller = self.settings.mail, self.settings.controller
        renderer = LetterRenderer()
        sender = Sender(
            name=mail.from_name or controller.name,
            address=mail.from_,
            reply_to=mail.reply_to or controller.email,
            bounce_domain=mail.bounce_domain,
            message_id_domain=mail.from_.rpartition("@")[2]
            or urlsplit(self.settings.public_url).hostname
            or "localhost",
        )

        dkim = mail.dkim and DkimSigner(mail.dkim.domain, mail.dkim.selector, mail.dkim.private_key_file.read_bytes())
        mail_key = derive_key(self._secret, "mail")

        def composed(letter: Letter, key: str) -> FrozenMail:
            names = (letter.recipient.given_name, letter.recipient.family_name)
            frozen = freeze(
                renderer.render(letter),
                sender=sender,
                recipient=letter.recipient.address,
                recipient_name=" ".join(name for name in names if name) or None,
                key=hmac.digest(mail_key, key.encode(), "sha256").hex(),  # no bounce address is guessed from an id
                language=letter.language,
                written_at=letter.written_at,
                unsubscribe_url=letter.one_click,
            )
            return replace(frozen, content=dkim.sign(frozen.content, signed_at=letter.written_at)) if dkim else frozen

        return composed

    @cached_property
    def _source_desk(self) -> SourceDesk:
        rules = SourceRules(self.rest_days, self.settings.source_requests.pauses)
        subject_key = derive_key(self._secret, "subject")
        return SourceDesk(self.database, self.clock, self.office, self.compose, rules, subject_key)

    @property
    def _secret(self) -> str:
        return self.settings.secret_key.get_secret_value()
