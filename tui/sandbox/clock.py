"""The sandbox's time: the wall clock, a skew that a fault may add, and the calendar that the catalogue is read by."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta


class Clock:
    """Time as the sandbox's services see it.

    Attributes:
        as_of: The catalogue's date, or None for today. Only lifecycles (retirement, deprecation) follow it; time
            stamps and expiries stay on the wall clock, since tokens and SAS are compared with the client's clock.
        skew: How far the services' clock is ahead of the machine's.
    """

    def __init__(self, as_of: date | None = None) -> None:
        self.as_of = as_of
        self.skew = timedelta(0)

    def now(self) -> datetime:
        """Return the services' present time, aware, in UTC."""
        return datetime.now(UTC) + self.skew

    def timestamp(self) -> float:
        """Return `now` in seconds since 1970."""
        return self.now().timestamp()

    def today(self) -> date:
        """Return the date by which models are live, deprecated or retired."""
        return self.as_of or self.now().date()


def iso(moment: datetime) -> str:
    """Return a time as Azure's resource bodies write it: seven digits of a second and an explicit offset."""
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond:06d}0+00:00"
