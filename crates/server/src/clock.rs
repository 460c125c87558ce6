//! The time of day, handed in: the machine's in the binary, a hand-set one in tests.

use vitrine_model::EpochMs;

/// Where the time of day comes from.
pub trait Clock: Send + Sync + 'static {
    /// Now, in milliseconds since the Unix epoch.
    fn now(&self) -> EpochMs;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock that everything else asks")]
    fn now(&self) -> EpochMs {
        let passed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        i64::try_from(passed.as_millis()).unwrap_or(i64::MAX)
    }
}

impl<F: Fn() -> EpochMs + Send + Sync + 'static> Clock for F {
    fn now(&self) -> EpochMs {
        self()
    }
}

/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;

/// The first moment of the month (UTC) that `now` lies in.
pub fn month_start(now: EpochMs) -> EpochMs {
    now.div_euclid(DAY_MS) * DAY_MS - (day_of_month(now.div_euclid(DAY_MS)) - 1) * DAY_MS
}

/// The day of the month, 1..=31, of a day counted from the epoch: the civil calendar's arithmetic with years that begin
/// in March, so that the leap day is a year's last.
fn day_of_month(epoch_day: i64) -> i64 {
    // Days from 1 March of the year 0 to the epoch; an era is 400 years.
    const EPOCH_FROM_ERA: i64 = 719_468;
    const ERA_DAYS: i64 = 146_097;
    let era_day = (epoch_day + EPOCH_FROM_ERA).rem_euclid(ERA_DAYS);
    let era_year = (era_day - era_day / 1_460 + era_day / 36_524 - era_day / 146_096) / 365;
    let year_day = era_day - (365 * era_year + era_year / 4 - era_year / 100);
    let month = (5 * year_day + 2) / 153;
    year_day - (153 * month + 2) / 5 + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_starts_on_its_first_day_in_utc() {
        assert_eq!(month_start(1_772_078_705_353), 1_769_904_000_000, "26 February 2026");
        assert_eq!(month_start(1_709_251_200_000), 1_709_251_200_000, "1 March 2024, after a leap day");
        assert_eq!(month_start(1_709_251_199_999), 1_706_745_600_000, "29 February 2024");
        assert_eq!(month_start(0), 0);
        assert_eq!(month_start(4_133_980_799_999), 4_131_302_400_000, "31 December 2100");
    }
}
