//! The fields of a session that a snapshot holds, one after the other: the same list counts, writes and reads them.

use half::f16;

use super::error::SessionError;

/// What is done with fields in order.
pub(super) trait Fields {
    /// Whether values are replaced by what was stored.
    fn reads(&self) -> bool {
        false
    }

    /// Takes so many bytes for granted, where only their number is of interest.
    fn counts(&mut self, _bytes: usize) -> bool {
        false
    }

    /// The next number.
    fn number(&mut self, value: &mut u64) -> Result<(), SessionError>;

    /// The next values; how many there are is known.
    fn floats(&mut self, values: &mut [f32]) -> Result<(), SessionError>;

    /// The next bytes; how many there are is known.
    fn bytes(&mut self, bytes: &mut [u8]) -> Result<(), SessionError>;
}

/// What stores fields, and bytes that are no fields.
pub(super) trait Put: Fields {
    /// The next bytes.
    fn put(&mut self, bytes: &[u8]) -> Result<(), SessionError>;
}

/// How values of prompts are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stored {
    /// In half precision.
    Halves,
    /// A byte each, and a scale in half precision for [`BLOCK`] of them.
    Bytes,
}

/// Values that share a scale.
const BLOCK: usize = 32;

/// The first `count` values; behind them are zeros.
pub(super) fn stored(
    fields: &mut dyn Fields,
    values: &mut [f32],
    count: usize,
    how: Stored,
) -> Result<(), SessionError> {
    if how == Stored::Halves {
        return halves(fields, values, count);
    }
    let (stored, rest) = values.split_at_mut_checked(count).ok_or(TOO_LONG)?;
    if fields.counts(count + 2 * count.div_ceil(BLOCK)) {
        return Ok(());
    }
    for block in stored.chunks_mut(BLOCK) {
        let largest = block.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
        let scale = f16::from_f32(largest / 127.0);
        let mut bytes = [0u8; 2 + BLOCK];
        bytes[..2].copy_from_slice(&scale.to_le_bytes());
        let inverse = if scale.to_f32() > 0.0 { scale.to_f32().recip() } else { 0.0 };
        for (byte, value) in bytes[2..].iter_mut().zip(block.iter()) {
            *byte = libm::roundf(value * inverse).clamp(-127.0, 127.0) as i8 as u8;
        }
        fields.bytes(&mut bytes[..2 + block.len()])?;
        if fields.reads() {
            let scale = f16::from_le_bytes([bytes[0], bytes[1]]).to_f32();
            block.iter_mut().zip(&bytes[2..]).for_each(|(value, byte)| *value = scale * f32::from(*byte as i8));
        }
    }
    if fields.reads() {
        rest.fill(0.0);
    }
    Ok(())
}

/// The first `count` values, in half precision; behind them are zeros.
fn halves(fields: &mut dyn Fields, values: &mut [f32], count: usize) -> Result<(), SessionError> {
    let (stored, rest) = values.split_at_mut_checked(count).ok_or(TOO_LONG)?;
    if fields.counts(2 * count) {
        return Ok(());
    }
    for value in stored {
        let mut half = f16::from_f32(*value).to_le_bytes();
        fields.bytes(&mut half)?;
        if fields.reads() {
            *value = f16::from_le_bytes(half).to_f32();
        }
    }
    if fields.reads() {
        rest.fill(0.0);
    }
    Ok(())
}

/// A number of this machine's size.
pub(super) fn size(fields: &mut dyn Fields, value: &mut usize) -> Result<(), SessionError> {
    let mut number = *value as u64;
    fields.number(&mut number)?;
    *value = usize::try_from(number).map_err(|_| RANGE)?;
    Ok(())
}

/// A number of 32 bits.
pub(super) fn small(fields: &mut dyn Fields, value: &mut u32) -> Result<(), SessionError> {
    let mut number = u64::from(*value);
    fields.number(&mut number)?;
    *value = u32::try_from(number).map_err(|_| RANGE)?;
    Ok(())
}

/// A yes or no.
pub(super) fn flag(fields: &mut dyn Fields, value: &mut bool) -> Result<(), SessionError> {
    one_of(fields, value, &[false, true])
}

