//! A pickle machine that knows tensors and plain containers, and nothing that could be executed.
//!
//! Values live in one arena and refer to each other by number, so a hostile pickle cannot make them deep or copy them. Calls
//! (`REDUCE`) are answered for a fixed list of constructors; every other name is an error that tells it.

use super::ImportError;
use crate::config::printable;

/// Most values of a pickle.
const MAX_VALUES: usize = 1 << 22;

/// Number of a value.
pub type Id = usize;

/// A tensor over a storage, as PyTorch rebuilds it. Counted in elements of the storage's type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    /// The storage's type, such as `HalfStorage`.
    pub storage: String,
    /// Name of the archive entry that holds it.
    pub key: String,
    pub offset: usize,
    pub shape: Vec<usize>,
    pub stride: Vec<usize>,
}

/// What a pickle can hold.
#[derive(Clone, Debug)]
pub enum Value {
    Nothing,
    Bool,
    Int(i64),
    Float,
    Text(String),
    Bytes,
    List(Vec<Id>),
    Tuple(Vec<Id>),
    /// Keys and values in turn.
    Dict(Vec<Id>),
    Storage {
        kind: String,
        key: String,
    },
    Tensor(Tensor),
    /// `module name` of something that may be called.
    Global(&'static Allowed),
}

/// A name that may appear in a pickle.
#[derive(Debug)]
pub struct Allowed {
    module: &'static str,
    name: &'static str,
    call: Call,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Storage,
    Tensor,
    Parameter,
    Dict,
    /// A marker that is passed around and never called.
    Never,
}

const fn storage(name: &'static str) -> Allowed {
    Allowed { module: "torch", name, call: Call::Storage }
}

static ALLOWED: [Allowed; 16] = [
    Allowed { module: "torch._utils", name: "_rebuild_tensor_v2", call: Call::Tensor },
    Allowed { module: "torch._utils", name: "_rebuild_parameter", call: Call::Parameter },
    Allowed { module: "collections", name: "OrderedDict", call: Call::Dict },
    Allowed { module: "torch", name: "Size", call: Call::Never },
    storage("DoubleStorage"),
    storage("FloatStorage"),
    storage("HalfStorage"),
    storage("BFloat16Storage"),
    storage("LongStorage"),
    storage("IntStorage"),
    storage("ShortStorage"),
    storage("CharStorage"),
    storage("ByteStorage"),
    storage("BoolStorage"),
    storage("Float8_e4m3fnStorage"),
    storage("Float8_e5m2Storage"),
];

/// A read pickle.
#[derive(Debug)]
pub struct Pickle {
    values: Vec<Value>,
    root: Id,
}

impl Pickle {
    /// Reads a pickle of protocol 2 to 5.
    pub fn read(bytes: &[u8]) -> Result<Self, ImportError> {
        let mut machine =
            Machine { bytes, at: 0, values: Vec::new(), stack: Vec::new(), marks: Vec::new(), memo: Vec::new() };
        let root = machine.run()?;
        Ok(Self { values: machine.values, root })
    }

    /// The outermost value.
    pub fn root(&self) -> Id {
        self.root
    }

    /// A value.
    pub fn get(&self, id: Id) -> &Value {
        &self.values[id]
    }
}

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    values: Vec<Value>,
    stack: Vec<Id>,
    marks: Vec<usize>,
    memo: Vec<Option<Id>>,
}

fn refuse<T>(what: impl Into<String>) -> Result<T, ImportError> {
    Err(ImportError::Pickle(what.into()))
}

