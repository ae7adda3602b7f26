//! Pickles as plain data.
//!
//! A small machine that knows every opcode torch writes and builds a tree. Nothing is imported and nothing
//! is called, whatever its name: an unknown class or call becomes an inert object whose attributes can be read.
//! Values live in one arena, so that a deep nest is neither a deep recursion here nor in a destructor. Time and
//! memory grow with the pickle's length: no value is copied when it is used again.

use super::PickleValue;
use super::error::WeightsError;
use super::file::InputFile;

const NAME: &str = "pickle";
/// More than any checkpoint's stack or values.
const MAX_VALUES: usize = 2_000_000;
/// torch's own limit on a tensor's axes.
const MAX_AXES: usize = 64;
/// An index into the arena.
pub type Id = usize;

/// One value.
#[derive(Clone, Debug)]
pub enum Node {
    Value(PickleValue),
    Sequence(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    /// A class that nobody has, and its attributes.
    Object(Option<Id>),
    /// A storage, by its key in the archive and its type's name.
    Storage {
        key: String,
        class: String,
    },
    Tensor {
        storage: Id,
        offset: i64,
        shape: Vec<i64>,
        strides: Vec<i64>,
    },
    Mark,
}

/// A parsed pickle.
#[derive(Debug)]
pub struct Tree {
    pub nodes: Vec<Node>,
    pub root: Id,
}

impl Tree {
    pub fn text(&self, id: Id) -> Option<&str> {
        match &self.nodes[id] {
            Node::Value(PickleValue::Text(text)) => Some(text),
            _ => None,
        }
    }
}

/// Parses a pickle; `file` is only for errors.
pub fn parse(bytes: &[u8], file: &InputFile) -> Result<Tree, WeightsError> {
    let mut machine = Machine { bytes, at: 0, stack: Vec::new(), memo: Vec::new(), nodes: Vec::new(), file };
    loop {
        let op = machine.byte()?;
        if op == b'.' {
            let root = machine.pop()?;
            return Ok(Tree { nodes: machine.nodes, root });
        }
        machine.step(op)?;
        if machine.nodes.len().max(machine.stack.len()) > MAX_VALUES {
            return Err(machine.bad("it builds more values than any checkpoint has"));
        }
    }
}

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    stack: Vec<Id>,
    memo: Vec<Option<Id>>,
    nodes: Vec<Node>,
    file: &'a InputFile,
}

impl<'a> Machine<'a> {
    fn step(&mut self, op: u8) -> Result<(), WeightsError> {
        match op {
            0x80 => self.take(1).map(|_version| ()),
            0x95 => self.take(8).map(|_frame| ()),
            b'(' => self.push(Node::Mark),
            b'0' => self.pop().map(|_popped| ()),
            b'1' => self.since_mark().map(|_popped| ()),
            b'2' => self.top().map(|top| self.stack.push(top)),
            b'N' => self.value(PickleValue::None),
            0x88 => self.value(PickleValue::Bool(true)),
            0x89 => self.value(PickleValue::Bool(false)),
            b'I' | b'L' | b'F' | b'S' | b'V' => self.line_value(op),
            b'J' => self.number(4).and_then(|n| self.value(PickleValue::Int(i64::from(n as i32)))),
            b'K' => self.number(1).and_then(|n| self.value(PickleValue::Int(n as i64))),
            b'M' => self.number(2).and_then(|n| self.value(PickleValue::Int(n as i64))),
            0x8a => self.long(1),
            0x8b => self.long(4),
            b'G' => self.float(),
            b'X' | b'T' | b'B' => self.text(4),
            b'U' | b'C' | 0x8c => self.text(1),
            0x8d | 0x8e | 0x96 => self.text(8),
            b']' | b')' | 0x8f => self.push(Node::Sequence(Vec::new())),
            b'}' => self.push(Node::Dict(Vec::new())),
            b't' | b'l' | 0x91 => self.since_mark().and_then(|items| self.push(Node::Sequence(items))),
            0x85..=0x87 => self.short_tuple(usize::from(op - 0x84)),
            b'd' => self.since_mark().and_then(|items| self.push(Node::Dict(pairs(&items)))),
            b'a' => self.pop().and_then(|item| self.extend(&[item])),
            b'e' | 0x90 => self.since_mark().and_then(|items| self.extend(&items)),
            b's' => self.set_one(),
            b'u' => self.since_mark().and_then(|items| self.set(&items)),
            b'c' | 0x93 | b'i' | b'o' => self.global(op),
            b'R' | 0x81 => self.call(),
            0x92 => self.pop().and_then(|_kwargs| self.call()),
            b'b' => self.build(),
            b'Q' => self.persistent(),
            b'p' | b'q' | b'r' | 0x94 => self.put(op),
            b'g' | b'h' | b'j' => self.get(op),
            other => Err(self.bad(format!("opcode 0x{other:02x}, which torch does not write"))),
        }
    }

