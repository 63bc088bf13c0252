"""The second half of a Singer pipe: a target made with singer-sdk that writes one CSV file."""

import csv
from pathlib import Path

from singer_sdk import Target
from singer_sdk import typing as th
from singer_sdk.sinks import BatchSink

COLUMNS = ("id", "address", "given", "family")


class File(BatchSink):
    max_size = 10_000
    begun = False

    def process_batch(self, context):
        mode = "a" if self.begun else "w"
        with Path(self.config["result"]).open(mode, encoding="utf-8", newline="") as file:
            rows = csv.DictWriter(file, COLUMNS, extrasaction="ignore")
            if not self.begun:
                rows.writeheader()
            rows.writerows(context["records"])
        self.begun = True


class TargetFile(Target):
    name = "target-file"
    default_sink_class = File
    config_jsonschema = th.PropertiesList(
        th.Property("result", th.StringType, required=True)
    ).to_dict()


if __name__ == "__main__":
    TargetFile.cli()
