/** Date functions of PromQL on seconds since the epoch, UTC, proleptic Gregorian calendar. */

const DAY_SECONDS = 86400;
// int64's minimum, which Go yields for floats it cannot represent.
const INT64_MIN = -(2 ** 63);
// Where Go's unsigned count of seconds begins; earlier times wrap round to those 2^64 seconds later.
const FIRST_SECOND = -9_223_372_028_741_760_000n;

/** Days since 1970-01-01 to year, month (1-12) and day (1-31); exact for all days of int64 seconds. */
function civil(days: number): { year: number; month: number; day: number } {
  const shifted = days + 719468;
  const era = Math.floor(shifted / 146097);
  const dayOfEra = shifted - era * 146097;
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36524) - Math.floor(dayOfEra / 146096)) /
      365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const mp = Math.floor((5 * dayOfYear + 2) / 153);
  const day = dayOfYear - Math.floor((153 * mp + 2) / 5) + 1;
  const month = mp < 10 ? mp + 3 : mp - 9;
  return { year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day };
}

function isLeap(year: number): boolean {
  return (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
}

const MONTH_DAYS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** Whole days and the seconds of the last one. */
function splitDays(seconds: number): { days: number; rest: number } {
  const days = Math.floor(seconds / DAY_SECONDS);
  return { days, rest: seconds - days * DAY_SECONDS };
}

function splitHugeDays(seconds: bigint): { days: number; rest: number } {
  const wrapped = seconds < FIRST_SECOND ? seconds + (1n << 64n) : seconds;
  const day = BigInt(DAY_SECONDS);
  const rest = ((wrapped % day) + day) % day;
  return { days: Number((wrapped - rest) / day), rest: Number(rest) };
}

/** `year`, `hour` and their like for a time in seconds; fractions are cut off toward zero. */
export function evaluateDate(func: string, value: number): number {
  const truncated = Math.trunc(value);
  const isRepresentable = truncated >= INT64_MIN && truncated < -INT64_MIN;
  const seconds = isRepresentable ? truncated + 0 : INT64_MIN;
  const { days, rest } = Number.isSafeInteger(seconds) ? splitDays(seconds) : splitHugeDays(BigInt(seconds));
  switch (func) {
    case 'hour':
      return Math.floor(rest / 3600);
    case 'minute':
      return Math.floor(rest / 60) % 60;
    case 'day_of_week':
      return (((days + 4) % 7) + 7) % 7;
  }
  const { year, month, day } = civil(days);
  switch (func) {
    case 'year':
      return year;
    case 'month':
      return month;
    case 'day_of_month':
      return day;
    case 'days_in_month':
      return month === 2 && isLeap(year) ? 29 : MONTH_DAYS[month - 1]!;
    default: {
      let dayOfYear = day;
      for (let m = 1; m < month; m++) dayOfYear += m === 2 && isLeap(year) ? 29 : MONTH_DAYS[m - 1]!;
      return dayOfYear;
    }
  }
}
