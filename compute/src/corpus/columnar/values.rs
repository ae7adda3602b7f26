//! Values of Arrow arrays as records.

use arrow_array::{
    Array, ArrayRef, ListArray, StructArray,
    cast::AsArray as _,
    types::{Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type},
};
use arrow_schema::DataType;
use serde_json::{Map, Value};

use crate::corpus::record::{Record, Shape, from_json};

/// What a column of a type holds.
pub fn shape(kind: &DataType) -> Shape {
    match kind {
        kind if is_text(kind) => Shape::Text,
        DataType::Dictionary(_, values) if is_text(values) => Shape::Text,
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            match item.data_type() {
                kind if kind.is_integer() => Shape::TokenIds,
                DataType::Struct(_) => Shape::Messages,
                _ => Shape::Other,
            }
        }
        // How `datasets` stores a list of objects in older files: an object of lists.
        DataType::Struct(fields) if fields.iter().any(|f| ["role", "from"].contains(&f.name().as_str())) => {
            Shape::Messages
        }
        _ => Shape::Other,
    }
}

fn is_text(kind: &DataType) -> bool {
    matches!(
        kind,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Binary | DataType::LargeBinary
    )
}

/// The records of an array, or why a row has none.
pub fn records(column: &ArrayRef) -> Result<Vec<Result<Record, String>>, String> {
    if let Some(dictionary) = column.as_any_dictionary_opt() {
        let values = records(dictionary.values())?;
        let keys = dictionary.normalized_keys();
        let of_key = |i: usize| {
            if column.is_null(i) || dictionary.keys().is_null(i) {
                return Err("is null".to_owned());
            }
            values.get(keys[i]).cloned().unwrap_or_else(|| Err("is not in the dictionary".to_owned()))
        };
        return Ok((0..column.len()).map(of_key).collect());
    }
    Ok((0..column.len()).map(|i| record(column, i)).collect())
}

fn record(column: &ArrayRef, i: usize) -> Result<Record, String> {
    if column.is_null(i) {
        return Err("is null".to_owned());
    }
    if let Some(text) = text(column, i) {
        return Ok(Record::Text(text));
    }
    match list(column, i) {
        Some(list) if list.data_type().is_integer() => ids(&list).map(Record::TokenIds),
        Some(list) => match list.as_struct_opt() {
            Some(messages) => from_json(Value::Array(objects(messages))),
            None => Err("holds a list of something else".to_owned()),
        },
        None => match column.as_struct_opt() {
            Some(lists) => from_json(Value::Array(transposed(lists, i)?)),
            None => Err("holds something else".to_owned()),
        },
    }
}

fn text(column: &ArrayRef, i: usize) -> Option<String> {
    Some(match column.data_type() {
        DataType::Utf8 => column.as_string::<i32>().value(i).to_owned(),
        DataType::LargeUtf8 => column.as_string::<i64>().value(i).to_owned(),
        DataType::Utf8View => column.as_string_view().value(i).to_owned(),
        DataType::Binary => String::from_utf8_lossy(column.as_binary::<i32>().value(i)).into_owned(),
        DataType::LargeBinary => String::from_utf8_lossy(column.as_binary::<i64>().value(i)).into_owned(),
        _ => return None,
    })
}

fn list(column: &ArrayRef, i: usize) -> Option<ArrayRef> {
    Some(match column.data_type() {
        DataType::List(_) => column.as_list::<i32>().value(i),
        DataType::LargeList(_) => column.as_list::<i64>().value(i),
        DataType::FixedSizeList(..) => column.as_fixed_size_list().value(i),
        _ => return None,
    })
}

/// Integers of any width as token ids.
fn ids(list: &ArrayRef) -> Result<Vec<u32>, String> {
    macro_rules! widths {
        ($($kind:ident: $array:ty),*) => {
            match list.data_type() {
                $(DataType::$kind => {
                    let numbers = list.as_primitive::<$array>();
                    (0..numbers.len()).map(|i| (!numbers.is_null(i)).then(|| i128::from(numbers.value(i)))).collect()
                })*
                other => return Err(format!("holds lists of {other}")),
            }
        };
    }
    let numbers: Vec<Option<i128>> = widths!(
        Int8: Int8Type, Int16: Int16Type, Int32: Int32Type, Int64: Int64Type,
        UInt8: UInt8Type, UInt16: UInt16Type, UInt32: UInt32Type, UInt64: UInt64Type
    );
    let id = |number: Option<i128>| {
        let number = number.ok_or("holds null in a list of token ids")?;
        u32::try_from(number).map_err(|_out_of_range| format!("holds {number} in a list, expected token ids"))
    };
    numbers.into_iter().map(id).collect()
}

/// Rows of a struct array as objects; what is neither text, truth value, list nor struct is left out.
fn objects(array: &StructArray) -> Vec<Value> {
    (0..array.len()).map(|i| if array.is_null(i) { Value::Null } else { object(array, i) }).collect()
}

fn object(array: &StructArray, i: usize) -> Value {
    let fields = array.fields().iter().zip(array.columns());
    let fields = fields.filter_map(|(field, column)| Some((field.name().clone(), json(column, i)?)));
    Value::Object(fields.collect::<Map<_, _>>())
}

fn json(column: &ArrayRef, i: usize) -> Option<Value> {
    if column.is_null(i) {
        return None;
    }
    if let Some(text) = text(column, i) {
        return Some(Value::String(text));
    }
    if let Some(list) = list(column, i) {
        return Some(match list.as_struct_opt() {
            Some(parts) => Value::Array(objects(parts)),
            None => Value::Array((0..list.len()).filter_map(|i| json(&list, i)).collect()),
        });
    }
    match column.data_type() {
        DataType::Boolean => Some(Value::Bool(column.as_boolean().value(i))),
        DataType::Struct(_) => column.as_struct_opt().map(|part| object(part, i)),
        _ => None,
    }
}

/// An object of lists as a list of objects.
fn transposed(lists: &StructArray, i: usize) -> Result<Vec<Value>, String> {
    let mut objects: Vec<Map<String, Value>> = Vec::new();
    for (field, column) in lists.fields().iter().zip(lists.columns()) {
        let column: Option<&ListArray> = column.as_list_opt::<i32>();
        let Some(values) = column.filter(|c| !c.is_null(i)).map(|column| column.value(i)) else { continue };
        objects.resize_with(objects.len().max(values.len()), Map::new);
        for (k, object) in objects.iter_mut().enumerate().take(values.len()) {
            if let Some(value) = json(&values, k) {
                object.insert(field.name().clone(), value);
            }
        }
    }
    if objects.is_empty() {
        return Err("holds no messages".to_owned());
    }
    Ok(objects.into_iter().map(Value::Object).collect())
}
