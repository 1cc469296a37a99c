//! A pickle machine that knows tensors and plain containers, and nothing that could be executed.
//!
//! It is as lenient as PyTorch's own safe loader (`weights_only`): what is neither a tensor nor a dict on the way to one becomes an
//! opaque value. No name is ever looked up and no call is ever made; calls that rebuild tensors are kept as they stand, for
//! [`super::rebuild`] to read.
//!
//! Values are small and copied as they are: texts are slices of the pickle, tuples and dicts are numbers of places in arenas that
//! only grow by what an operation adds. So a value that is recalled a million times takes no more than its recalls, and the
//! memory of all is held to a multiple of the pickle.

use crate::config::printable;
use crate::import::ImportError;

/// Memory that values may take: some in any case, and some for each byte of the pickle. What PyTorch writes takes 9 for each.
const FREE_BYTES: usize = 1 << 20;
const BYTES_PER_BYTE: usize = 16;

/// Modules whose functions a pickle asks for in order to run something: PyTorch's own list, and others like them. Nothing would
/// be run here either way, but such a file is no checkpoint.
const BLOCKED: [&str; 12] =
    ["os", "posix", "nt", "sys", "subprocess", "pty", "shutil", "socket", "runpy", "importlib", "ctypes", "webbrowser"];
/// Functions of the built-in module that do the same.
const BLOCKED_BUILTINS: [&str; 7] = ["eval", "exec", "execfile", "compile", "open", "__import__", "breakpoint"];

/// What a pickle can hold.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// Anything that makes up no tensor: None, real numbers, bytes, lists, sets, classes.
    Opaque,
    Int(i64),
    Text(&'a str),
    Tuple(Tuple),
    Dict(Dict),
    /// A name of PyTorch's, without its module.
    Name(&'a str),
    /// A call that rebuilds a tensor: the function's name and its arguments.
    Rebuild(Tuple),
    /// What is kept outside of the pickle.
    Persistent(Tuple),
}

/// Values one after another.
#[derive(Clone, Copy, Debug)]
pub struct Tuple {
    start: u32,
    length: u32,
}

/// Number of a dict, or of an object that items may be set on as if it were one.
#[derive(Clone, Copy, Debug)]
pub struct Dict(u32);

/// First and last pair of a dict, where there are any.
type Ends = Option<(u32, u32)>;

/// A key, its value, and the next pair of the same dict.
#[derive(Clone, Copy, Debug)]
struct Pair<'a> {
    key: Value<'a>,
    value: Value<'a>,
    next: Option<u32>,
}

/// A read pickle.
#[derive(Debug)]
pub struct Pickle<'a> {
    root: Value<'a>,
    arenas: Arenas<'a>,
}

#[derive(Debug, Default)]
struct Arenas<'a> {
    items: Vec<Value<'a>>,
    dicts: Vec<Ends>,
    pairs: Vec<Pair<'a>>,
}

impl<'a> Pickle<'a> {
    /// Reads a pickle of protocol 2 to 5, of fewer than 4 GiB.
    ///
    /// # Errors
    /// `Pickle` for a pickle that is cut short, malformed, asks for what only an attack does or takes too much memory.
    pub fn read(bytes: &'a [u8]) -> Result<Self, ImportError> {
        let mut machine =
            Machine { bytes, at: 0, stack: Vec::new(), marks: Vec::new(), memo: Vec::new(), arenas: Arenas::default() };
        let root = machine.run()?;
        Ok(Self { root, arenas: machine.arenas })
    }

    /// The outermost value.
    pub fn root(&self) -> Value<'a> {
        self.root
    }

    /// The values of a tuple.
    pub fn items(&self, tuple: Tuple) -> &[Value<'a>] {
        self.arenas.items(tuple)
    }

    /// Keys and values of a dict, in the order in which they were set.
    pub fn pairs(&self, dict: Dict) -> impl Iterator<Item = (Value<'a>, Value<'a>)> {
        let first = self.arenas.dicts[dict.0 as usize].map(|(first, _)| first);
        let pair = |at: u32| self.arenas.pairs[at as usize];
        core::iter::successors(first.map(pair), move |last| last.next.map(pair)).map(|pair| (pair.key, pair.value))
    }
}

