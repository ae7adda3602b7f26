//! Why something of a bundle cannot be shown.

use shared::BundleError;
use thiserror::Error;

/// Why something cannot be shown.
#[derive(Debug, Clone, Error)]
pub enum DataError {
    /// No answer at all.
    #[error("could not fetch: {reason}; is it being served, and may this page read from that host? ({url})")]
    Unreachable {
        /// What the browser said.
        reason: String,
        /// What was fetched.
        url: String,
    },
    /// No bundle where one was expected.
    #[error(
        "no bundle here: the host answered {status}; put a bundle's folder beside this page as `bundle`, name \
         one with ?bundle=URL, or drop a .saevis file here ({url})"
    )]
    NoBundle {
        /// HTTP status.
        status: u16,
        /// Where a manifest was looked for.
        url: String,
    },
    /// A file of the bundle is not there.
    #[error("could not fetch: the host answered {status}; is the whole bundle on the host? ({url})")]
    Status {
        /// HTTP status.
        status: u16,
        /// What was fetched.
        url: String,
    },
    /// A file is there, but wrong.
    #[error(transparent)]
    Bundle(#[from] BundleError),
}
