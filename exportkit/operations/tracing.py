"""One OpenTelemetry span a run, if the extra is installed and the environment says where to.

The standard variables decide: `OTEL_EXPORTER_OTLP_ENDPOINT` and its kin, `OTEL_TRACES_EXPORTER`,
`OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_SDK_DISABLED`.
"""

from __future__ import annotations

import logging
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from exportkit.redaction import describe

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from exportkit.records import Run

LONGEST = 3
"""Seconds that a span may take where the environment does not say: a run's end waits for it."""

_WHERE_TO = (
    "OTEL_TRACES_EXPORTER",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
)
_TIMEOUTS = ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")


def trace(done: Run, connection: str) -> list[str]:
    """Export the span of a run; answers a line if it did not arrive. Without the extra: nothing."""
    name = exporter_name()
    if name is None:
        return []
    try:
        import opentelemetry.sdk.trace  # noqa: F401 - is it there?
    except ImportError:
        return []
    try:
        exporter = _exporter(name)
        if exporter is None:
            return [f"no trace of the run was sent: there is no OpenTelemetry exporter '{name}'"]
        with _quiet():
            arrived = _export(exporter, done, connection)
    except Exception as error:  # noqa: BLE001 - an exporter never fails a run, whatever it does
        return [f"no trace of the run was sent: the exporter failed ({describe(error)})"]
    if arrived:
        return []
    return [
        "no trace of the run was sent: whoever listens at OTEL_EXPORTER_OTLP_ENDPOINT did not"
        " take it"
    ]


def exporter_name() -> str | None:
    """The exporter that the environment asks for, None if it asks for none."""
    asked = [value for variable in _WHERE_TO if (value := os.environ.get(variable, "").strip())]
    if not asked or os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    name = os.environ.get("OTEL_TRACES_EXPORTER", "").strip() or "otlp"
    if name == "none":
        return None
    if name != "otlp":
        return name
    protocol = next(
        (said for each in _PROTOCOLS if (said := os.environ.get(each))), "http/protobuf"
    )
    return "otlp_proto_grpc" if protocol == "grpc" else "otlp_proto_http"


def attributes_of(done: Run, connection: str) -> dict[str, str | int]:
    """What a span says of a run. Messages are left out: they are in the journal."""
    found: dict[str, str | int] = {
        "exportkit.run_id": done.run_id,
        "exportkit.job": done.job,
        "exportkit.connection": connection,
        "exportkit.status": done.status,
    }
    for name, number in done.counts.as_dict().items():
        found[f"exportkit.rows.{name}"] = number
    if done.error is not None:
        found["error.type"] = done.error.kind
    return found


def _exporter(name: str) -> Any:
    from importlib.metadata import entry_points

    options = {}
    if name.startswith("otlp") and not any(map(os.environ.get, _TIMEOUTS)):
        options["timeout"] = LONGEST
    found = entry_points(group="opentelemetry_traces_exporter", name=name)
    return next((point.load()(**options) for point in found), None)


def _export(exporter: Any, done: Run, connection: str) -> bool:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExportResult
    from opentelemetry.trace import SpanKind, Status, StatusCode

    service = os.environ.get("OTEL_SERVICE_NAME") or "exportkit"
    provider = TracerProvider(resource=Resource.create({"service.name": service}))
    try:
        span = provider.get_tracer("exportkit").start_span(
            f"run {done.job}",
            kind=SpanKind.INTERNAL,
            start_time=_nanoseconds(done.started_at),
            attributes=attributes_of(done, connection),
        )
        good = done.status in ("succeeded", "partial")
        span.set_status(Status(StatusCode.OK if good else StatusCode.ERROR))
        span.end(_nanoseconds(done.finished_at))
        return bool(exporter.export([span]) is SpanExportResult.SUCCESS)
    finally:
        exporter.shutdown()
        provider.shutdown()


def _nanoseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000) * 1_000


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the library's own log, with its tracebacks, off the terminal."""
    log, silence = logging.getLogger("opentelemetry"), logging.NullHandler()
    propagated = log.propagate
    log.addHandler(silence)
    log.propagate = False
    try:
        yield
    finally:
        log.propagate = propagated
        log.removeHandler(silence)
