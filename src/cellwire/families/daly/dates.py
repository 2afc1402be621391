"""Daly's dates and clocks: bytes for year, month, day, hour, minute, second since 2000."""

MONTHS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
# The catalogue counts a clock from 2020-01-01, so that small numbers stay exact in single precision longer.
FIRST_YEAR = 20


def _month_days(year: int, month: int) -> int:
    return 29 if month == 2 and year % 4 == 0 else MONTHS[month - 1]


def date_text(data: bytes, at: int) -> str:
    """Return the date at `at` as YYYY-MM-DD, "" when there is none."""
    if len(data) < at + 3:
        return ""
    year, month, day = data[at], data[at + 1], data[at + 2]
    if not (1 <= year <= 99 and 1 <= month <= 12 and 1 <= day <= _month_days(year, month)):
        return ""
    return f"{2000 + year}-{month:02d}-{day:02d}"


def clock_seconds(data: bytes, at: int) -> "int | None":
    """Return the clock at `at` in seconds since 2020-01-01, None when it is not set or not a time."""
    if len(data) < at + 6 or data[at] < FIRST_YEAR or not date_text(data, at):
        return None
    hour, minute, second = data[at + 3], data[at + 4], data[at + 5]
    if hour > 23 or minute > 59 or second > 59:
        return None
    days = data[at + 2] - 1
    for year in range(FIRST_YEAR, data[at]):
        days += 366 if year % 4 == 0 else 365
    for month in range(1, data[at + 1]):
        days += _month_days(data[at], month)
    return ((days * 24 + hour) * 60 + minute) * 60 + second


def clock_bytes(seconds: int) -> bytes:
    """Return the six bytes of a clock given in seconds since 2020-01-01."""
    days, rest = seconds // 86400, seconds % 86400
    year = FIRST_YEAR
    while days >= (366 if year % 4 == 0 else 365):
        days -= 366 if year % 4 == 0 else 365
        year += 1
    month = 1
    while days >= _month_days(year, month):
        days -= _month_days(year, month)
        month += 1
    return bytes((year, month, days + 1, rest // 3600, rest // 60 % 60, rest % 60))
