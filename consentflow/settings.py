"""All settings, from environment variables with the prefix ``CONSENTFLOW_`` and from ``.env``.

There are no default secrets: what is missing stops the start with a message that names it.
"""

from datetime import timedelta
from pathlib import Path
from typing import Literal, Self
from zoneinfo import ZoneInfo

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from consentflow.domain.deadlines import RestDays, holiday_subdivisions, is_time_zone
from consentflow.domain.errors import ConsentflowError
from consentflow.domain.letters import Controller
from consentflow.rates import read_rates


class InvalidSettings(ConsentflowError):
    """Settings are missing or wrong; the message names each variable."""


class _Group(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TemporalSettings(_Group):
    """Where Temporal is. ``tls`` is implied by an API key or a client certificate."""

    address: str = Field(default="127.0.0.1:7233", pattern=r"^.+:\d{1,5}$")
    namespace: str = "default"
    task_queue: str = "consentflow"
    api_key: SecretStr | None = None
    tls: bool = False
    tls_client_cert: Path | None = None
    tls_client_key: Path | None = None
    tls_server_ca: Path | None = None
    build_id: str | None = None
    """Names the deployed code for Temporal's worker versioning; without it workers are not versioned."""
    metrics_address: str | None = Field(default=None, pattern=r"^.+:\d{1,5}$")
    """Where a worker serves the metrics of Temporal's SDK; without it nowhere."""


class SmtpSettings(_Group):
    """Where mail is handed over."""

    host: str = "127.0.0.1"
    port: int = Field(default=25, ge=1, le=65535)
    username: str | None = None
    password: SecretStr | None = None
    tls: Literal["off", "required", "implicit"] = "required"
    connections: int = Field(default=4, ge=1, le=100)
    timeout_seconds: float = Field(default=60, gt=0, le=600)
    mails_per_second: float | None = Field(default=None, gt=0)
    """The most that one task queue sends, over all workers together; None for no limit."""


class DkimSettings(_Group):
    """The key that mails are signed with (RFC 6376). Its public half stands in the DNS under the selector."""

    domain: str
    selector: str
    private_key_file: Path
    """PEM, RSA of at least 2048 bits."""


class MailSettings(_Group):
    """Who writes. Replies go to the controller unless ``reply_to`` says otherwise."""

    from_: str = Field(alias="from")
    from_name: str | None = None
    reply_to: str | None = None
    bounce_domain: str | None = None
    dkim: DkimSettings | None = None
    when_unsure: Literal["retry", "hold"] = "retry"


class ControllerSettings(_Group):
    """The vendor that answers for the data (GDPR Art. 4(7)): every letter and page says this."""

    name: str
    address: str
    email: str
    dpo_email: str
    privacy_policy_url: str
    privacy_policy_version: str
    supervisory_authority: str

    def as_controller(self) -> Controller:
        """As letters know it."""
        return Controller(**self.model_dump())


class NotificationSettings(_Group):
    """How partners' people are told what their companies do."""

    immediate_window_minutes: int = Field(default=15, ge=1, le=24 * 60)
    """How long an immediate notification waits for more of the same."""

    @property
    def immediate_window(self) -> timedelta:
        """The same as a length of time."""
        return timedelta(minutes=self.immediate_window_minutes)


class HolidaySettings(_Group):
    """Where the controller is, for counting legal deadlines: its public holidays and its time zone."""

    country: str = "DE"
    subdivision: str | None = None
    time_zone: str = "Europe/Berlin"

    @field_validator("country")
    @classmethod
    def _with_known_holidays(cls, country: str) -> str:
        if country not in holiday_subdivisions():
            raise ValueError("not a country whose public holidays are known; an ISO 3166-1 code such as DE is wanted")
        return country

    @field_validator("subdivision")
    @classmethod
    def _of_the_country(cls, subdivision: str | None, info: ValidationInfo) -> str | None:
        country = info.data.get("country")  # missing when it is wrong itself
        if country and subdivision is not None and subdivision not in (parts := holiday_subdivisions()[country]):
            raise ValueError(f"not a part of {country}; one of {', '.join(sorted(parts)) or 'none'} is wanted")
        return subdivision

    @field_validator("time_zone")
    @classmethod
    def _in_the_time_zone_database(cls, time_zone: str) -> str:
        if not is_time_zone(time_zone):
            raise ValueError("not a time zone; a name such as Europe/Berlin is wanted")
        return time_zone

    def as_rest_days(self) -> RestDays:
        """As deadlines are counted with."""
        return RestDays(self.country, self.subdivision, ZoneInfo(self.time_zone))


class TracingSettings(_Group):
    """Where traces go."""

    endpoint: str | None = Field(default=None, pattern=r"^https?://[^\s?#]+$")
    """An OTLP receiver that speaks HTTP, such as ``http://collector.example:4318``; without it nothing is traced."""


class LimitSettings(_Group):
    """How often somebody may, such as ``10/minute;50/hour``; empty for no limit. Each process counts for itself."""

    per_key: str = "100000/minute"
    """One API key, in requests, whatever each holds."""
    forms: str = "10/minute;50/hour"
    """One client address that sends the public form or asks for a link to sign in."""

    @field_validator("per_key", "forms")
    @classmethod
    def _readable(cls, rates: str) -> str:
        try:
            read_rates(rates)
        except ValueError:
            raise ValueError("not a limit; one such as 10/minute;50/hour is wanted") from None
        return rates


class SourceRequestSettings(_Group):
    """How data-source requests are answered."""

    pauses: bool = True
    """Whether their clock stands still while an officer waits for the requester (GDPR Art. 12(6))."""


class Settings(BaseSettings):
    """One model for every process."""

    model_config = SettingsConfigDict(
        env_prefix="CONSENTFLOW_", env_nested_delimiter="__", env_file=".env", extra="ignore", frozen=True
    )

    database_url: SecretStr
    database_connections: int = Field(default=10, ge=2, le=200)
    secret_key: SecretStr = Field(min_length=32)
    public_url: str = Field(pattern=r"^https?://[^\s/?#]+(/[^\s?#]*[^\s/?#])?$", max_length=120)
    temporal: TemporalSettings = TemporalSettings()
    smtp: SmtpSettings = SmtpSettings()
    mail: MailSettings
    controller: ControllerSettings
    holidays: HolidaySettings = HolidaySettings()
    notifications: NotificationSettings = NotificationSettings()
    source_requests: SourceRequestSettings = SourceRequestSettings()
    limits: LimitSettings = LimitSettings()
    tracing: TracingSettings = TracingSettings()
    trusted_proxies: str = "127.0.0.1,::1"
    """Addresses and networks, with commas between, whose X-Forwarded-For and X-Forwarded-Proto are believed."""
    policy_file: Path | None = None
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    metrics_host: str = "127.0.0.1"
    metrics_port: int | None = Field(default=None, ge=0, le=65535)
    """Where a worker serves its metrics; without it nowhere. The API has them beside everything else."""
    log_format: Literal["json", "console"] = "json"

    @model_validator(mode="after")
    def _both_or_neither(self) -> Self:
        if (self.smtp.username is None) != (self.smtp.password is None):
            raise ValueError("smtp.username and smtp.password belong together")
        return self


class PolicySettings(BaseSettings):
    """The one setting of a command that needs neither database nor secret."""

    model_config = Settings.model_config

    policy_file: Path | None = None


class FixedSettings(Settings):
    """Settings given in code alone; the environment has no say."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the library's signature
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what the constructor is given."""
        return (init_settings,)


def read_settings() -> Settings:
    """Reads the environment.

    Raises:
        InvalidSettings: Something is missing or wrong; names every variable concerned, and no value.
    """
    try:
        return Settings()
    except ValidationError as error:
        lines = []
        for each in error.errors(include_url=False, include_input=False, include_context=False):
            lines += [f"{name}: {each['msg']}" for name in _variables(each["loc"])]
        raise InvalidSettings("\n".join(lines)) from None


def _variables(location: tuple[int | str, ...]) -> list[str]:
    """The variables behind a place in the settings; for a group of which nothing is set, all that it must have."""
    name = "CONSENTFLOW_" + "__".join(str(part).upper() for part in location)
    group = Settings.model_fields[str(location[0])].annotation if len(location) == 1 else None
    if not (isinstance(group, type) and issubclass(group, BaseModel)):
        return [name]
    required = (field.alias or key for key, field in group.model_fields.items() if field.is_required())
    return [f"{name}__{key.upper()}" for key in required] or [name]
