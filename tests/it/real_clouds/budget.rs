//! What a run may cost, and so how long it may last.

use std::{collections::BTreeMap, fmt, time::Duration};

use super::needed;

/// In US dollars, by the vendors' list prices of 2026, rounded up.
#[derive(Clone, Copy)]
pub(super) struct Price {
    /// Requests, storage and secrets of one whole run.
    pub(super) once: f64,
    pub(super) hourly: f64,
}

/// What a run may last.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Budget {
    pub(super) lasts: Duration,
    limit: f64,
}

pub(super) const LIMIT: &str = "VERDIGRIS_REAL_COST_LIMIT";

/// No run needs longer: the slowest case makes four releases and swaps each.
const LONGEST: Duration = Duration::from_secs(3 * 3_600);

/// Within less nothing is learnt.
const SHORTEST: Duration = Duration::from_secs(15 * 60);

impl Budget {
    /// As the environment allows it.
    ///
    /// # Errors
    ///
    /// Names the variable, and the least that it must say.
    pub(super) fn read(variables: &BTreeMap<String, String>, price: Price) -> Result<Self, String> {
        let said = needed(
            variables,
            LIMIT,
            "what the run may cost, in US dollars: 1.50",
        )?;
        let limit: f64 = said
            .parse()
            .ok()
            .filter(|limit: &f64| limit.is_finite() && *limit >= 0.0)
            .ok_or_else(|| format!("{LIMIT} is `{said}`: it must be US dollars, such as 1.50"))?;
        let hours = (limit - price.once) / price.hourly;
        let least = price.once + price.hourly * SHORTEST.as_secs_f64() / 3_600.0;
        if limit < least {
            return Err(format!(
                "{LIMIT} is {limit}: a run costs {least:.2} at least"
            ));
        }
        let lasts = Duration::try_from_secs_f64(hours * 3_600.0).unwrap_or(LONGEST);
        Ok(Self {
            lasts: lasts.min(LONGEST),
            limit,
        })
    }

    /// For a server that costs nothing.
    pub(super) fn of(lasts: Duration) -> Self {
        Self { lasts, limit: 0.0 }
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lasts, limit } = self;
        write!(
            f,
            "after {lasts:?}, which {LIMIT} ({limit}) or the longest run allows"
        )
    }
}

#[test]
fn what_a_run_may_cost_says_how_long_it_lasts() {
    let price = Price {
        once: 0.5,
        hourly: 1.0,
    };
    let read = |said: &str| {
        let variables = BTreeMap::from([(LIMIT.to_owned(), said.to_owned())]);
        Budget::read(&variables, price).map(|budget| budget.lasts.as_secs())
    };
    assert_eq!(read("1.5"), Ok(3_600));
    assert_eq!(read("100"), Ok(3 * 3_600));
    assert_eq!(
        read("0.6"),
        Err("VERDIGRIS_REAL_COST_LIMIT is 0.6: a run costs 0.75 at least".to_owned())
    );
    for wrong in ["much", "-1", "NaN", "inf"] {
        assert!(read(wrong).unwrap_err().contains("must be US dollars"));
    }
    let unsaid = Budget::read(&BTreeMap::new(), price);
    assert!(unsaid.unwrap_err().contains("is not set"));
}
