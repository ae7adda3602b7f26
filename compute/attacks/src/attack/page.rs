//! Tries any text as a page that `sae_vis` or SAEDashboard wrote.

use compute::exchange::import_page;

use super::good;
use crate::folder::made_of;
use crate::verdict::Outcome;

pub fn attack(bytes: &[u8]) -> Outcome {
    made_of("page.html", bytes, import_page)
}

pub fn seeds() -> Vec<Vec<u8>> {
    vec![good::unpacked(&good::fixture("compute/tests/fixtures/sae_vis-0.2-prompt.html.gz"))]
}
