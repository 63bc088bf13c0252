"""A span of each run reaches a real collector; without one, nothing happens."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from exportkit.operations.tracing import exporter_name, trace
from tests.operations.conftest import MORNING, Listener, a_run

if TYPE_CHECKING:
    from collections.abc import Mapping


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("OTEL_"):
            monkeypatch.delenv(name)


def spans_in(bodies: list[bytes]) -> list[tuple[Mapping[str, Any], Any]]:
    """Each span that arrived, with the attributes of whoever sent it."""
    service = pytest.importorskip("opentelemetry.proto.collector.trace.v1.trace_service_pb2")
    found = []
    for body in bodies:
        request = service.ExportTraceServiceRequest.FromString(body)
        for sender in request.resource_spans:
            names = {a.key: a.value.string_value for a in sender.resource.attributes}
            found += [(names, span) for scope in sender.scope_spans for span in scope.spans]
    return found


def test_a_span_of_a_run(listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://{listener.url}")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=shop")
    assert trace(a_run("failed", "job", selected=5, added=5), "marketing") == []
    ((sender, span),) = spans_in(listener.bodies)
    assert sender["service.name"] == "exportkit"
    assert sender["deployment.environment"] == "shop"
    assert span.name == "run vip"
    assert span.start_time_unix_nano == int(MORNING.timestamp()) * 10**9
    assert span.end_time_unix_nano - span.start_time_unix_nano == 12 * 10**9
    said = {a.key: a.value.string_value or a.value.int_value for a in span.attributes}
    assert said["exportkit.job"] == "vip"
    assert said["exportkit.connection"] == "marketing"
    assert said["exportkit.rows.added"] == 5
    assert said["error.type"] == "job"
    assert span.status.code == span.status.STATUS_CODE_ERROR
    assert "the list is gone" not in str(span)


def test_a_collector_that_is_not_there(monkeypatch: pytest.MonkeyPatch, capfd) -> None:
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    before = time.monotonic()
    (line,) = trace(a_run(), "marketing")
    assert "no trace of the run was sent" in line
    assert time.monotonic() - before < 6
    assert capfd.readouterr() == ("", "")


def test_a_collector_that_refuses(listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http")
    listener.status = 400
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://{listener.url}")
    assert len(trace(a_run(), "marketing")) == 1


def test_an_exporter_that_nobody_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("opentelemetry.sdk")
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "carrier-pigeon")
    (line,) = trace(a_run(), "marketing")
    assert "no OpenTelemetry exporter 'carrier-pigeon'" in line


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    assert trace(a_run(), "marketing") == []


@pytest.mark.parametrize(
    ("environment", "name"),
    [
        ({}, None),
        ({"OTEL_SERVICE_NAME": "x"}, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a"}, "otlp_proto_http"),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://a"}, "otlp_proto_http"),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "a", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            "otlp_proto_grpc",
        ),
        ({"OTEL_TRACES_EXPORTER": "console"}, "console"),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://a"}, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a", "OTEL_SDK_DISABLED": "TRUE"}, None),
    ],
)
def test_the_environment_decides(
    environment: dict[str, str], name: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    assert exporter_name() == name
