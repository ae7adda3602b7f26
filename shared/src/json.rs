//! JSON files of a bundle, rewritten as postcard while they are parsed.
//!
//! The schema's types are compiled for one format only: the code of a second one for every type would weigh a tenth of
//! the page. One visitor walks the JSON along a type's schema and writes what `postcard` reads.

use std::fmt::{self, Display as _};

use postcard_schema::schema::{DataModelType as Type, DataModelVariant as Variant, NamedValue};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The postcard form of the JSON `text` of a value of type `ty`.
pub(crate) fn to_postcard(text: &[u8], ty: &'static Type) -> Result<Vec<u8>, serde_json::Error> {
    let mut out = Vec::with_capacity(text.len() / 2);
    let mut json = serde_json::Deserializer::from_slice(text);
    Value { ty, out: &mut out }.deserialize(&mut json)?;
    json.end()?;
    Ok(out)
}

/// The value that is to be written next.
struct Value<'a> {
    ty: &'static Type,
    out: &'a mut Vec<u8>,
}

impl Value<'_> {
    /// Writes that optional values are there; what is left is their type.
    fn enter(&mut self) {
        while let Type::Option(inner) = self.ty {
            self.out.push(1);
            self.ty = inner.ty;
        }
    }

    fn varint(&mut self, mut n: u64) {
        while n >= 0x80 {
            self.out.push(n as u8 | 0x80);
            n >>= 7;
        }
        self.out.push(n as u8);
    }

    fn integer<E: Error>(mut self, n: i128) -> Result<(), E> {
        self.enter();
        let range = match self.ty {
            Type::U8 => 0..=u8::MAX.into(),
            Type::U32 => 0..=u32::MAX.into(),
            Type::U64 => 0..=u64::MAX.into(),
            Type::I8 => i8::MIN.into()..=i8::MAX.into(),
            Type::I32 => i32::MIN.into()..=i32::MAX.into(),
            Type::F32 | Type::F64 => return self.float(n as f64),
            _ => return Err(self.unexpected("a number")),
        };
        if !range.contains(&n) {
            return Err(E::custom(format_args!("{n} is out of range, expected {}", Described(self.ty))));
        }
        match self.ty {
            Type::U8 | Type::I8 => self.out.push(n as u8),
            // Zigzag: small numbers of either sign are short.
            Type::I32 => self.varint(((n << 1) ^ (n >> 127)) as u64),
            _ => self.varint(n as u64),
        }
        Ok(())
    }

    fn float<E: Error>(mut self, x: f64) -> Result<(), E> {
        self.enter();
        match self.ty {
            Type::F32 => self.out.extend((x as f32).to_le_bytes()),
            Type::F64 => self.out.extend(x.to_le_bytes()),
            _ => return Err(self.unexpected("a fraction")),
        }
        Ok(())
    }

    fn unexpected<E: Error>(&self, got: &str) -> E {
        E::custom(format_args!("got {got}, expected {}", Described(self.ty)))
    }

    /// Writes a map's entries in the order of `fields`, whatever their order in the text.
    fn fields<'de, A: MapAccess<'de>>(
        &mut self,
        fields: &[&'static NamedValue],
        mut map: A,
    ) -> Result<(), A::Error> {
        let mut written: Vec<Option<Vec<u8>>> = vec![None; fields.len()];
        while let Some(key) = map.next_key::<String>()? {
            let Some(i) = fields.iter().position(|f| f.name == key) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let mut out = Vec::new();
            map.next_value_seed(Value { ty: fields[i].ty.ty, out: &mut out })?;
            written[i] = Some(out);
        }
        for (field, written) in fields.iter().zip(written) {
            let missing = || A::Error::custom(format_args!("no field `{}`", field.name));
            self.out.extend(written.ok_or_else(missing)?);
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Described(self.ty).fmt(f)
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        if !matches!(self.ty, Type::Option(_)) {
            return Err(self.unexpected("null"));
        }
        self.out.push(0);
        Ok(())
    }

    fn visit_u64<E: Error>(self, n: u64) -> Result<(), E> {
        self.integer(n.into())
    }

    fn visit_i64<E: Error>(self, n: i64) -> Result<(), E> {
        self.integer(n.into())
    }

    fn visit_f64<E: Error>(self, x: f64) -> Result<(), E> {
        self.float(x)
    }

    fn visit_str<E: Error>(mut self, text: &str) -> Result<(), E> {
        self.enter();
        match self.ty {
            Type::String => {
                self.varint(text.len() as u64);
                self.out.extend(text.as_bytes());
            }
            Type::Enum(variants) => {
                let named = |v: &&_| matches!(v, Variant::UnitVariant);
                let found = variants.iter().position(|v| v.name == text && named(&v.ty));
                let unknown = || E::custom(format_args!("no variant `{text}`"));
                self.varint(found.ok_or_else(unknown)? as u64);
            }
            _ => return Err(self.unexpected("a string")),
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        self.enter();
        let Type::Seq(item) = self.ty else { return Err(self.unexpected("a list")) };
        let (mut items, mut n) = (Vec::new(), 0);
        while seq.next_element_seed(Value { ty: item.ty, out: &mut items })?.is_some() {
            n += 1;
        }
        self.varint(n);
        self.out.extend(items);
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        self.enter();
        match self.ty {
            Type::Struct(fields) => self.fields(fields, map),
            Type::Enum(variants) => {
                let name: String = map.next_key()?.unwrap_or_default();
                let found = variants.iter().position(|v| v.name == name);
                let (Some(i), Some(Variant::StructVariant(fields))) = (found, found.map(|i| variants[i].ty))
                else {
                    return Err(A::Error::custom(format_args!("no variant `{name}` with fields")));
                };
                self.varint(i as u64);
                map.next_value_seed(Fields { fields, value: self })
            }
            _ => Err(self.unexpected("an object")),
        }
    }
}

/// The fields of an enum's variant.
struct Fields<'a> {
    fields: &'static [&'static NamedValue],
    value: Value<'a>,
}

impl<'de> DeserializeSeed<'de> for Fields<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Fields<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, map: A) -> Result<(), A::Error> {
        self.value.fields(self.fields, map)
    }
}

/// A type, as messages name it.
struct Described(&'static Type);

impl fmt::Display for Described {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Type::U8 | Type::U32 | Type::U64 => "a natural number",
            Type::I8 | Type::I32 => "an integer",
            Type::F32 | Type::F64 => "a number",
            Type::String => "a string",
            Type::Seq(_) => "a list",
            Type::Enum(_) => "a variant",
            Type::Option(inner) => return Self(inner.ty).fmt(f),
            _ => "an object",
        })
    }
}
