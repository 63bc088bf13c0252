"""Says how two CSV files differ as bags of rows; nothing if they do not. `compare.py A B`"""

import sys

import duckdb

a, b = (duckdb.read_csv(path, all_varchar=True) for path in sys.argv[1:])
b = b.select(*(name for name in b.columns if not name.startswith("_")))  # a tool's own marks

if a.columns != b.columns:
    print(f"the columns are {a.columns} and {b.columns}")
elif missing := len(duckdb.sql("FROM a EXCEPT ALL FROM b")):
    print(f"{missing} rows of the first are not in the second")
elif surplus := len(duckdb.sql("FROM b EXCEPT ALL FROM a")):
    print(f"{surplus} rows of the second are not in the first")
