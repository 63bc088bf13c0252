"""A destination that takes everything and keeps nothing, so that only exportkit is measured."""

from contextlib import nullcontext

from exportkit import Delivery, Description, Limits, hookimpl


@hookimpl
def describe_destination() -> Description:
    return Description(
        "Nowhere", modes=("upsert",), limits=Limits(batch_rows=50_000), third_party=False
    )


@hookimpl
def connect() -> nullcontext[None]:
    return nullcontext()


@hookimpl
def push() -> Delivery:
    return Delivery()
