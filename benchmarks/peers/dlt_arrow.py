"""The plain case with dlt, fed Arrow batches by DuckDB. `dlt_arrow.py SOURCE FOLDER`"""

import sys

import dlt
import duckdb

source, folder = sys.argv[1:]
QUERY = f"""
    SELECT customer_id AS id, email AS address, first_name AS given, last_name AS family
    FROM read_csv('{source}', all_varchar = true)
"""


@dlt.resource(name="plain")
def profiles():
    yield from duckdb.sql(QUERY).to_arrow_reader(65_536)


destination = dlt.destinations.filesystem(bucket_url=f"{folder}/dlt-arrow")
pipeline = dlt.pipeline(
    "arrow", destination=destination, dataset_name="out", pipelines_dir=f"{folder}/dlt-arrow/.work"
)
pipeline.run(profiles(), loader_file_format="csv", write_disposition="replace")
