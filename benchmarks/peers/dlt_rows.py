"""The plain case with dlt, fed rows as one would from Python. `dlt_rows.py SOURCE FOLDER`"""

import csv
import sys
from pathlib import Path

import dlt

source, folder = sys.argv[1:]


@dlt.resource(name="plain")
def profiles():
    with Path(source).open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            yield {
                "id": row["customer_id"],
                "address": row["email"],
                "given": row["first_name"],
                "family": row["last_name"],
            }


destination = dlt.destinations.filesystem(bucket_url=f"{folder}/dlt-rows")
pipeline = dlt.pipeline(
    "rows", destination=destination, dataset_name="out", pipelines_dir=f"{folder}/dlt-rows/.work"
)
pipeline.run(profiles(), loader_file_format="csv", write_disposition="replace")
