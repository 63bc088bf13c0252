"""`exportkit schedule` and what is below it."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from exportkit.cli import report, results
from exportkit.cli.opening import workspace_of


@click.group()
def schedule() -> None:
    """See when jobs run, and how to install that.

    \b
    Examples:
      exportkit schedule show
    """


@schedule.command()
@click.option(
    "--times", type=click.IntRange(1, 100), default=3, show_default=True, help="How many each."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def show(ctx: click.Context, times: int, as_json: bool) -> None:
    """Show the next times of each job, and the line to install for cron or systemd.

    One line serves all jobs: it looks every minute which of them are due. Nothing is installed.

    \b
    Examples:
      exportkit schedule show
      (crontab -l; exportkit schedule show --json | jq -r .crontab) | crontab -
    """
    from exportkit.operations.schedules import active, next_times
    from exportkit.operations.timers import timers_of

    workspace = workspace_of(ctx)
    jobs, now = active(workspace.jobs().items), datetime.now(UTC)
    coming = {job.name: next_times(job, now, times) for job in jobs}
    timers = timers_of(workspace)
    if as_json:
        listed = {name: [at.isoformat() for at in moments] for name, moments in coming.items()}
        units = {"exportkit.service": timers.service, "exportkit.timer": timers.timer}
        report.show_json({"jobs": listed, "crontab": timers.crontab, "systemd": units})
        return
    report.show_warnings(workspace.warnings)
    if not jobs:
        report.show_text('no job has a schedule: add `schedule: "0 6 * * 1-5"` to one')
    report.show_table(
        [
            (job.name, job.schedule or "", ", ".join(map(results.shown_time, coming[job.name])))
            for job in jobs
        ]
    )
    report.show_text(
        f"\nin crontab (crontab -e), one line for all jobs:\n\n{timers.crontab}\n\n"
        "or for systemd, two files in ~/.config/systemd/user/, and then\n"
        "systemctl --user enable --now exportkit.timer; loginctl enable-linger\n\n"
        f"# exportkit.service\n{timers.service}\n# exportkit.timer\n{timers.timer}"
    )
