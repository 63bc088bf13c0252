"""The files of a workspace: YAML with positions, checked by JSON Schema, as frozen records."""