impl<'a> Arenas<'a> {
    fn items(&self, tuple: Tuple) -> &[Value<'a>] {
        &self.items[tuple.start as usize..][..tuple.length as usize]
    }

    fn tuple(&mut self, values: impl IntoIterator<Item = Value<'a>>) -> Tuple {
        let start = self.items.len();
        self.items.extend(values);
        Tuple { start: start as u32, length: (self.items.len() - start) as u32 }
    }

    fn dict(&mut self) -> Value<'a> {
        self.dicts.push(None);
        Value::Dict(Dict(self.dicts.len() as u32 - 1))
    }

    fn set(&mut self, dict: Dict, key: Value<'a>, value: Value<'a>) {
        let at = self.pairs.len() as u32;
        self.pairs.push(Pair { key, value, next: None });
        let ends = &mut self.dicts[dict.0 as usize];
        if let Some((_, last)) = *ends {
            self.pairs[last as usize].next = Some(at);
        }
        *ends = Some((ends.map_or(at, |(first, _)| first), at));
    }
}

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    stack: Vec<Value<'a>>,
    marks: Vec<usize>,
    memo: Vec<Option<Value<'a>>>,
    arenas: Arenas<'a>,
}

fn refuse<T>(what: impl Into<String>) -> Result<T, ImportError> {
    Err(ImportError::Pickle(what.into()))
}

