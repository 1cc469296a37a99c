//! Handles: numbers in the clothes of pointers. None is ever followed, so any value a host passes is checked, not trusted.
//!
//! A handle holds a mark (its lowest bit, which no pointer to an object has), the kind of thing, a place in the table and the
//! place's generation. A destroyed thing's place moves on to its next generation, which makes all old handles stale. The table is the
//! only state the process shares, besides the log sink and the allocator.

use std::{
    any::Any,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{
    error::{Error, ErrorText},
    memory,
    pointers::{put, required},
    types::{CW_ERROR_HANDLE, CW_OK, CwStatus},
};

/// What a handle may stand for.
pub trait Thing: Any + Send + Sync {
    /// Ends everything under way in it. Its memory goes with the last call that is inside.
    fn destroy(&self) {}
}

/// A kind of handle.
pub trait Handle: Sized {
    /// What the handle stands for.
    type Thing: Thing;
    /// Its place in [`NAMES`].
    const KIND: usize;
}

/// Names of the kinds.
const NAMES: [&str; 8] = ["handle", "device", "model", "session", "CwVulkan", "text encoder", "handle", "handle"];
const KIND_BITS: u32 = 3;
const INDEX_BITS: u32 = if usize::BITS >= 64 { 16 } else { 10 };
const GENERATION_BITS: u32 = if usize::BITS >= 64 { 32 } else { 18 };

struct Place {
    generation: usize,
    kind: usize,
    thing: Option<Arc<dyn Thing>>,
    error: ErrorText,
}

static TABLE: Mutex<Vec<Place>> = Mutex::new(Vec::new());

fn table() -> MutexGuard<'static, Vec<Place>> {
    TABLE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn number(kind: usize, index: usize, generation: usize) -> usize {
    1 | kind << 1 | index << (1 + KIND_BITS) | generation << (1 + KIND_BITS + INDEX_BITS)
}

/// Kind, place and generation, if the number can be a handle.
fn parts(number: usize) -> Option<(usize, usize, usize)> {
    let kind = number >> 1 & ((1 << KIND_BITS) - 1);
    let index = number >> (1 + KIND_BITS) & ((1 << INDEX_BITS) - 1);
    let generation = number >> (1 + KIND_BITS + INDEX_BITS);
    (number & 1 == 1 && kind != 0 && generation != 0).then_some((kind, index, generation))
}

/// Keeps a thing and returns its handle.
pub fn keep<H: Handle>(thing: H::Thing) -> Result<*mut H, Error> {
    let thing = Arc::new(thing);
    let mut table = table();
    let index = match table.iter().position(|place| place.thing.is_none()) {
        Some(free) => free,
        None if table.len() < 1 << INDEX_BITS => {
            table.push(Place { generation: 0, kind: 0, thing: None, error: ErrorText::EMPTY });
            table.len() - 1
        }
        None => {
            return Err(Error::new(CW_ERROR_HANDLE, format!("{} handles are in use, there are no more", table.len())));
        }
    };
    // Nothing is kept that the host had no memory for: its handle would be lost with the error.
    memory::check()?;
    let place = &mut table[index];
    // 0 is no generation, so that no handle looks like a small number.
    place.generation = place.generation % ((1 << GENERATION_BITS) - 1) + 1;
    place.kind = H::KIND;
    place.error = ErrorText::EMPTY;
    place.thing = Some(thing);
    Ok(core::ptr::without_provenance_mut(number(H::KIND, index, place.generation)))
}

/// Gives the host at `to` the handle of what `make` makes; NULL if that fails.
///
/// # Safety
/// `to` is NULL, which is an error, or writable.
pub unsafe fn give<H: Handle>(
    to: *mut *mut H,
    what: &str,
    make: impl FnOnce() -> Result<H::Thing, Error>,
) -> Result<CwStatus, Error> {
    let to = required(to, what)?;
    // SAFETY: not NULL; writable by the contract.
    unsafe {
        put(to, core::ptr::null_mut());
        put(to, keep(make()?)?);
    }
    Ok(CW_OK)
}

/// Takes a handle that the host gives up, and ends its thing. NULL does nothing.
pub fn end<H: Handle>(handle: *mut H) -> Result<CwStatus, Error> {
    if !handle.is_null() {
        take(handle)?.destroy();
    }
    Ok(CW_OK)
}

/// The thing that a handle stands for.
pub fn get<H: Handle>(handle: *const H) -> Result<Arc<H::Thing>, Error> {
    find::<H>(&mut table(), handle).and_then(|place| match place.thing.clone().map(downcast) {
        Some(Ok(thing)) => Ok(thing),
        _ => Err(stale(H::KIND)),
    })
}

/// Forgets a handle and returns its thing, which lives on in calls that are under way.
pub fn take<H: Handle>(handle: *const H) -> Result<Arc<H::Thing>, Error> {
    find::<H>(&mut table(), handle).and_then(|place| match place.thing.take().map(downcast) {
        Some(Ok(thing)) => Ok(thing),
        _ => Err(stale(H::KIND)),
    })
}

/// Forgets all handles and returns their things.
pub fn take_all() -> Vec<Arc<dyn Thing>> {
    table().iter_mut().filter_map(|place| place.thing.take()).collect()
}

fn downcast<T: Thing>(thing: Arc<dyn Thing>) -> Result<Arc<T>, Arc<dyn Any + Send + Sync>> {
    let thing: Arc<dyn Any + Send + Sync> = thing;
    thing.downcast()
}

fn find<H: Handle>(table: &mut [Place], handle: *const H) -> Result<&mut Place, Error> {
    let (name, error) = (NAMES[H::KIND], |text: String| Error::new(CW_ERROR_HANDLE, text));
    if handle.is_null() {
        return Err(error(format!("the {name} is NULL")));
    }
    let Some((kind, index, generation)) = parts(handle.addr()).filter(|parts| parts.1 < table.len()) else {
        return Err(error(format!("{handle:p} is no handle of this library; a {name} was expected")));
    };
    if kind != H::KIND {
        return Err(error(format!("a {} was given where a {name} was expected", NAMES[kind])));
    }
    let place = &mut table[index];
    if place.generation != generation || place.kind != kind || place.thing.is_none() {
        return Err(stale(kind));
    }
    Ok(place)
}

fn stale(kind: usize) -> Error {
    Error::new(CW_ERROR_HANDLE, format!("this {} was destroyed", NAMES[kind]))
}

/// Keeps an error's text with the handle of that number, if it is one.
pub fn remember(number: usize, text: &str) {
    with_place(number, |place| place.error.set(text));
}

/// The last error of the handle of that number; none for a number that is no living handle.
pub fn last_error(number: usize) -> Option<ErrorText> {
    with_place(number, |place| place.error)
}

fn with_place<T>(number: usize, f: impl FnOnce(&mut Place) -> T) -> Option<T> {
    let (kind, index, generation) = parts(number)?;
    let mut table = table();
    let place = table.get_mut(index)?;
    (place.generation == generation && place.kind == kind && place.thing.is_some()).then(|| f(place))
}
