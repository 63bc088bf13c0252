"""When a job is due: five cron fields in a time zone, across changes of the clocks."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING

from exportkit.config.names import nearest_hint
from exportkit.errors import Complaint

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exportkit.config.documents import Document

FIELDS = (
    ("minute", range(60)),
    ("hour", range(24)),
    ("day of the month", range(1, 32)),
    ("month", range(1, 13)),
    ("day of the week", range(8)),
)
_NAMES = {
    "month": ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"],
    "day of the week": ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"],
}
_NICKNAMES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_FARTHEST = timedelta(days=60 * 365)


@dataclass(frozen=True, slots=True)
class Times:
    """The moments at which a valid schedule falls due. All moments are aware.

    A schedule of every hour goes by the time that passes. Any other goes by the clock on the wall:
    a time that a change of the clocks leaves out is made up for right after it, and one that comes
    twice counts once, the first time.
    """

    schedule: str
    zone: tzinfo

    def after(self, moment: datetime) -> datetime | None:
        """The first moment after this one, in the schedule's zone; None if there never is one."""
        found = self._after(moment.astimezone(UTC))
        return found.astimezone(self.zone) if found else None

    def latest(self, until: datetime) -> datetime | None:
        """The last moment up to this one, in the schedule's zone; None if there was none."""
        # In UTC: two moments of one zone are compared by the wall, where an hour may come twice.
        until = until.astimezone(UTC)
        span = timedelta(hours=1)
        while (found := self._after(until - span)) is None or found > until:
            span *= 4
            if span > _FARTHEST:
                return None
        end = until
        while (following := self._after(found)) and following <= until:
            middle = found + (end - found) / 2
            later = self._after(middle)
            if later and later <= until:
                found = later
            else:
                found, end = following, middle
        return found.astimezone(self.zone)

    def _after(self, moment: datetime) -> datetime | None:
        return next((at for at in self._moments(moment) if at > moment), None)

    def _moments(self, start: datetime) -> Iterator[datetime]:
        """In UTC, from about the start on; what the clocks leave out comes as what follows it."""
        from cronsim import CronSim

        local = start.astimezone(self.zone)
        minute, _, *days = self.schedule.split()
        on_the_wall = CronSim(self.schedule, local.replace(tzinfo=None))
        if len(on_the_wall.hours) == len(FIELDS[1][1]):
            # `0-23` is every hour too, but only the asterisk makes cronsim go by passing time.
            for found in CronSim(" ".join((minute, "*", *days)), local):
                yield found.astimezone(UTC)
            return
        for wall in on_the_wall:
            while _is_left_out(wall, self.zone):
                wall += timedelta(minutes=1)
            yield wall.replace(tzinfo=self.zone).astimezone(UTC)


def times_of(schedule: str | None, timezone: str | None) -> Times | None:
    """The times of a job that `check_schedule` found nothing wrong with; None without a schedule.

    Without a time zone it is the machine's.
    """
    if schedule is None:
        return None
    import zoneinfo

    return Times(schedule, zoneinfo.ZoneInfo(timezone) if timezone else machine_zone())


def machine_zone() -> tzinfo:
    """The time zone of the machine, as `TZ` or /etc/localtime has it; UTC where nothing says it."""
    import zoneinfo

    try:
        if named := os.environ.get("TZ", "").lstrip(":"):
            return zoneinfo.ZoneInfo(named)
        with open("/etc/localtime", "rb") as file:  # noqa: PTH123
            return zoneinfo.ZoneInfo.from_file(file)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return UTC


def check_schedule(document: Document) -> Iterator[Complaint]:
    """What is wrong with a job's `schedule:` and `timezone:`, with what to write instead."""
    schedule, timezone = document.text(("schedule",)), document.text(("timezone",))
    if schedule is not None and (wrong := _wrong_with(schedule)):
        yield Complaint(wrong[0], document.locate(("schedule",)), wrong[1])
    if timezone is not None and not _is_timezone(timezone):
        yield Complaint(
            f"there is no time zone '{timezone}'",
            document.locate(("timezone",)),
            _nearest_zone(timezone),
        )


def _wrong_with(schedule: str) -> tuple[str, str] | None:
    """Why this is no schedule and what to do; None if it is one."""
    from cronsim import CronSim, CronSimError

    nickname = schedule.strip().lower()
    if nickname.startswith("@"):
        instead = _NICKNAMES.get(nickname)
        hint = f'write "{instead}"' if instead else nearest_hint(nickname, _NICKNAMES)
        return f"'{schedule}' is not written in five fields", hint
    parts = schedule.split()
    if len(parts) != len(FIELDS):
        hint = "minute, hour, day of the month, month, day of the week, such as 0 6 * * 1-5"
        return f"a schedule has five fields, not {len(parts)}", hint
    for (name, values), part in zip(FIELDS, parts, strict=True):
        if wrong := _wrong_part(name, values, part):
            return wrong
    try:
        next(CronSim(schedule, datetime(2024, 1, 1)))
    except CronSimError:
        return f"no date is ever '{parts[2]}' in the month '{parts[3]}'", _CALENDAR
    except StopIteration:
        return f"'{schedule}' never comes, not in fifty years", _CALENDAR
    return None


_CALENDAR = "the third field is the day of the month, the fourth the month"


def _wrong_part(name: str, values: range, part: str) -> tuple[str, str] | None:
    """Why this is no minute, hour, ...; each field by itself, so that the message can name it."""
    from cronsim import CronSim, CronSimError

    alone = ["*"] * len(FIELDS)
    alone[[field for field, _ in FIELDS].index(name)] = part
    try:
        CronSim(" ".join(alone), datetime(2024, 1, 1))
    except CronSimError:
        known = _NAMES.get(name, [])
        words = [word for word in _words(part) if word.upper() not in known]
        span = f"from {values.start} to {values.stop - 1}"
        if words and known:
            return f"there is no {name} '{words[0]}'", nearest_hint(words[0], known)
        article = "an" if name == "hour" else "a"
        hint = f"{article} {name} is {span}, *, a list 1,3, a span 1-5 or */2"
        return f"'{part}' is no {name}", hint
    return None


def _words(part: str) -> list[str]:
    import re

    return re.findall(r"[A-Za-z]+", part)


def _is_left_out(wall: datetime, zone: tzinfo) -> bool:
    """Whether the clocks are put forward over this time."""
    return wall.replace(tzinfo=zone).astimezone(UTC).astimezone(zone).replace(tzinfo=None) != wall


def _is_timezone(name: str) -> bool:
    import zoneinfo

    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _nearest_zone(name: str) -> str:
    import zoneinfo

    from exportkit.config.names import nearest

    zones = sorted(zoneinfo.available_timezones())
    # People write the city alone.
    cities = {zone.rpartition("/")[2]: zone for zone in zones if "/" in zone}
    guess = nearest(name, zones) or cities.get(nearest(name.replace(" ", "_"), cities) or "")
    return f"did you mean '{guess}'?" if guess else "for example Europe/Athens"