impl Machine<'_> {
    fn run(&mut self) -> Result<Id, ImportError> {
        loop {
            let code = self.take(1)?[0];
            match code {
                b'.' => return self.pop(),
                0x80 => self.protocol()?,
                0x95 => _ = self.take(8)?,
                b'N' => self.push(Value::Nothing)?,
                0x88 | 0x89 => self.push(Value::Bool)?,
                b'K' => self.int(1)?,
                b'M' => self.int(2)?,
                b'J' => {
                    let value = self.number(4)? as u32 as i32;
                    self.push(Value::Int(i64::from(value)))?;
                }
                0x8a => self.long()?,
                b'G' => {
                    self.take(8)?;
                    self.push(Value::Float)?;
                }
                b'X' => self.text(4)?,
                0x8c => self.text(1)?,
                0x8d => self.text(8)?,
                b'C' => self.raw(1)?,
                b'B' => self.raw(4)?,
                0x8e => self.raw(8)?,
                b'}' => self.push(Value::Dict(Vec::new()))?,
                b']' => self.push(Value::List(Vec::new()))?,
                b')' => self.push(Value::Tuple(Vec::new()))?,
                b'(' => self.marks.push(self.stack.len()),
                b't' => {
                    let items = self.since_mark()?;
                    self.push(Value::Tuple(items))?;
                }
                0x85..=0x87 => {
                    let items = self.pops(usize::from(code - 0x84))?;
                    self.push(Value::Tuple(items))?;
                }
                b's' => {
                    let items = self.pops(2)?;
                    self.extend(items)?;
                }
                b'a' => {
                    let items = self.pops(1)?;
                    self.extend(items)?;
                }
                b'u' | b'e' => {
                    let items = self.since_mark()?;
                    self.extend(items)?;
                }
                b'0' => _ = self.pop()?,
                b'1' => _ = self.since_mark()?,
                b'2' => {
                    let top = self.pop()?;
                    self.stack.extend([top, top]);
                }
                b'q' => self.put(1)?,
                b'r' => self.put(4)?,
                0x94 => self.remember(self.memo.len())?,
                b'h' => self.recall(1)?,
                b'j' => self.recall(4)?,
                b'c' => {
                    let (module, name) = (self.line()?, self.line()?);
                    self.global(&module, &name)?;
                }
                0x93 => {
                    let names = self.pops(2)?;
                    let (module, name) = (self.string(names[0])?, self.string(names[1])?);
                    self.global(&module, &name)?;
                }
                b'R' => self.reduce()?,
                b'Q' => self.persistent()?,
                b'b' => self.build()?,
                other => return refuse(format!("it uses operation {other:#04x} at byte {}", self.at - 1)),
            }
        }
    }

    fn take(&mut self, count: usize) -> Result<&[u8], ImportError> {
        let end = self.at.checked_add(count).filter(|&end| end <= self.bytes.len());
        let Some(end) = end else { return refuse("it is cut short") };
        let start = core::mem::replace(&mut self.at, end);
        Ok(&self.bytes[start..end])
    }

    fn number(&mut self, width: usize) -> Result<u64, ImportError> {
        Ok(self.take(width)?.iter().rev().fold(0, |sum, &byte| sum << 8 | u64::from(byte)))
    }

    fn length(&mut self, width: usize) -> Result<usize, ImportError> {
        usize::try_from(self.number(width)?).or_else(|_| refuse("a length is past counting"))
    }

    fn line(&mut self) -> Result<String, ImportError> {
        let rest = &self.bytes[self.at..];
        let Some(end) = rest.iter().position(|&byte| byte == b'\n') else { return refuse("it is cut short") };
        let text = String::from_utf8_lossy(self.take(end + 1)?.trim_ascii_end()).into_owned();
        Ok(text)
    }

    fn protocol(&mut self) -> Result<(), ImportError> {
        match self.take(1)?[0] {
            2..=5 => Ok(()),
            other => refuse(format!("it has protocol {other}, 2 to 5 are read")),
        }
    }

    fn push(&mut self, value: Value) -> Result<(), ImportError> {
        if self.values.len() >= MAX_VALUES {
            return refuse(format!("it has more than {MAX_VALUES} values"));
        }
        self.stack.push(self.values.len());
        self.values.push(value);
        Ok(())
    }

    /// The topmost value above the last mark.
    fn pop(&mut self) -> Result<Id, ImportError> {
        if self.stack.len() <= self.marks.last().copied().unwrap_or(0) {
            return refuse("its stack runs empty");
        }
        self.stack.pop().map_or_else(|| refuse("its stack runs empty"), Ok)
    }

    fn pops(&mut self, count: usize) -> Result<Vec<Id>, ImportError> {
        let mut items = (0..count).map(|_| self.pop()).collect::<Result<Vec<_>, _>>()?;
        items.reverse();
        Ok(items)
    }

    fn since_mark(&mut self) -> Result<Vec<Id>, ImportError> {
        let Some(mark) = self.marks.pop() else { return refuse("a mark is missing") };
        Ok(self.stack.split_off(mark))
    }

    fn int(&mut self, width: usize) -> Result<(), ImportError> {
        let value = self.number(width)? as i64;
        self.push(Value::Int(value))
    }

    /// A little-endian integer of any length, of which eight bytes must do.
    fn long(&mut self) -> Result<(), ImportError> {
        let length = self.length(1)?;
        if length > 8 {
            return refuse("it holds an integer of more than eight bytes");
        }
        let value = self.number(length)?;
        let unused = 64 - 8 * length as u32;
        let signed = if length == 0 { 0 } else { (value << unused) as i64 >> unused };
        self.push(Value::Int(signed))
    }

    fn text(&mut self, width: usize) -> Result<(), ImportError> {
        let length = self.length(width)?;
        let text = core::str::from_utf8(self.take(length)?).map(str::to_owned);
        match text {
            Ok(text) => self.push(Value::Text(text)),
            Err(_) => refuse("a text is not UTF-8"),
        }
    }

    fn raw(&mut self, width: usize) -> Result<(), ImportError> {
        let length = self.length(width)?;
        self.take(length)?;
        self.push(Value::Bytes)
    }

    /// Appends to the list or dict below.
    fn extend(&mut self, items: Vec<Id>) -> Result<(), ImportError> {
        let pairs = items.len().is_multiple_of(2);
        match self.stack.last().map(|&id| &mut self.values[id]) {
            Some(Value::List(list)) => list.extend(items),
            Some(Value::Dict(dict)) if pairs => dict.extend(items),
            _ => return refuse("it adds items to what is no container"),
        }
        Ok(())
    }

    fn put(&mut self, width: usize) -> Result<(), ImportError> {
        let at = self.length(width)?;
        self.remember(at)
    }

    fn remember(&mut self, at: usize) -> Result<(), ImportError> {
        let Some(&top) = self.stack.last() else { return refuse("its stack runs empty") };
        if at >= MAX_VALUES {
            return refuse(format!("it remembers value {at}, of at most {MAX_VALUES}"));
        }
        if at >= self.memo.len() {
            self.memo.resize(at + 1, None);
        }
        self.memo[at] = Some(top);
        Ok(())
    }

    fn recall(&mut self, width: usize) -> Result<(), ImportError> {
        let at = self.length(width)?;
        let Some(id) = self.memo.get(at).copied().flatten() else {
            return refuse(format!("it recalls value {at}, which is not there"));
        };
        self.stack.push(id);
        Ok(())
    }

    fn global(&mut self, module: &str, name: &str) -> Result<(), ImportError> {
        match ALLOWED.iter().find(|allowed| allowed.module == module && allowed.name == name) {
            Some(allowed) => self.push(Value::Global(allowed)),
            None => refuse(format!("it asks for `{}.{}`", printable(module), printable(name))),
        }
    }

    fn string(&self, id: Id) -> Result<String, ImportError> {
        match &self.values[id] {
            Value::Text(text) => Ok(text.clone()),
            _ => refuse("a name is no text"),
        }
    }

    fn tuple(&self, id: Id) -> Result<&[Id], ImportError> {
        match &self.values[id] {
            Value::Tuple(items) => Ok(items),
            _ => refuse("arguments are no tuple"),
        }
    }

    fn count(&self, id: Id) -> Result<usize, ImportError> {
        match &self.values[id] {
            Value::Int(count) => usize::try_from(*count).or_else(|_| refuse(format!("a size or place is {count}"))),
            _ => refuse("a size or place is no integer"),
        }
    }

    fn counts(&self, id: Id) -> Result<Vec<usize>, ImportError> {
        self.tuple(id)?.iter().map(|&id| self.count(id)).collect()
    }

    fn reduce(&mut self) -> Result<(), ImportError> {
        let call = self.pops(2)?;
        let Value::Global(allowed) = self.values[call[0]] else { return refuse("it calls what is no known name") };
        let arguments = self.tuple(call[1])?;
        match (allowed.call, arguments) {
            (Call::Dict, []) => self.push(Value::Dict(Vec::new())),
            (Call::Parameter, &[data, ..]) => {
                self.stack.push(data);
                Ok(())
            }
            (Call::Tensor, &[storage, offset, shape, stride, ..]) => {
                let Value::Storage { kind, key } = self.values[storage].clone() else {
                    return refuse("a tensor is rebuilt from what is no storage");
                };
                let (shape, stride) = (self.counts(shape)?, self.counts(stride)?);
                let offset = self.count(offset)?;
                self.push(Value::Tensor(Tensor { storage: kind, key, offset, shape, stride }))
            }
            _ => refuse(format!("it calls `{}.{}` with {} arguments", allowed.module, allowed.name, arguments.len())),
        }
    }

    /// ('storage', type, key, device, elements).
    fn persistent(&mut self) -> Result<(), ImportError> {
        let id = self.pop()?;
        let parts = self.tuple(id)?;
        let &[tag, kind, key, _, _] = parts else { return refuse("a persistent value is no storage") };
        let (Value::Text(tag), Value::Global(kind), Value::Text(key)) =
            (&self.values[tag], &self.values[kind], &self.values[key])
        else {
            return refuse("a persistent value is no storage");
        };
        if tag != "storage" || kind.call != Call::Storage {
            return refuse("a persistent value is no storage");
        }
        let value = Value::Storage { kind: kind.name.to_owned(), key: key.clone() };
        self.push(value)
    }

    /// State of an ordered dict (PyTorch's `_metadata`) is dropped; nothing else takes any.
    fn build(&mut self) -> Result<(), ImportError> {
        self.pop()?;
        match self.stack.last().map(|&id| &self.values[id]) {
            Some(Value::Dict(_)) => Ok(()),
            _ => refuse("it sets the state of what is no dict"),
        }
    }
}
