"""The OpenAPI document, and whether the service keeps to it whatever a program sends."""

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import asyncpg
import httpx
import jsonschema
import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from schemathesis.specs.openapi.definitions import OPENAPI_31

from consentflow.api.app import create_app, serving
from consentflow.domain.clock import SystemClock
from consentflow.operations.keys import Role
from consentflow.runtime import Parts
from tests.conftest import make_settings

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@schemathesis.serializer("message/rfc822")
def as_raw_mail(_: object, value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


@schemathesis.serializer("application/x-ndjson")
def as_one_line(_: object, value: object) -> bytes:
    return json.dumps(value).encode()


@schemathesis.deserializer("application/x-ndjson")
def as_one_result(_: object, response: schemathesis.Response) -> object:
    (line,) = response.content.splitlines() or [b'{"line": 1, "status": 200}']
    return json.loads(line)


@pytest.fixture
def document(built_app: FastAPI) -> dict[str, Any]:
    return built_app.openapi()


def test_the_document_is_valid_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1.")
    jsonschema.validate(document, OPENAPI_31)


def test_every_reference_in_the_document_leads_somewhere(document: dict[str, Any]) -> None:
    def references(node: object) -> Iterator[str]:
        if isinstance(node, dict):
            if isinstance(node.get("$ref"), str):
                yield node["$ref"]
            for child in node.values():
                yield from references(child)
        elif isinstance(node, list):
            for child in node:
                yield from references(child)

    found = set(references(document))
    assert {"#/components/schemas/Problem", "#/components/schemas/RegistrationIn"} <= found
    assert {ref.removeprefix("#/components/schemas/") for ref in found} <= set(document["components"]["schemas"])


@pytest.mark.parametrize(
    ("path", "method"),
    [
        ("/v1/registrations", "post"),
        ("/v1/registrations:batch", "post"),
        ("/v1/registrations/{registration_id}", "get"),
        ("/v1/registrations/{registration_id}", "patch"),
        ("/v1/registrations/{registration_id}", "delete"),
        ("/v1/accounts/{domain}", "put"),
        ("/v1/events", "post"),
        ("/v1/partners/{partner_id}", "put"),
        ("/v1/partners/{partner_id}", "get"),
        ("/v1/partners/{partner_id}/companies", "get"),
        ("/v1/partners/{partner_id}/credits", "get"),
        ("/v1/partners/{partner_id}/credits.csv", "get"),
        ("/v1/partners/{partner_id}/subscribers", "get"),
        ("/v1/partners/{partner_id}/subscribers/{email}", "put"),
        ("/v1/partners/{partner_id}/subscribers/{email}", "get"),
        ("/v1/partners/{partner_id}/subscribers/{email}", "delete"),
        ("/v1/erasures", "post"),
        ("/v1/access-exports", "post"),
        ("/v1/audit", "get"),
        ("/v1/data-source-requests", "post"),
        ("/v1/data-source-requests", "get"),
        ("/v1/data-source-requests/{request_id}", "get"),
        ("/v1/data-source-requests/{request_id}/decision", "post"),
        ("/v1/data-source-requests/{request_id}/letter", "get"),
        ("/v1/data-source-requests/{request_id}/letter", "post"),
        ("/v1/data-source-requests/{request_id}/identity", "post"),
        ("/v1/data-source-requests/{request_id}/extension", "post"),
        ("/v1/data-source-requests/{request_id}/pause", "post"),
        ("/v1/data-source-requests/{request_id}/resume", "post"),
        ("/v1/inbound-mail", "post"),
        ("/healthz", "get"),
        ("/readyz", "get"),
        ("/metrics", "get"),
    ],
)
def test_the_document_lists_every_endpoint(document: dict[str, Any], path: str, method: str) -> None:
    operation = document["paths"][path][method]
    assert operation["summary"]
    assert operation["description"]
    assert ("security" in operation) is path.startswith("/v1/")


def test_the_document_lists_no_page(document: dict[str, Any]) -> None:
    assert [path for path in document["paths"] if path.startswith(("/confirm", "/unsubscribe", "/dev"))] == []


def test_every_refusal_is_documented_as_a_problem_document(document: dict[str, Any]) -> None:
    for path, operations in document["paths"].items():
        if not path.startswith("/v1/"):
            continue
        for operation in operations.values():
            refusals = {status: each for status, each in operation["responses"].items() if status >= "400"}
            assert {"400", "401", "403", "408", "413", "422", "429", "503"} <= set(refusals)
            assert {tuple(each["content"]) for each in refusals.values()} == {("application/problem+json",)}


def test_the_event_says_what_its_data_may_hold(document: dict[str, Any]) -> None:
    content = document["paths"]["/v1/events"]["post"]["requestBody"]["content"]
    single = content["application/cloudevents+json"]["schema"]
    batch = content["application/cloudevents-batch+json"]["schema"]
    assert set(single["properties"]["data"]["properties"]) == {"email", "domain", "occurred_at", "amount", "currency"}
    assert batch["items"] == single


# Whatever a program sends.


@pytest.fixture(scope="module")
def service(postgres_url: str) -> Iterator[tuple[str, str]]:
    """The service on a loopback port and on a loop of its own, since the generator of requests is not asynchronous."""
    where: list[tuple[str, str]] = []
    ready, done = threading.Event(), threading.Event()

    async def serve() -> None:
        name = "test_openapi"
        operator = await asyncpg.connect(postgres_url.format(database="postgres"))
        await operator.execute(f"CREATE DATABASE {name} TEMPLATE template_migrated")
        await operator.close()
        parts = Parts(make_settings(postgres_url.format(database=name)), SystemClock())
        with socket.create_server(("127.0.0.1", 0)) as listener:
            key = await parts.keys.create(Role.ADMIN, "admin")
            async with serving(create_app(parts), listener):
                where.append((f"http://127.0.0.1:{listener.getsockname()[1]}", key))
                ready.set()
                await asyncio.to_thread(done.wait)

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    assert ready.wait(60)
    yield where[0]
    done.set()
    thread.join(60)
    assert not thread.is_alive()


def described() -> Any:  # noqa: ANN401 (the library has no types)
    parts = Parts(make_settings("postgresql://127.0.0.1:1/not-needed-to-describe"), SystemClock())
    return schemathesis.openapi.from_dict(create_app(parts).openapi())


OPERATIONS = {found.ok().label: found.ok() for found in described().get_all_operations()}


PARTNER = "p-1"
SUBSCRIBER = "ana@partner.example"


SOURCE_REQUESTS = "/v1/data-source-requests"


def make_known(client: httpx.Client, registration_ids: list[str]) -> None:
    """What requests can be about, whatever was deleted or erased before: each test stands alone."""
    for registration_id in registration_ids:
        body = {"registration_id": registration_id, "partner_id": PARTNER, "contact": {"email": "lea@gmail.com"}}
        client.post("/v1/registrations", json=body).raise_for_status()
    partner = {"name": "Partner GmbH", "language": "de", "timezone": "Europe/Berlin"}
    client.put(f"/v1/partners/{PARTNER}", json=partner).raise_for_status()
    choice = {"actions": "all", "delivery": "daily"}
    client.put(f"/v1/partners/{PARTNER}/subscribers/{SUBSCRIBER}", json=choice).raise_for_status()


def open_source_request(client: httpx.Client, *, paused: bool) -> str:
    """A data-source request of somebody unknown, for which everything is still possible; returns its id."""
    opened = client.post(SOURCE_REQUESTS, json={"email": "nobody@nowhere.example"})
    opened.raise_for_status()
    request_id = str(opened.json()["id"])
    if paused:
        client.post(f"{SOURCE_REQUESTS}/{request_id}/pause", json={"reason": "x"}).raise_for_status()
    return request_id


def make_plausible(case: Any, registration_id: str, request_id: str) -> None:  # noqa: ANN401
    """Lets a request, valid by the document, get past what no schema can say: addresses, domains, known ids."""
    if "registration_id" in case.path_parameters:
        case.path_parameters["registration_id"] = registration_id
    if "domain" in case.path_parameters:
        case.path_parameters["domain"] = "other.example"
    if "partner_id" in case.path_parameters:
        case.path_parameters["partner_id"] = PARTNER
    if "email" in case.path_parameters:
        case.path_parameters["email"] = SUBSCRIBER
    if isinstance(case.body, dict) and "name" in case.body and case.path == "/v1/partners/{partner_id}":
        case.body |= {"name": "Partner GmbH", "timezone": "Europe/Berlin"}
    if case.path in {"/v1/erasures", "/v1/access-exports"}:
        case.body = {"email": "lea@gmail.com"}
    if case.path.startswith(SOURCE_REQUESTS):
        make_source_request_plausible(case, request_id)
    if isinstance(case.body, dict) and "contact" in case.body:
        case.body["contact"] |= {"email": "lea@gmail.com", "given_name": "Lea", "family_name": None}
        case.body |= {"registered_at": "2026-01-01T00:00:00Z", "registered_by": None, "company": None, "country": "FR"}


def make_source_request_plausible(case: Any, request_id: str) -> None:  # noqa: ANN401
    if "request_id" in case.path_parameters:
        case.path_parameters["request_id"] = request_id
    if case.path.endswith("/letter") and case.method == "GET":
        case.query = {"decision": "not_found"}
    elif case.path.endswith(("/decision", "/letter")):
        case.body = {"decision": "not_found"}
    elif case.path.endswith(("/identity", "/extension", "/pause")):
        case.body = {"reason": "x"}
    elif case.path == SOURCE_REQUESTS and case.method == "POST":
        case.body = {"email": "nobody@nowhere.example"}


@pytest.mark.parametrize("mode", GenerationMode, ids=lambda mode: mode.value)
@pytest.mark.parametrize("label", OPERATIONS)
def test_every_answer_is_as_documented_whatever_is_sent(
    service: tuple[str, str], label: str, mode: GenerationMode
) -> None:
    url, key = service
    headers = {"Authorization": f"Bearer {key}"}
    known = [f"r-{number}" for number in range(5)]
    with httpx.Client(base_url=url, headers=headers) as client:
        make_known(client, known)
        request_id = open_source_request(client, paused=label.endswith("/resume"))
    seen = set()

    @settings(
        max_examples=20,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(OPERATIONS[label].as_strategy(generation_mode=mode), st.booleans(), st.sampled_from(known))
    def send(case: Any, plausible: bool, registration_id: str) -> None:  # noqa: ANN401
        if plausible and mode is GenerationMode.POSITIVE:
            make_plausible(case, registration_id, request_id)
        seen.add(case.call_and_validate(base_url=url, headers=headers, checks=CHECKS).status_code < 300)

    try:
        send()
    except Unsatisfiable:
        assert mode is GenerationMode.NEGATIVE  # a request without any parameter cannot be wrong
    if mode is GenerationMode.POSITIVE:
        assert True in seen  # or the document lets nothing through
