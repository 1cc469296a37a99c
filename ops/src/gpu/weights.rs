//! Weights in GPU memory. Matrices keep the file's encoding and are decoded by the kernels; convolutions become `f32` rows in
//! the order conv2d.wgsl walks them; everything else becomes plain `f32`. Weights that one dispatch reads ([`Fusion::neighbours`]) lie one
//! after the other in one buffer, if they are of one type.

use std::collections::HashMap;

use crate::{
    backend::{BackendError, find_weight},
    buffer::{Weight, WeightId, WeightRole},
    gpu::fusion::Fusion,
    plan::Plan,
    quant::{DType, TensorView, WeightSource},
    stored::{Bytes, ReadError},
};

/// All weights of a plan on a device, uploaded once; backends of plans that name the same ones share them.
pub struct GpuWeights {
    names: Vec<Weight>,
    pub(super) list: Vec<GpuWeight>,
    /// Bytes that they take.
    pub(super) bytes: usize,
}

impl GpuWeights {
    /// Whether a backend of `plan` can use them.
    pub fn fit(&self, plan: &Plan) -> bool {
        self.names == plan.weights
    }
}

/// A weight on the GPU.
pub(super) struct GpuWeight {
    pub data: wgpu::Buffer,
    /// Scales of a quantised matrix.
    pub scales: Option<wgpu::Buffer>,
    pub role: WeightRole,
    /// Encoding of `data`.
    pub dtype: DType,
    /// Its first row in `data`, or its first element if it is a vector.
    pub first: usize,
    /// Which of the lists of neighbours shares `data`.
    pub joint: Option<usize>,
}

/// How a weight will lie in memory.
#[derive(PartialEq)]
struct Shape {
    dtype: DType,
    rows: usize,
    /// Values a row, without and with padding to a multiple of 4, which kernels read at once.
    cols: usize,
    stride: usize,
}

impl Shape {
    fn new(role: WeightRole, view: &TensorView<'_>) -> Self {
        let (rows, cols) = if role == WeightRole::Vector { (1, view.len()) } else { (view.rows(), view.cols()) };
        let dtype = if role == WeightRole::Matrix { view.dtype } else { DType::F32 };
        Self { dtype, rows, cols, stride: cols.next_multiple_of(4) }
    }

    /// Bytes of values and of scales.
    fn bytes(&self) -> [usize; 2] {
        let count = self.rows * self.stride;
        // Quantised rows are whole blocks, so that their padding is none and the count fits.
        let data = self.dtype.data_bytes(count).unwrap_or(4 * count);
        [data, self.dtype.scale_bytes(count)].map(|bytes| bytes.next_multiple_of(16))
    }

    /// Whether its bytes end where the next weight's may begin.
    fn is_whole(&self) -> bool {
        let count = self.rows * self.stride;
        [self.dtype.data_bytes(count), Some(self.dtype.scale_bytes(count))] == self.bytes().map(Some)
            && (self.dtype != DType::F32 || self.rows > 1 || self.stride == self.cols)
    }
}

/// Exact bytes of all weights of a plan.
pub(super) fn bytes(plan: &Plan, source: &dyn WeightSource) -> Result<usize, BackendError> {
    plan.weights.iter().try_fold(0, |sum, weight| {
        let [data, scales] = Shape::new(weight.role, &find_weight(weight, source)?).bytes();
        Ok(sum + data + scales)
    })
}

/// All weights of a plan on their way to a device.
pub(super) struct Uploading {
    names: Vec<Weight>,
    list: Vec<GpuWeight>,
    neighbours: Vec<Vec<WeightId>>,
    /// Buffers of those lists of which some are there: data and scales.
    rooms: HashMap<usize, (wgpu::Buffer, Option<wgpu::Buffer>)>,
    /// Bytes that are there.
    pub(super) done: usize,
    /// Bytes that wait in wgpu's staging memory.
    pending: usize,
}

impl Uploading {
    pub(super) fn new(plan: &Plan) -> Self {
        Self {
            names: plan.weights.clone(),
            list: Vec::with_capacity(plan.weights.len()),
            neighbours: Fusion::new(plan, false).neighbours(),
            rooms: HashMap::new(),
            done: 0,
            pending: 0,
        }
    }

    /// The list that the next weight shares a buffer with, and its place there.
    fn joint(&self, source: &dyn WeightSource) -> Result<Option<(usize, usize)>, BackendError> {
        let id = WeightId(self.list.len() as u32);
        let place = |list: &Vec<WeightId>| list.iter().position(|&other| other == id);
        let found = self.neighbours.iter().enumerate().find_map(|(at, list)| Some((at, place(list)?)));
        let Some((at, index)) = found else { return Ok(None) };
        let mut shapes = Vec::new();
        for id in &self.neighbours[at] {
            let weight = &self.names[id.0 as usize];
            shapes.push(Shape::new(weight.role, &find_weight(weight, source)?));
        }
        let alike = shapes.iter().all(|shape| *shape == shapes[0] && shape.is_whole());
        Ok(alike.then_some((at, index)))
    }

