"""`exportkit validate`."""

from __future__ import annotations

import click

from exportkit.cli import completing, report
from exportkit.cli.opening import workspace_of
from exportkit.errors import EXIT_BAD_FILES, EXIT_OK


@click.command()
@click.argument("jobs", nargs=-1, metavar="[JOB]...", shell_complete=completing.jobs)
@click.option("--connect", is_flag=True, help="Ask servers and stores for columns and types too.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def validate(ctx: click.Context, jobs: tuple[str, ...], connect: bool, as_json: bool) -> int:
    """Check every file and plugin option, offline; with JOBs, only what those need.

    File sources are opened and their beginning is read, so that segments and mapped columns are
    checked against the real columns; database servers, stores and web servers are asked only with
    --connect. Nothing is sent.

    \b
    Examples:
      exportkit validate
      exportkit validate --connect
      exportkit validate vip-newsletter --json
    """
    from exportkit.host.loader import load_plugins
    from exportkit.pipeline.validate import validate_workspace

    findings = validate_workspace(workspace_of(ctx), load_plugins(), jobs, connect=connect)
    if as_json:
        report.show_json(
            {
                "valid": not findings.complaints,
                "checked": list(findings.checked),
                "complaints": [report.complaint_document(c) for c in findings.complaints],
                "warnings": [report.complaint_document(w) for w in findings.warnings],
            }
        )
    else:
        report.show_complaints(findings.complaints)
        report.show_warnings(findings.warnings)
        if not findings.complaints:
            report.show_text(f"{len(findings.checked)} files are valid")
    return EXIT_BAD_FILES if findings.complaints else EXIT_OK
