"""The sandbox's time: the wall clock, moved by its calendar and by the skew that a fault may add."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta


class Clock:
    """Time as the sandbox's services see it.

    Attributes:
        calendar: Whole days by which ``--as-of`` moves the services' calendar (negative: back).
        skew: How far the services' clock is ahead of the machine's, beside that.
    """

    def __init__(self, calendar: timedelta) -> None:
        self.calendar = calendar
        self.skew = timedelta(0)

    def now(self) -> datetime:
        """Return the services' present time, aware, in UTC: that of ``Date``, of time stamps and of lifecycles."""
        return self.issuing() + self.calendar

    def timestamp(self) -> float:
        """Return `now` in seconds since 1970."""
        return self.now().timestamp()

    def today(self) -> date:
        """Return the date by which models are live, deprecated or retired."""
        return self.now().date()

    def issuing(self) -> datetime:
        """Return the time that tokens are issued and expire by: clients compare it with their own, not a calendar."""
        return datetime.now(UTC) + self.skew


def calendar_for(as_of: date) -> timedelta:
    """Return the days by which the calendar has to be moved for today to be `as_of`."""
    return as_of - datetime.now(UTC).date()


def iso(moment: datetime) -> str:
    """Return a time as Azure's resource bodies write it: seven digits of a second and an explicit offset."""
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond:06d}0+00:00"