    fn bad(&self, reason: impl Into<String>) -> WeightsError {
        self.file.malformed(NAME, format!("{} (at byte {})", reason.into(), self.at))
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8], WeightsError> {
        let rest = &self.bytes[self.at..];
        if n > rest.len() {
            return Err(self.bad("it ends too early: it is truncated"));
        }
        self.at += n;
        Ok(&rest[..n])
    }

    fn byte(&mut self) -> Result<u8, WeightsError> {
        Ok(self.take(1)?[0])
    }

    fn number(&mut self, n: usize) -> Result<u64, WeightsError> {
        Ok(self.take(n)?.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    fn line(&mut self) -> Result<&'a str, WeightsError> {
        let rest = &self.bytes[self.at..];
        let end = rest.iter().position(|byte| *byte == b'\n');
        let end = end.ok_or_else(|| self.bad("a line has no end: it is truncated"))?;
        let line = std::str::from_utf8(&rest[..end]).map_err(|_utf8| self.bad("a line is not text"))?;
        self.at += end + 1;
        Ok(line)
    }

    #[expect(clippy::unnecessary_wraps, reason = "every opcode answers alike")]
    fn push(&mut self, node: Node) -> Result<(), WeightsError> {
        self.nodes.push(node);
        self.stack.push(self.nodes.len() - 1);
        Ok(())
    }

    fn value(&mut self, value: PickleValue) -> Result<(), WeightsError> {
        self.push(Node::Value(value))
    }

    fn pop(&mut self) -> Result<Id, WeightsError> {
        self.stack.pop().ok_or_else(|| self.bad("its stack is empty"))
    }

    fn top(&self) -> Result<Id, WeightsError> {
        self.stack.last().copied().ok_or_else(|| self.bad("its stack is empty"))
    }

    fn since_mark(&mut self) -> Result<Vec<Id>, WeightsError> {
        let mark = self.stack.iter().rposition(|id| matches!(self.nodes[*id], Node::Mark));
        let mark = mark.ok_or_else(|| self.bad("a mark is missing"))?;
        let items = self.stack.split_off(mark + 1);
        self.stack.truncate(mark);
        Ok(items)
    }

    /// Protocol 0: values as lines of text.
    fn line_value(&mut self, op: u8) -> Result<(), WeightsError> {
        let line = self.line()?;
        let value = match (op, line) {
            (b'I', "00") => PickleValue::Bool(false),
            (b'I', "01") => PickleValue::Bool(true),
            (b'F', _) => PickleValue::Float(line.parse().map_err(|_float| self.bad("a bad number"))?),
            (b'S', _) => PickleValue::Text(line.trim_matches(['\'', '"']).to_owned()),
            (b'V', _) => PickleValue::Text(line.to_owned()),
            _ => {
                PickleValue::Int(line.trim_end_matches('L').parse().map_err(|_int| self.bad("a bad number"))?)
            }
        };
        self.value(value)
    }

    /// Integers of any length; beyond 64 bits they only need to be read past.
    fn long(&mut self, n: usize) -> Result<(), WeightsError> {
        let len = self.number(n)? as usize;
        let bytes = self.take(len)?;
        let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
        let mut value = [if negative { 0xFF } else { 0 }; 8];
        for (to, from) in value.iter_mut().zip(bytes) {
            *to = *from;
        }
        let value = if len <= 8 { i64::from_le_bytes(value) } else { i64::MAX };
        self.value(PickleValue::Int(value))
    }

    fn float(&mut self) -> Result<(), WeightsError> {
        let value = self.take(8)?.iter().fold(0, |value, byte| value << 8 | u64::from(*byte));
        self.value(PickleValue::Float(f64::from_bits(value)))
    }

    fn text(&mut self, n: usize) -> Result<(), WeightsError> {
        let len = usize::try_from(self.number(n)?).unwrap_or(usize::MAX);
        let bytes = self.take(len)?;
        self.value(PickleValue::Text(String::from_utf8_lossy(bytes).into_owned()))
    }

    fn short_tuple(&mut self, n: usize) -> Result<(), WeightsError> {
        let start = self.stack.len().checked_sub(n).ok_or_else(|| self.bad("its stack is too short"))?;
        let items = self.stack.split_off(start);
        self.push(Node::Sequence(items))
    }

    fn extend(&mut self, items: &[Id]) -> Result<(), WeightsError> {
        let top = self.top()?;
        if let Node::Sequence(list) = &mut self.nodes[top] {
            list.extend(items);
        }
        Ok(())
    }

    fn set_one(&mut self) -> Result<(), WeightsError> {
        let (value, key) = (self.pop()?, self.pop()?);
        self.set(&[key, value])
    }

    fn set(&mut self, items: &[Id]) -> Result<(), WeightsError> {
        let top = self.top()?;
        if let Node::Dict(dict) = &mut self.nodes[top] {
            dict.extend(pairs(items));
        }
        Ok(())
    }

    /// A class or function by name; `i` and `o` call it as well.
    fn global(&mut self, op: u8) -> Result<(), WeightsError> {
        let name = match op {
            b'c' | b'i' => format!("{}.{}", self.line()?, self.line()?),
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                match (&self.nodes[module], &self.nodes[name]) {
                    (Node::Value(PickleValue::Text(module)), Node::Value(PickleValue::Text(name))) => {
                        format!("{module}.{name}")
                    }
                    _ => return Err(self.bad("a class has no name")),
                }
            }
            _ => String::new(),
        };
        if matches!(op, b'i' | b'o') {
            self.since_mark()?;
            return self.push(Node::Object(None));
        }
        self.value(PickleValue::Name(name))
    }

