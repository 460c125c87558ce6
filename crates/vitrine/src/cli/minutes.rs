//! `vitrine minutes …`: what can be typed.

use clap::{Args, Subcommand, ValueEnum};

/// What becomes of minutes.
#[derive(Debug, Subcommand)]
pub enum Minutes {
    /// Grant an organization minutes
    Grant {
        /// How many
        #[arg(value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
        minutes: u32,
        /// What for
        #[arg(long, default_value = "")]
        note: String,
        #[command(flatten)]
        of: Of,
    },
    /// Show an organization's minutes
    Show {
        #[command(flatten)]
        of: Of,
    },
    /// List orders, newest first
    Orders {
        /// Only those
        #[arg(long, value_enum)]
        status: Option<OrderStatus>,
    },
    /// Confirm that an order is paid: its minutes are granted, once
    Confirm {
        /// The order's id, as listed
        id: String,
    },
}

/// Whose minutes.
#[derive(Debug, Clone, Args)]
pub struct Of {
    /// The organization [default: the first one of the server]
    #[arg(long = "org", value_name = "ID")]
    pub organization: Option<String>,
}

/// Where an order is.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum OrderStatus {
    Pending,
    Paid,
    Cancelled,
}

impl OrderStatus {
    /// The API's word.
    pub fn as_str(self) -> &'static str {
        match self {
            OrderStatus::Pending => "pending",
            OrderStatus::Paid => "paid",
            OrderStatus::Cancelled => "cancelled",
        }
    }
}
