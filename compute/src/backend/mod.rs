//! Where and how tensors are computed: devices, number types, memory, threads. Knows nothing of models.

mod device;
pub mod memory;
pub mod oom;
mod precision;
mod to_host;
mod workers;

pub use device::{batch_tokens, free_bytes, parse_device};
pub use memory::MemoryBudget;
pub use precision::{Dtype, Precision, SaeDtype, Tf32};
pub use to_host::{Floats, to_host};
pub use workers::{ReadOnly, in_order, n_workers};