    /// What a call would have made, for the few functions that torch uses; else an inert object.
    fn call(&mut self) -> Result<(), WeightsError> {
        let (arguments, function) = (self.pop()?, self.pop()?);
        let Node::Sequence(arguments) = &self.nodes[arguments] else {
            return Err(self.bad("a call without arguments"));
        };
        // Only a few are looked at: a call may name arguments that are millions long.
        let n_arguments = arguments.len();
        let arguments: Vec<Id> = arguments.iter().take(4).copied().collect();
        let name = match &self.nodes[function] {
            Node::Value(PickleValue::Name(name)) => name.as_str(),
            _ => "",
        };
        match (name, arguments.as_slice()) {
            ("torch._utils._rebuild_tensor_v2" | "torch._utils._rebuild_tensor", args) if args.len() >= 4 => {
                self.tensor([args[0], args[1], args[2], args[3]])
            }
            ("torch._utils._rebuild_parameter" | "torch._utils._rebuild_parameter_with_state", args)
                if !args.is_empty() =>
            {
                self.stack.push(args[0]);
                Ok(())
            }
            ("collections.OrderedDict" | "builtins.dict" | "__builtin__.dict", _) => {
                self.push(Node::Dict(Vec::new()))
            }
            ("torch.Size" | "builtins.list" | "builtins.tuple", [items]) if n_arguments == 1 => {
                self.stack.push(*items);
                Ok(())
            }
            _ => self.push(Node::Object(None)),
        }
    }

    fn tensor(&mut self, [storage, offset, shape, strides]: [Id; 4]) -> Result<(), WeightsError> {
        let int = |id: Id| match &self.nodes[id] {
            Node::Value(PickleValue::Int(value)) if *value >= 0 => Some(*value),
            _ => None,
        };
        let ints = |id: Id| match &self.nodes[id] {
            Node::Sequence(items) if items.len() <= MAX_AXES => {
                items.iter().map(|item| int(*item)).collect::<Option<Vec<i64>>>()
            }
            _ => None,
        };
        let parts = (int(offset), ints(shape), ints(strides));
        let (Some(offset), Some(shape), Some(strides)) = parts else {
            return Err(self.bad("a tensor without a shape"));
        };
        if shape.len() != strides.len() || !matches!(self.nodes[storage], Node::Storage { .. }) {
            return Err(self.bad("a tensor without a storage"));
        }
        self.push(Node::Tensor { storage, offset, shape, strides })
    }

    /// `('storage', torch.FloatStorage, '0', 'cpu', 512)`.
    fn persistent(&mut self) -> Result<(), WeightsError> {
        let id = self.pop()?;
        let Node::Sequence(parts) = &self.nodes[id] else { return Err(self.bad("a storage without a key")) };
        let found = match parts.as_slice() {
            [_, class, key, ..] => match (&self.nodes[*class], &self.nodes[*key]) {
                (Node::Value(PickleValue::Name(class)), Node::Value(PickleValue::Text(key))) => {
                    Some(Node::Storage { key: key.clone(), class: class.clone() })
                }
                _ => None,
            },
            _ => None,
        };
        let storage = found.ok_or_else(|| self.bad("a storage without a key"))?;
        self.push(storage)
    }

    /// Gives an object its attributes.
    fn build(&mut self) -> Result<(), WeightsError> {
        let state = self.pop()?;
        let top = self.top()?;
        if let Node::Object(attributes) = &mut self.nodes[top] {
            *attributes = Some(state);
        }
        Ok(())
    }

    fn put(&mut self, op: u8) -> Result<(), WeightsError> {
        let key = self.memo_key(op)?;
        // torch numbers them in order, and each takes bytes to make.
        if key >= self.bytes.len() {
            return Err(self.bad("it remembers more values than any checkpoint has"));
        }
        if self.memo.len() <= key {
            self.memo.resize(key + 1, None);
        }
        self.memo[key] = Some(self.top()?);
        Ok(())
    }

    fn get(&mut self, op: u8) -> Result<(), WeightsError> {
        let key = self.memo_key(op)?;
        let id = self.memo.get(key).copied().flatten();
        self.stack.push(id.ok_or_else(|| self.bad("it recalls a value that it never had"))?);
        Ok(())
    }

    fn memo_key(&mut self, op: u8) -> Result<usize, WeightsError> {
        match op {
            b'p' | b'g' => self.line()?.parse().map_err(|_int| self.bad("a bad number")),
            b'q' | b'h' => Ok(self.number(1)? as usize),
            b'r' | b'j' => Ok(self.number(4)? as usize),
            _ => Ok(self.memo.len()),
        }
    }
}

fn pairs(items: &[Id]) -> Vec<(Id, Id)> {
    items.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect()
}
