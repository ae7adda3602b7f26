//! Values as bytes: the encoding of every file of a bundle but its manifest.
//!
//! | type | bytes |
//! |---|---|
//! | `u8`, `i8` | one |
//! | `u32`, `u64` | 7 bits a byte, the lowest first; the high bit says that another byte follows |
//! | `i32` | as `u32`, of `2n` where n is at least 0, else `-2n - 1` (0, -1, 1, -2 become 0, 1, 2, 3) |
//! | `f32`, `f64` | IEEE 754, little-endian |
//! | text | its length in bytes as `u32`, then UTF-8 |
//! | list | its length as `u32`, then its items |
//! | optional | 0, or 1 and the value |
//! | struct | its fields in order |
//! | *sized* struct | its length in bytes as `u32`, then its fields in order |
//! | kind | its name as text, then its fields as a sized struct |
//!
//! All but the last two are [postcard](https://postcard.jamesmunns.com/wire-format)'s, which wrote the bundles of schema 2.
//! Sized structs are how the schema grows: a newer version may add fields at their end, and a reader skips what it does
//! not know. So it does with a kind whose name is new to it.
//!
//! Why not a crate: a count must be checked against the bytes that are left before anything is allocated, a reader must
//! skip what it does not know, and the page is to carry one decoder of a few kilobytes.

use std::cell::Cell;

use thiserror::Error;

/// Why bytes cannot be read as a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum WireError {
    /// The bytes end before the value does.
    #[error("it ends in the middle of a value")]
    Cut,
    /// A list says that it is longer than the bytes that are left.
    #[error("a list of {n} does not fit into the {left} bytes that are left")]
    TooLong {
        /// Length of the list.
        n: u64,
        /// Bytes left.
        left: usize,
    },
    /// A list has not as many entries as the one that it belongs to.
    #[error("a list of {n} belongs to {expected}")]
    Length {
        /// Length of the list.
        n: usize,
        /// Length that it should have.
        expected: usize,
    },
    /// A number is beyond its type.
    #[error("a number is out of range")]
    Range,
    /// The values would take more memory than those of a file of this length may.
    #[error("its values take more memory than a file of its length may need")]
    TooMuch,
    /// Text is not UTF-8.
    #[error("a text is not UTF-8")]
    Text,
}

/// Bytes that are left to read, and the memory that lists may still take.
///
/// An empty list is one byte in a file and a few dozen in memory: the count alone, checked against the bytes that are
/// left, does not keep a small file from taking much.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    left: &'a [u8],
    room: Option<&'a Cell<u64>>,
}

impl<'a> Reader<'a> {
    /// Reads `bytes` from their beginning.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { left: bytes, room: None }
    }

    /// The same, with lists that take at most `room` bytes of memory in all.
    pub fn within(bytes: &'a [u8], room: &'a Cell<u64>) -> Self {
        Self { left: bytes, room: Some(room) }
    }

    /// The next `n` bytes.
    fn take(&mut self, n: usize) -> Result<&'a [u8], WireError> {
        let (taken, rest) = self.left.split_at_checked(n).ok_or(WireError::Cut)?;
        self.left = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let (taken, rest) = self.left.split_first_chunk().ok_or(WireError::Cut)?;
        self.left = rest;
        Ok(*taken)
    }

    /// Takes room for `n` values of `size` bytes each.
    #[inline(never)]
    fn claim(&self, n: usize, size: usize) -> Result<(), WireError> {
        if let Some(room) = self.room {
            let bytes = (n as u64).saturating_mul(size as u64);
            room.set(room.get().checked_sub(bytes).ok_or(WireError::TooMuch)?);
        }
        Ok(())
    }

    fn varint(&mut self) -> Result<u64, WireError> {
        let mut n = 0u64;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            n |= bits << shift;
            if byte < 0x80 {
                return Ok(n);
            }
        }
        Err(WireError::Range)
    }

    /// Length of a list whose items take at least `min_bytes` each.
    fn length(&mut self, min_bytes: usize) -> Result<usize, WireError> {
        let (n, left) = (self.varint()?, self.left.len());
        if n > (left / min_bytes.max(1)) as u64 {
            return Err(WireError::TooLong { n, left });
        }
        Ok(n as usize)
    }

    /// The body of a sized struct.
    pub fn sized(&mut self) -> Result<Self, WireError> {
        let n = self.length(1)?;
        Ok(Self { left: self.take(n)?, ..*self })
    }

    /// A list that must have `expected` items, whatever it says: checked before anything is allocated.
    pub fn column<T: Wire>(&mut self, expected: usize) -> Result<Vec<T>, WireError> {
        let n = self.length(T::MIN_BYTES)?;
        if n != expected {
            return Err(WireError::Length { n, expected });
        }
        self.items(n, T::read)
    }

    /// A list whose items take at least `min_bytes` each and are read by `read`.
    pub fn list<T>(
        &mut self,
        min_bytes: usize,
        read: impl FnMut(&mut Self) -> Result<T, WireError>,
    ) -> Result<Vec<T>, WireError> {
        let n = self.length(min_bytes)?;
        self.items(n, read)
    }

    fn items<T>(
        &mut self,
        n: usize,
        mut read: impl FnMut(&mut Self) -> Result<T, WireError>,
    ) -> Result<Vec<T>, WireError> {
        self.claim(n, size_of::<T>())?;
        let mut items = Vec::with_capacity(n);
        for _ in 0..n {
            items.push(read(self)?);
        }
        Ok(items)
    }
}

