//! Values as bytes: as postcard writes them, within the bytes that there are.

use proptest::prelude::*;
use shared::wire::{Reader, Wire, WireError};

fn bytes<T: Wire>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    value.write(&mut bytes);
    bytes
}

fn read<T: Wire>(bytes: &[u8]) -> Result<T, WireError> {
    T::read(&mut Reader::new(bytes))
}

/// A value that both ways of writing know.
type Value = (u32, (u64, (i32, (f32, (f64, (Option<String>, Vec<Vec<u32>>))))));

fn value() -> impl Strategy<Value = Value> {
    let lists = prop::collection::vec(prop::collection::vec(any::<u32>(), 0..5), 0..5);
    let text = prop::option::of("\\PC{0,9}");
    let numbers = (any::<i32>(), any::<f32>(), any::<f64>());
    (any::<u32>(), any::<u64>(), numbers, text, lists)
        .prop_map(|(a, b, (c, d, e), text, lists)| (a, (b, (c, (d, (e, (text, lists)))))))
}

proptest! {
    #[test]
    fn postcard_writes_the_same_bytes(value in value()) {
        let ours = bytes(&value);
        prop_assert_eq!(&ours, &postcard::to_stdvec(&value).unwrap());
        let back: Value = read(&ours).unwrap();
        prop_assert_eq!(bytes(&back), ours, "floats of any bits come back");
    }

    #[test]
    fn every_prefix_of_a_value_is_an_error(value in value()) {
        let whole = bytes(&value);
        for n in 0..whole.len() {
            prop_assert!(read::<Value>(&whole[..n]).is_err(), "{n} of {}", whole.len());
        }
    }

    #[test]
    fn random_bytes_never_panic_and_take_no_more_memory_than_they_have(data in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(list) = read::<Vec<f64>>(&data) {
            prop_assert!(8 * list.capacity() <= data.len());
        }
        drop(read::<Value>(&data));
    }
}

#[test]
fn numbers_have_the_bytes_that_are_documented() {
    assert_eq!(bytes(&300u32), [0xac, 0x02]);
    assert_eq!(bytes(&vec![0i32, -1, 1, -2, i32::MIN]), [5, 0, 1, 2, 3, 0xff, 0xff, 0xff, 0xff, 0x0f]);
    assert_eq!(bytes(&1.5f32), [0, 0, 0xc0, 0x3f]);
    assert_eq!(bytes(&"é".to_owned()), [2, 0xc3, 0xa9]);
    assert_eq!(bytes(&(Some(7u8), None::<u8>)), [1, 7, 0]);
    assert_eq!(bytes(&-2i8), [0xfe]);
}

#[test]
fn what_is_out_of_range_is_named() {
    assert_eq!(read::<u32>(&[0xff, 0xff, 0xff, 0xff, 0x10]), Err(WireError::Range));
    assert_eq!(read::<u64>(&[0xff; 11]), Err(WireError::Range));
    assert_eq!(read::<Option<u8>>(&[2, 0]), Err(WireError::Range));
    assert_eq!(read::<String>(&[1, 0xff]), Err(WireError::Text));
    assert_eq!(read::<Vec<f64>>(&[2, 0, 0, 0, 0, 0, 0, 0, 0]), Err(WireError::TooLong { n: 2, left: 8 }));
    let huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1];
    assert_eq!(read::<String>(&huge), Err(WireError::TooLong { n: u64::MAX, left: 0 }));
}
