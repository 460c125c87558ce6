//! Plans: what an organization pays for, as figures and features. Every figure can be changed in the configuration.

use crate::Kind;
use serde::{Deserialize, Serialize};

const MINUTE_MS: u64 = 60_000;

/// The plans, cheapest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Plan {
    Free,
    Builder,
    Pro,
    Scale,
}

impl Plan {
    /// All plans, cheapest first.
    pub const ALL: [Plan; 4] = [Plan::Free, Plan::Builder, Plan::Pro, Plan::Scale];

    /// The word in the API, the table and the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Plan::Free => "free",
            Plan::Builder => "builder",
            Plan::Pro => "pro",
            Plan::Scale => "scale",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Plan> {
        Plan::ALL.into_iter().find(|plan| plan.as_str() == word)
    }
}

/// What a plan may or may not contain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Feature {
    Stealth,
    Heavy,
    Recording,
    DedicatedIsolation,
    DedicatedEgress,
    PairedBrowser,
    ResidentialEgress,
    ByoProxy,
    Captcha,
    LocalChromium,
}

impl Feature {
    /// How it is called in an error.
    pub fn as_str(self) -> &'static str {
        match self {
            Feature::Stealth => "stealth",
            Feature::Heavy => "weight heavy",
            Feature::Recording => "recording",
            Feature::DedicatedIsolation => "isolation dedicated",
            Feature::DedicatedEgress => "egressProfile dedicated-dc",
            Feature::PairedBrowser => "a paired browser",
            Feature::ResidentialEgress => "residential egress",
            Feature::ByoProxy => "your own proxy",
            Feature::Captcha => "captcha",
            Feature::LocalChromium => "local-chromium",
        }
    }
}

/// What a plan allows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanLimits {
    pub concurrent_browsers: u32,
    pub browser_duration_max_ms: u64,
    pub browser_hours_per_month: u32,
    pub concurrent_sandboxes: u32,
    pub sandbox_duration_max_ms: u64,
    pub sandbox_hours_per_month: u32,
    pub features: Vec<Feature>,
}

impl PlanLimits {
    /// Sessions of a kind that may be open at once.
    pub fn concurrent(&self, kind: Kind) -> u32 {
        match kind {
            Kind::Browser => self.concurrent_browsers,
            Kind::Sandbox => self.concurrent_sandboxes,
        }
    }

    /// The longest session of a kind.
    pub fn duration_max_ms(&self, kind: Kind) -> u64 {
        match kind {
            Kind::Browser => self.browser_duration_max_ms,
            Kind::Sandbox => self.sandbox_duration_max_ms,
        }
    }

    /// Hours of a kind in a month.
    pub fn hours_per_month(&self, kind: Kind) -> u32 {
        match kind {
            Kind::Browser => self.browser_hours_per_month,
            Kind::Sandbox => self.sandbox_hours_per_month,
        }
    }
}

/// The figures of all plans.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plans {
    pub free: PlanLimits,
    pub builder: PlanLimits,
    pub pro: PlanLimits,
    pub scale: PlanLimits,
}

impl Plans {
    /// One plan's figures.
    pub fn get(&self, plan: Plan) -> &PlanLimits {
        match plan {
            Plan::Free => &self.free,
            Plan::Builder => &self.builder,
            Plan::Pro => &self.pro,
            Plan::Scale => &self.scale,
        }
    }

    /// The cheapest plan with a feature; `None` when the operator gave it to no plan.
    pub fn cheapest_with(&self, feature: Feature) -> Option<Plan> {
        Plan::ALL.into_iter().find(|plan| self.get(*plan).features.contains(&feature))
    }
}

impl Default for Plans {
    fn default() -> Self {
        use Feature::*;
        let base = [ByoProxy, Captcha, LocalChromium];
        let pro = [Stealth, Heavy, Recording, DedicatedIsolation, DedicatedEgress, PairedBrowser];
        let limits = |browsers: (u32, u64, u32), sandboxes: (u32, u64, u32), features: &[&[Feature]]| PlanLimits {
            concurrent_browsers: browsers.0,
            browser_duration_max_ms: browsers.1 * MINUTE_MS,
            browser_hours_per_month: browsers.2,
            concurrent_sandboxes: sandboxes.0,
            sandbox_duration_max_ms: sandboxes.1 * MINUTE_MS,
            sandbox_hours_per_month: sandboxes.2,
            features: features.concat(),
        };
        Self {
            free: limits((1, 5, 5), (1, 5, 5), &[&base]),
            builder: limits((5, 15, 100), (3, 30, 50), &[&base, &[Stealth]]),
            pro: limits((25, 30, 1_000), (10, 60, 500), &[&base, &pro]),
            scale: limits((100, 60, 5_000), (50, 120, 5_000), &[&base, &pro, &[ResidentialEgress]]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_come_with_the_documented_plan() {
        let plans = Plans::default();
        assert_eq!(plans.cheapest_with(Feature::Captcha), Some(Plan::Free));
        assert_eq!(plans.cheapest_with(Feature::Stealth), Some(Plan::Builder));
        assert_eq!(plans.cheapest_with(Feature::Recording), Some(Plan::Pro));
        assert_eq!(plans.cheapest_with(Feature::ResidentialEgress), Some(Plan::Scale));
        assert_eq!(plans.get(Plan::Pro).browser_duration_max_ms, 1_800_000);
    }
}