/// A type that can be written as bytes and read back.
pub trait Wire: Sized {
    /// The fewest bytes that a value takes.
    const MIN_BYTES: usize;

    /// Appends the value to `out`.
    fn write(&self, out: &mut Vec<u8>);

    /// Reads a value.
    fn read(from: &mut Reader<'_>) -> Result<Self, WireError>;
}

/// The fewest bytes that a field takes, by what gives it.
pub(crate) const fn min_bytes<S, T: Wire>(_field: fn(&S) -> &T) -> usize {
    T::MIN_BYTES
}

/// Appends the body of a sized struct, which `fields` writes, after its length.
pub(crate) fn write_sized(out: &mut Vec<u8>, fields: impl FnOnce(&mut Vec<u8>)) {
    let mut body = Vec::new();
    fields(&mut body);
    write_varint(out, body.len() as u64);
    out.append(&mut body);
}

fn write_varint(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

/// Has a struct written and read field by field; `sized`, with its length before it.
macro_rules! wire {
    (sized $name:ident { $($field:ident),+ $(,)? }) => {
        impl $crate::wire::Wire for $name {
            const MIN_BYTES: usize = 1 $(+ $crate::wire::min_bytes(|value: &$name| &value.$field))+;

            fn write(&self, out: &mut Vec<u8>) {
                $crate::wire::write_sized(out, |out| { $($crate::wire::Wire::write(&self.$field, out);)+ });
            }

            fn read(from: &mut $crate::wire::Reader<'_>) -> Result<Self, $crate::wire::WireError> {
                let mut body = from.sized()?;
                Ok(Self { $($field: $crate::wire::Wire::read(&mut body)?),+ })
            }
        }
    };
    ($name:ident { $($field:ident),+ $(,)? }) => {
        impl $crate::wire::Wire for $name {
            const MIN_BYTES: usize = 0 $(+ $crate::wire::min_bytes(|value: &$name| &value.$field))+;

            fn write(&self, out: &mut Vec<u8>) {
                $($crate::wire::Wire::write(&self.$field, out);)+
            }

            fn read(from: &mut $crate::wire::Reader<'_>) -> Result<Self, $crate::wire::WireError> {
                Ok(Self { $($field: $crate::wire::Wire::read(from)?),+ })
            }
        }
    };
}
pub(crate) use wire;

impl Wire for u8 {
    const MIN_BYTES: usize = 1;

    fn write(&self, out: &mut Vec<u8>) {
        out.push(*self);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(from.array::<1>()?[0])
    }
}

impl Wire for i8 {
    const MIN_BYTES: usize = 1;

    fn write(&self, out: &mut Vec<u8>) {
        out.push(*self as u8);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self::from_le_bytes(from.array()?))
    }
}

impl Wire for u64 {
    const MIN_BYTES: usize = 1;

    fn write(&self, out: &mut Vec<u8>) {
        write_varint(out, *self);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, WireError> {
        from.varint()
    }
}

impl Wire for u32 {
    const MIN_BYTES: usize = 1;

    fn write(&self, out: &mut Vec<u8>) {
        write_varint(out, u64::from(*self));
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, WireError> {
        Self::try_from(from.varint()?).ok().ok_or(WireError::Range)
    }
}

impl Wire for i32 {
    const MIN_BYTES: usize = 1;

    fn write(&self, out: &mut Vec<u8>) {
        ((self << 1) ^ (self >> 31)).cast_unsigned().write(out);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, WireError> {
        let n = u32::read(from)?;
        Ok((n >> 1).cast_signed() ^ -(n & 1).cast_signed())
    }
}

impl Wire for f32 {
    const MIN_BYTES: usize = 4;

    fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.to_le_bytes());
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self::from_le_bytes(from.array()?))
    }
}

impl Wire for f64 {
    const MIN_BYTES: usize = 8;

    fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.to_le_bytes());
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self::from_le_bytes(from.array()?))
    }
}

impl Wire for String {
    const MIN_BYTES: usize = 1;

    fn write(&self, out: &mut Vec<u8>) {
        write_varint(out, self.len() as u64);
        out.extend(self.as_bytes());
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, WireError> {
        let n = from.length(1)?;
        let text = std::str::from_utf8(from.take(n)?).ok().ok_or(WireError::Text)?;
        Ok(text.to_owned())
    }
}

impl<T: Wire> Wire for Option<T> {
    const MIN_BYTES: usize = 1;

    fn write(&self, out: &mut Vec<u8>) {
        out.push(u8::from(self.is_some()));
        if let Some(value) = self {
            value.write(out);
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, WireError> {
        match u8::read(from)? {
            0 => Ok(None),
            1 => Ok(Some(T::read(from)?)),
            _ => Err(WireError::Range),
        }
    }
}

impl<T: Wire> Wire for Vec<T> {
    const MIN_BYTES: usize = 1;

    fn write(&self, out: &mut Vec<u8>) {
        write_varint(out, self.len() as u64);
        for item in self {
            item.write(out);
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, WireError> {
        from.list(T::MIN_BYTES, T::read)
    }
}

impl<A: Wire, B: Wire> Wire for (A, B) {
    const MIN_BYTES: usize = A::MIN_BYTES + B::MIN_BYTES;

    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
        self.1.write(out);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok((A::read(from)?, B::read(from)?))
    }
}
