//! One consistent browser: user agent, client hints, languages, time zone and screen that agree.
