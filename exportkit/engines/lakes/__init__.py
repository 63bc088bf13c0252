"""Tables that are folders of files: Delta and Iceberg."""
