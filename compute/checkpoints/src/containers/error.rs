//! The ways in which a file of weights can be wrong.

use std::path::PathBuf;

use shared::error::shown;

/// Why weights could not be read.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// The operating system refused.
    #[error("cannot read the file: {cause} ({})", shown(path.display()))]
    Read {
        /// What the system said.
        cause: std::io::Error,
        /// The file.
        path: PathBuf,
    },
    /// The file ends before its data does.
    #[error("{} is truncated: expected {expected} bytes, got {got}; download it again ({})", shown(what), shown(path.display()))]
    Truncated {
        /// Which part.
        what: String,
        /// How many bytes the header promises.
        expected: u64,
        /// How many there are.
        got: u64,
        /// The file.
        path: PathBuf,
    },
    /// A header, an index or an archive makes no sense.
    #[error("not a readable {container} file: {} ({})", shown(reason), shown(path.display()))]
    Malformed {
        /// What the file was taken for.
        container: &'static str,
        /// What is wrong with it.
        reason: String,
        /// The file.
        path: PathBuf,
    },
    /// An archive member unpacks to more than it may.
    #[error("\"{}\" unpacks from {packed} to {unpacked} bytes, which no weights do: refused ({})", shown(member), shown(path.display()))]
    Bomb {
        /// The archive's member.
        member: String,
        /// Its compressed size.
        packed: u64,
        /// Its declared size.
        unpacked: u64,
        /// The file.
        path: PathBuf,
    },
    /// `torch.save` before torch 1.6.
    #[error("a pickle from before torch 1.6, which cannot be read safely: load it in Python and torch.save it again ({})", shown(path.display()))]
    LegacyTorch {
        /// The file.
        path: PathBuf,
    },
    /// What Git leaves in place of a large file that it did not fetch.
    #[error("a Git LFS pointer lies here in place of the file of {size} bytes: fetch it with `git lfs pull` ({})", shown(path.display()))]
    LfsPointer {
        /// Length of the file that it stands for, as the pointer writes it.
        size: String,
        /// The pointer.
        path: PathBuf,
    },
    /// A tensor is not there.
    #[error("no tensor \"{}\": the file has {} ({})", shown(name), shown(has), shown(path.display()))]
    Missing {
        /// The tensor.
        name: String,
        /// What there is instead.
        has: String,
        /// The file.
        path: PathBuf,
    },
    /// A tensor has the wrong shape.
    #[error("\"{}\" has shape {}, expected {axes} = {expected:?}{} ({})", shown(name), shown(format_args!("{got:?}")), if *transposed { "; is it transposed?" } else { "" }, shown(path.display()))]
    Shape {
        /// The tensor.
        name: String,
        /// Its shape.
        got: Vec<i64>,
        /// The axes' names.
        axes: &'static str,
        /// The shape it should have.
        expected: Vec<i64>,
        /// Whether it is the expected shape the other way round.
        transposed: bool,
        /// The file.
        path: PathBuf,
    },
    /// A tensor with more or fewer axes than its kind has.
    #[error("\"{}\" has shape {}, expected {expected} axes ({})", shown(name), shown(format_args!("{got:?}")), shown(path.display()))]
    Axes {
        /// The tensor.
        name: String,
        /// Its shape.
        got: Vec<i64>,
        /// How many axes it should have.
        expected: usize,
        /// The file.
        path: PathBuf,
    },
    /// A feature index beyond the dictionary.
    #[error("\"{}\" has no row or column {index}: it has {n} ({})", shown(name), shown(path.display()))]
    Index {
        /// The tensor.
        name: String,
        /// What was asked for.
        index: i64,
        /// How many there are.
        n: i64,
        /// The file.
        path: PathBuf,
    },
    /// NaN or infinity.
    #[error("\"{}\" holds NaN or infinite values: the file is damaged or its training diverged ({})", shown(name), shown(path.display()))]
    NotFinite {
        /// The tensor.
        name: String,
        /// The file.
        path: PathBuf,
    },
    /// An element type that is not read.
    #[error("\"{}\" has elements of type {}, expected a float or integer of 8 to 64 bits ({})", shown(name), shown(got), shown(path.display()))]
    Dtype {
        /// The tensor.
        name: String,
        /// The type as the file names it.
        got: String,
        /// The file.
        path: PathBuf,
    },
}
