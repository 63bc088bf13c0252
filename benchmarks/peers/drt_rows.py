"""The plain case with drt, from DuckDB to its file destination. `drt_rows.py SOURCE FOLDER`"""

import os
import sys
from pathlib import Path

source, folder = sys.argv[1], Path(sys.argv[2]) / "drt"
FILES = {
    "drt_project.yml": 'name: peer\nversion: "1"\nprofile: local\n',
    ".drt/profiles.yml": 'local: {type: duckdb, database: ":memory:"}\n',
    "syncs/plain.yml": f"""
name: plain
model: >-
  SELECT customer_id AS id, email AS address, first_name AS given, last_name AS family
  FROM read_csv('{source}', all_varchar = true)
destination: {{type: file, path: plain.csv, format: csv}}
""",
}
for name, text in FILES.items():
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)

os.chdir(folder)
drt = str(Path(sys.executable).parent / "drt")
os.execve(drt, [drt, "run", "--select", "plain"], {**os.environ, "HOME": str(folder)})
