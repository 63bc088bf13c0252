"""The first half of a Singer pipe: a tap made with singer-sdk that reads the profiles."""

import csv
from pathlib import Path

from singer_sdk import Stream, Tap
from singer_sdk import typing as th


class Profiles(Stream):
    name = "plain"
    primary_keys = ("id",)
    schema = th.PropertiesList(
        *(th.Property(name, th.StringType) for name in ("id", "address", "given", "family"))
    ).to_dict()

    def get_records(self, context):  # noqa: ARG002 - the SDK hands it over by this name
        with Path(self.config["source"]).open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                yield {
                    "id": row["customer_id"],
                    "address": row["email"],
                    "given": row["first_name"],
                    "family": row["last_name"],
                }


class TapProfiles(Tap):
    name = "tap-profiles"
    config_jsonschema = th.PropertiesList(
        th.Property("source", th.StringType, required=True)
    ).to_dict()

    def discover_streams(self):
        return [Profiles(self)]


if __name__ == "__main__":
    TapProfiles.cli()
