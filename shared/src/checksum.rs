//! The checksum of files.

use crc::{CRC_32_ISO_HDLC, Crc, Table};

/// CRC-32, that of gzip and ZIP. One table of 1 KB: the fast variants' tables do not compress, and weigh a twentieth of
/// the page.
pub(crate) static CRC32: Crc<u32, Table<1>> = Crc::<u32, Table<1>>::new(&CRC_32_ISO_HDLC);
