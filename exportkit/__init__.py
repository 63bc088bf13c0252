"""exportkit sends segments of customer profiles to the places where marketing happens.

What stands in `__all__` is all that a plugin needs; the rest of the package may change.
"""

from exportkit.durable import Draft
from exportkit.errors import (
    AccessDeniedError,
    DestinationError,
    JobError,
    OutcomeUnknownError,
    PluginError,
    QuotaSpentError,
    ThrottledError,
    UnavailableError,
)
from exportkit.hookspecs import hookimpl
from exportkit.records import (
    Batch,
    Catalogue,
    Column,
    Connection,
    Counts,
    Delivery,
    Description,
    FieldMapping,
    Finding,
    Limits,
    MappedField,
    Rejection,
    Run,
    Settlement,
    Target,
)
from exportkit.redaction import conceal, redact
from exportkit.services import Calls, Credentials, Prompt

__version__ = "0.1.0"

__all__ = [
    "AccessDeniedError",
    "Batch",
    "Calls",
    "Catalogue",
    "Column",
    "Connection",
    "Counts",
    "Credentials",
    "Delivery",
    "Description",
    "DestinationError",
    "Draft",
    "FieldMapping",
    "Finding",
    "JobError",
    "Limits",
    "MappedField",
    "OutcomeUnknownError",
    "PluginError",
    "Prompt",
    "QuotaSpentError",
    "Rejection",
    "Run",
    "Settlement",
    "Target",
    "ThrottledError",
    "UnavailableError",
    "conceal",
    "hookimpl",
    "redact",
]