impl<'a> Machine<'a> {
    fn run(&mut self) -> Result<Value<'a>, ImportError> {
        loop {
            self.check_memory()?;
            let code = self.take(1)?[0];
            match code {
                b'.' => return self.pop(),
                0x80 => self.protocol()?,
                0x95 => _ = self.take(8)?,
                b'N' | 0x88 | 0x89 | b']' | 0x8f => self.stack.push(Value::Opaque),
                b'K' => self.int(1)?,
                b'M' => self.int(2)?,
                b'J' => {
                    let value = self.number(4)? as u32 as i32;
                    self.stack.push(Value::Int(i64::from(value)));
                }
                0x8a => self.long(1)?,
                0x8b => self.long(4)?,
                b'G' => self.opaque(8)?,
                b'X' | b'T' => self.text(4)?,
                0x8c | b'U' => self.text(1)?,
                0x8d => self.text(8)?,
                b'C' => self.raw(1)?,
                b'B' => self.raw(4)?,
                0x8e | 0x96 => self.raw(8)?,
                b'}' => {
                    let dict = self.arenas.dict();
                    self.stack.push(dict);
                }
                b')' => self.tuple(self.stack.len()),
                b'(' => self.marks.push(self.stack.len()),
                b't' => {
                    let mark = self.mark()?;
                    self.tuple(mark);
                }
                0x85..=0x87 => {
                    let first = self.top(usize::from(code - 0x84))?;
                    self.tuple(first);
                }
                b's' => {
                    let first = self.top(2)?;
                    self.extend(first)?;
                }
                b'a' => {
                    let first = self.top(1)?;
                    self.extend(first)?;
                }
                b'u' | b'e' | 0x90 => {
                    let mark = self.mark()?;
                    self.extend(mark)?;
                }
                0x91 => {
                    let mark = self.mark()?;
                    self.replace(mark, Value::Opaque);
                }
                b'0' => _ = self.pop()?,
                b'1' => {
                    let mark = self.mark()?;
                    self.stack.truncate(mark);
                }
                b'2' => {
                    let top = self.stack[self.top(1)?];
                    self.stack.push(top);
                }
                b'q' => self.put(1)?,
                b'r' => self.put(4)?,
                0x94 => self.remember(self.memo.len())?,
                b'h' => self.recall(1)?,
                b'j' => self.recall(4)?,
                b'c' => {
                    let (module, name) = (self.line()?, self.line()?);
                    self.name(module, name)?;
                }
                0x93 => {
                    let first = self.top(2)?;
                    let (Value::Text(module), Value::Text(name)) = (self.stack[first], self.stack[first + 1]) else {
                        return refuse("a name is no text");
                    };
                    self.stack.truncate(first);
                    self.name(module, name)?;
                }
                b'R' | 0x81 => {
                    let first = self.top(2)?;
                    self.call(first)?;
                }
                0x92 => {
                    let first = self.top(3)?;
                    self.call(first)?;
                }
                b'Q' => {
                    let first = self.top(1)?;
                    let Value::Tuple(id) = self.stack[first] else { return refuse("a persistent value is no tuple") };
                    self.replace(first, Value::Persistent(id));
                }
                // The state of an object, such as the attributes of an ordered dict, is dropped.
                b'b' => {
                    let first = self.top(2)?;
                    self.stack.truncate(first + 1);
                }
                other => return refuse(format!("it uses operation {other:#04x} at byte {}", self.at - 1)),
            }
        }
    }

    fn check_memory(&self) -> Result<(), ImportError> {
        let Arenas { items, dicts, pairs } = &self.arenas;
        let used = [
            size_of_val(self.stack.as_slice()),
            size_of_val(self.marks.as_slice()),
            size_of_val(self.memo.as_slice()),
            size_of_val(items.as_slice()),
            size_of_val(dicts.as_slice()),
            size_of_val(pairs.as_slice()),
        ];
        let most = FREE_BYTES + BYTES_PER_BYTE * self.bytes.len();
        if used.iter().sum::<usize>() > most {
            return refuse(format!(
                "its {} bytes ask for more than {most} bytes of memory at byte {}",
                self.bytes.len(),
                self.at
            ));
        }
        Ok(())
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], ImportError> {
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

    fn line(&mut self) -> Result<&'a str, ImportError> {
        let rest = &self.bytes[self.at..];
        let Some(end) = rest.iter().position(|&byte| byte == b'\n') else { return refuse("it is cut short") };
        let line = self.take(end + 1)?.trim_ascii_end();
        core::str::from_utf8(line).or_else(|_| refuse("a name is not UTF-8"))
    }

    fn protocol(&mut self) -> Result<(), ImportError> {
        match self.take(1)?[0] {
            2..=5 => Ok(()),
            other => refuse(format!("it has protocol {other}, 2 to 5 are read")),
        }
    }

    /// Where the topmost `count` values begin, all of them above the last mark.
    fn top(&self, count: usize) -> Result<usize, ImportError> {
        let floor = self.marks.last().copied().unwrap_or(0);
        match self.stack.len().checked_sub(count).filter(|&first| first >= floor) {
            Some(first) => Ok(first),
            None => refuse("its stack runs empty"),
        }
    }

    fn pop(&mut self) -> Result<Value<'a>, ImportError> {
        let first = self.top(1)?;
        let value = self.stack[first];
        self.stack.truncate(first);
        Ok(value)
    }

    /// Where the values above the last mark begin, which is taken away.
    fn mark(&mut self) -> Result<usize, ImportError> {
        self.marks.pop().map_or_else(|| refuse("a mark is missing"), Ok)
    }

    /// Puts a value in the place of those from `first` on.
    fn replace(&mut self, first: usize, value: Value<'a>) {
        self.stack.truncate(first);
        self.stack.push(value);
    }

    /// Makes the values from `first` on a tuple.
    fn tuple(&mut self, first: usize) {
        let tuple = self.arenas.tuple(self.stack.drain(first..));
        self.stack.push(Value::Tuple(tuple));
    }

    fn int(&mut self, width: usize) -> Result<(), ImportError> {
        let value = self.number(width)? as i64;
        self.stack.push(Value::Int(value));
        Ok(())
    }

    /// A little-endian integer of any length; one of more than eight bytes is no size of anything.
    fn long(&mut self, width: usize) -> Result<(), ImportError> {
        let length = self.length(width)?;
        if length > 8 {
            return self.opaque(length);
        }
        let value = self.number(length)?;
        let unused = 64 - 8 * length as u32;
        let signed = if length == 0 { 0 } else { (value << unused) as i64 >> unused };
        self.stack.push(Value::Int(signed));
        Ok(())
    }

    /// A text; Python's may hold halves of characters, which name nothing.
    fn text(&mut self, width: usize) -> Result<(), ImportError> {
        let length = self.length(width)?;
        let text = core::str::from_utf8(self.take(length)?);
        self.stack.push(text.map_or(Value::Opaque, Value::Text));
        Ok(())
    }

    fn raw(&mut self, width: usize) -> Result<(), ImportError> {
        let length = self.length(width)?;
        self.opaque(length)
    }

    fn opaque(&mut self, length: usize) -> Result<(), ImportError> {
        self.take(length)?;
        self.stack.push(Value::Opaque);
        Ok(())
    }

    /// Adds the values from `first` on to the container below them. What a list holds is dropped: no name leads there.
    fn extend(&mut self, first: usize) -> Result<(), ImportError> {
        let below = first.checked_sub(1).map(|at| self.stack[at]);
        match below {
            Some(Value::Opaque) => {}
            Some(Value::Dict(dict)) => {
                // An object that items are appended to rather than set on leaves one over, or has no text for a key.
                for pair in self.stack[first..].as_chunks::<2>().0 {
                    self.arenas.set(dict, pair[0], pair[1]);
                }
            }
            _ => return refuse("it adds items to what is no container"),
        }
        self.stack.truncate(first);
        Ok(())
    }

    fn put(&mut self, width: usize) -> Result<(), ImportError> {
        let at = self.length(width)?;
        self.remember(at)
    }

    fn remember(&mut self, at: usize) -> Result<(), ImportError> {
        let top = self.stack[self.top(1)?];
        // Writers count up from 0 and take a byte at least for each.
        if at >= self.at {
            return refuse(format!("it remembers value {at} after {} bytes", self.at));
        }
        if at >= self.memo.len() {
            self.memo.resize(at + 1, None);
        }
        self.memo[at] = Some(top);
        Ok(())
    }

    fn recall(&mut self, width: usize) -> Result<(), ImportError> {
        let at = self.length(width)?;
        let Some(value) = self.memo.get(at).copied().flatten() else {
            return refuse(format!("it recalls value {at}, which is not there"));
        };
        self.stack.push(value);
        Ok(())
    }

    /// Names of PyTorch's are kept: they say what a tensor is made of. All others are opaque.
    fn name(&mut self, module: &'a str, name: &'a str) -> Result<(), ImportError> {
        let package = module.split('.').next().unwrap_or_default();
        let builtin = matches!(module, "builtins" | "__builtin__") && BLOCKED_BUILTINS.contains(&name);
        if builtin || BLOCKED.contains(&package) {
            return refuse(format!("it asks for `{}.{}`", printable(module), printable(name)));
        }
        let torch = matches!(module, "torch" | "torch._utils" | "torch._tensor" | "torch.storage");
        self.stack.push(if torch { Value::Name(name) } else { Value::Opaque });
        Ok(())
    }

    /// A call of the value at `first` with the tuple after it. Of what it would make only a tensor is known; all else becomes
    /// an object that items may be set on, as they are on ordered dicts.
    fn call(&mut self, first: usize) -> Result<(), ImportError> {
        let (callee, arguments) = (self.stack[first], self.stack[first + 1]);
        let Value::Tuple(_) = arguments else { return refuse("arguments are no tuple") };
        let made = match callee {
            Value::Name(name) if name.starts_with("_rebuild") => Value::Rebuild(self.arenas.tuple([callee, arguments])),
            Value::Name(_) | Value::Opaque | Value::Dict(_) => self.arenas.dict(),
            _ => return refuse("it calls what is no name"),
        };
        self.replace(first, made);
        Ok(())
    }
}