/// One of a few values.
pub(super) fn one_of<T: Copy + PartialEq>(
    fields: &mut dyn Fields,
    value: &mut T,
    all: &[T],
) -> Result<(), SessionError> {
    let mut at = all.iter().position(|one| one == value).unwrap_or(0);
    size(fields, &mut at)?;
    *value = *all.get(at).ok_or(RANGE)?;
    Ok(())
}

/// More values than there is room for.
pub(super) const TOO_LONG: SessionError =
    SessionError::Snapshot("a prompt has more rows than this session has room for");

/// A number that nothing counts up to.
pub(super) const RANGE: SessionError = SessionError::Snapshot("a count is out of range");

/// Counts bytes.
#[derive(Default)]
pub(super) struct Count(pub usize);

impl Fields for Count {
    fn counts(&mut self, bytes: usize) -> bool {
        self.0 += bytes;
        true
    }

    fn number(&mut self, _: &mut u64) -> Result<(), SessionError> {
        self.0 += 8;
        Ok(())
    }

    fn floats(&mut self, values: &mut [f32]) -> Result<(), SessionError> {
        self.0 += 4 * values.len();
        Ok(())
    }

    fn bytes(&mut self, bytes: &mut [u8]) -> Result<(), SessionError> {
        self.0 += bytes.len();
        Ok(())
    }
}

impl Put for Count {
    fn put(&mut self, bytes: &[u8]) -> Result<(), SessionError> {
        self.0 += bytes.len();
        Ok(())
    }
}

/// Writes to memory whose size was worked out before.
pub(super) struct Write<'a>(pub &'a mut [u8]);

impl Write<'_> {
    /// The next `len` bytes of the memory.
    pub fn take(&mut self, len: usize) -> Result<&mut [u8], SessionError> {
        let all = core::mem::take(&mut self.0);
        let (head, tail) =
            all.split_at_mut_checked(len).ok_or(SessionError::Snapshot("the memory for it is too short"))?;
        self.0 = tail;
        Ok(head)
    }
}

impl Fields for Write<'_> {
    fn number(&mut self, value: &mut u64) -> Result<(), SessionError> {
        self.take(8)?.copy_from_slice(&value.to_le_bytes());
        Ok(())
    }

    fn floats(&mut self, values: &mut [f32]) -> Result<(), SessionError> {
        let to = self.take(4 * values.len())?.as_chunks_mut::<4>().0;
        to.iter_mut().zip(values).for_each(|(to, value)| *to = value.to_le_bytes());
        Ok(())
    }

    fn bytes(&mut self, bytes: &mut [u8]) -> Result<(), SessionError> {
        self.take(bytes.len())?.copy_from_slice(bytes);
        Ok(())
    }
}

impl Put for Write<'_> {
    fn put(&mut self, bytes: &[u8]) -> Result<(), SessionError> {
        self.take(bytes.len())?.copy_from_slice(bytes);
        Ok(())
    }
}

/// Reads; every read is checked.
pub(super) struct Read<'a>(pub &'a [u8]);

impl<'a> Read<'a> {
    /// The next `len` bytes.
    pub fn take(&mut self, len: usize) -> Result<&'a [u8], SessionError> {
        let (head, tail) = self.0.split_at_checked(len).ok_or(SessionError::Snapshot("it ends too early"))?;
        self.0 = tail;
        Ok(head)
    }
}

impl Fields for Read<'_> {
    fn reads(&self) -> bool {
        true
    }

    fn number(&mut self, value: &mut u64) -> Result<(), SessionError> {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(self.take(8)?);
        *value = u64::from_le_bytes(bytes);
        Ok(())
    }

    fn floats(&mut self, values: &mut [f32]) -> Result<(), SessionError> {
        let from = self.take(4 * values.len())?.as_chunks::<4>().0;
        values.iter_mut().zip(from).for_each(|(value, from)| *value = f32::from_le_bytes(*from));
        Ok(())
    }

    fn bytes(&mut self, bytes: &mut [u8]) -> Result<(), SessionError> {
        bytes.copy_from_slice(self.take(bytes.len())?);
        Ok(())
    }
}