    /// Uploads the next weight; whether all are there.
    pub(super) fn step(
        &mut self,
        device: &wgpu::Device,
        queue: &wgpu::Queue,
        source: &dyn WeightSource,
    ) -> Result<bool, BackendError> {
        let Some(weight) = self.names.get(self.list.len()) else { return Ok(true) };
        let view = find_weight(weight, source)?;
        let shape = Shape::new(weight.role, &view);
        let bytes = shape.bytes();
        let mut upload = Upload { device, queue, pending: self.pending };
        let joint = self.joint(source)?;
        let index = joint.map_or(0, |(_, index)| index);
        let (data, scales) = match joint {
            None => upload.room(&weight.name, bytes),
            Some((at, _)) => {
                let all = bytes.map(|bytes| bytes * self.neighbours[at].len());
                self.rooms.entry(at).or_insert_with(|| upload.room(&weight.name, all)).clone()
            }
        };
        let there = GpuWeight {
            data,
            scales: scales.filter(|_| view.scales.is_some()),
            role: weight.role,
            dtype: shape.dtype,
            first: index * if weight.role == WeightRole::Vector { shape.cols } else { shape.rows },
            joint: joint.map(|(at, _)| at),
        };
        let offsets = bytes.map(|bytes| bytes * index);
        upload.weight(&there, offsets, weight, &view).map_err(|error| BackendError::unread(&weight.name, error))?;
        self.pending = upload.pending;
        self.done += bytes.iter().sum::<usize>();
        self.list.push(there);
        Ok(self.list.len() == self.names.len())
    }

    /// The weights, of which as many are there as were uploaded.
    pub(super) fn list(&self) -> &[GpuWeight] {
        &self.list
    }

    /// The weights, which are all there.
    pub(super) fn finish(self) -> GpuWeights {
        GpuWeights { names: self.names, list: self.list, bytes: self.done }
    }
}

struct Upload<'a> {
    device: &'a wgpu::Device,
    queue: &'a wgpu::Queue,
    /// Bytes that wait in wgpu's staging memory.
    pending: usize,
}

impl Upload<'_> {
    /// Buffers of so many bytes, for values and for scales.
    fn room(&self, label: &str, bytes: [usize; 2]) -> (wgpu::Buffer, Option<wgpu::Buffer>) {
        let [data, scales] = bytes.map(|size| {
            (size > 0).then(|| {
                self.device.create_buffer(&wgpu::BufferDescriptor {
                    label: Some(label),
                    size: size as u64,
                    usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST,
                    mapped_at_creation: false,
                })
            })
        });
        // A weight without values is refused by its operator.
        let data = data.unwrap_or_else(|| self.room(label, [16, 0]).0);
        (data, scales)
    }

    /// Writes a weight to its buffers, from these bytes on.
    fn weight(
        &mut self,
        to: &GpuWeight,
        offsets: [usize; 2],
        weight: &Weight,
        view: &TensorView<'_>,
    ) -> Result<(), ReadError> {
        let shape = Shape::new(weight.role, view);
        let as_it_is = shape.dtype == view.dtype && shape.stride == shape.cols && weight.role != WeightRole::Conv;
        if as_it_is && cfg!(target_endian = "little") {
            self.write(&to.data, offsets[0], view.data)?;
        } else {
            self.write(&to.data, offsets[0], Bytes::Here(&arrange(weight, view, &shape)?))?;
        }
        match (&to.scales, view.scales) {
            (Some(buffer), Some(bytes)) => self.write(buffer, offsets[1], bytes),
            _ => Ok(()),
        }
    }

    fn write(&mut self, buffer: &wgpu::Buffer, offset: usize, bytes: Bytes<'_>) -> Result<(), ReadError> {
        const MOST_PENDING: usize = 32 << 20;
        bytes.pieces(|at, piece| {
            // Copies are of whole words; what is left, at the end of the last piece, is zero.
            let (words, rest) = piece.split_at(piece.len() / 4 * 4);
            self.queue.write_buffer(buffer, (offset + at) as u64, words);
            if !rest.is_empty() {
                let mut last = [0; 4];
                last[..rest.len()].copy_from_slice(rest);
                self.queue.write_buffer(buffer, (offset + at + words.len()) as u64, &last);
            }
            self.pending += piece.len();
            if self.pending > MOST_PENDING {
                self.pending = 0;
                self.queue.submit([]);
                // Staging memory comes free once the copies are done. A lost device shows in the next checked call.
                let _ = self.device.poll(wgpu::PollType::wait_indefinitely());
            }
            Ok::<_, ReadError>(())
        })
    }
}

/// Rows padded to the stride; a convolution's [channel, tap] turned into [tap, channel].
fn arrange(weight: &Weight, view: &TensorView<'_>, shape: &Shape) -> Result<Vec<u8>, ReadError> {
    let taps = if weight.role == WeightRole::Conv { weight.shape.iter().skip(2).product::<usize>().max(1) } else { 1 };
    let channels = shape.cols / taps;
    let mut out = Vec::with_capacity(shape.bytes()[0]);
    let mut put = |row: &[f32]| {
        for position in 0..shape.stride {
            let value = if position < shape.cols { row[position % channels * taps + position / channels] } else { 0.0 };
            match shape.dtype {
                DType::F16 => out.extend(half::f16::from_f32(value).to_le_bytes()),
                _ => out.extend(value.to_le_bytes()),
            }
        }
    };
    if shape.rows == view.rows() {
        let mut values = vec![0.0f32; shape.cols];
        view.each_row(|_, row| {
            row.decode(&mut values);
            put(&values);
        })?;
    } else {
        put(&view.to_f32()?); // a vector of several dimensions is one row here
    }
    Ok(out)
}
