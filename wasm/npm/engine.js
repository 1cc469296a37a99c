// The module and worlds of it, in the thread that calls. A page keeps its thread free with a Stream (stream.js).

/** What the library answered. */
export class CausewayError extends Error {
  name = "CausewayError";
}

// A module of one function that makes a vector: a machine that takes it has 128-bit SIMD.
const SIMD = Uint8Array.from("0061736d010000000105016000017b030201000a080106004100fd0f0b".match(/../g), (byte) => parseInt(byte, 16));

const MODULES = ["simd", "plain", "webgpu"];

/** Which module the processor takes, and what there is to say about that. Both make the same frames. */
export function best() {
  if (WebAssembly.validate(SIMD)) return { module: "simd", note: "" };
  return { module: "plain", note: "this machine has no WebAssembly SIMD: frames take several times as long" };
}

async function read(url) {
  if (url.protocol === "file:") return (await import("node:fs/promises")).readFile(url);
  const answer = await fetch(url);
  if (!answer.ok) throw new CausewayError(`${url}: ${answer.status} ${answer.statusText}`);
  return answer.arrayBuffer();
}

/** Why no world can be on a GPU here, or nothing. */
async function lacking() {
  if (!globalThis.navigator?.gpu) return "there is no WebGPU here";
  if (!(await navigator.gpu.requestAdapter())) return "WebGPU has no GPU here";
}

/** Time for what is not ours. */
const turn = () => new Promise((done) => setTimeout(done, 1));

export class Engine {
  #calls;
  #gpu;

  /**
   * Loads the module: the best one of the processor, or `options.module` by its name; `options.base` is where the files are. Where "webgpu" cannot be had, the best one of
   * the processor takes its place: `module` is the one that is there, `note` says why.
   */
  static async load({ module, base = import.meta.url } = {}) {
    if (module !== undefined && !MODULES.includes(module)) throw new CausewayError(`module is ${module}; there are ${MODULES.join(", ")}`);
    const engine = new Engine();
    let why;
    if (module === "webgpu") {
      why = (await lacking()) ?? (await engine.#open(base));
      if (!why) return engine;
    }
    const chosen = best();
    engine.module = why || module === undefined ? chosen.module : module;
    engine.note = [why && `${why}: frames are made by the processor`, why || module === undefined ? chosen.note : ""].filter(Boolean).join("; ");
    const code = await read(new URL(`causeway-${engine.module}.wasm`, base));
    const { instance } = await WebAssembly.instantiate(code, { causeway: { now: () => performance.now() } });
    engine.#calls = instance.exports;
    return engine;
  }

  /** The module of WebGPU, on the browser's GPU; why that cannot be opened, if it cannot. */
  async #open(base) {
    const gpu = await import(new URL("causeway-webgpu.js", base));
    const calls = await gpu.default({ module_or_path: await read(new URL("causeway-webgpu.wasm", base)) });
    try {
      await gpu.open_gpu();
    } catch (text) {
      return String(text);
    }
    [this.#calls, this.#gpu, this.module, this.note] = [calls, gpu, "webgpu", ""];
  }

  /** Opens a model file. */
  open(model, { seed = 0, steps = 0 } = {}) {
    const at = this.lend(model, (from, count) => this.#calls.cw_open(from, count, seed >>> 0, steps));
    if (at === 0) throw this.#error();
    return new World(this, this.#calls, at);
  }

  /** Comes when the device has looked at all that it was handed: a GPU that refuses some of it says so here. */
  async settled() {
    try {
      await this.#gpu?.settled();
    } catch (text) {
      throw new CausewayError(String(text));
    }
  }

  /** On a GPU: comes when that is done with all that it has been handed by now. */
  done() {
    return this.#gpu?.done();
  }

  /** Bytes that the module holds. */
  get memory() {
    return this.#calls.memory.buffer.byteLength;
  }

  #error() {
    return new CausewayError(this.text());
  }

  /** The newest text. */
  text() {
    const { memory, cw_text, cw_text_bytes } = this.#calls;
    return new TextDecoder().decode(new Uint8Array(memory.buffer, cw_text(), cw_text_bytes()));
  }

  /** `use` of a copy of `data` in the module's memory. */
  lend(data, use) {
    const raw = ArrayBuffer.isView(data) ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength) : new Uint8Array(data);
    const at = this.#calls.cw_take(raw.length);
    try {
      new Uint8Array(this.#calls.memory.buffer, at, raw.length).set(raw);
      return use(at, raw.length);
    } finally {
      this.#calls.cw_give(at, raw.length);
    }
  }

  /** The number, which is an error below 0. */
  check(number) {
    if (number < 0) throw this.#error();
    return number;
  }
}

export class World {
  #engine;
  #calls;
  #at;

  constructor(engine, calls, at) {
    [this.#engine, this.#calls, this.#at] = [engine, calls, at];
    calls.cw_describe(at);
    /** name, fps, width, height, actions, events, steps, bytes, device */
    this.info = JSON.parse(engine.text());
  }

  /** What is pressed from now on: a number for each of `info.actions`. Gives its ticket: receipts name the newest that a frame shows. */
  act(action) {
    return this.#engine.lend(Float32Array.from(action), (at) => this.#engine.check(this.#calls.cw_act(this.#at, at, action.length)));
  }

  /** Puts an event in force with the next frame, by its name or number. */
  event(event) {
    const index = typeof event === "string" ? this.info.events.indexOf(event) : event;
    if (index < 0) throw new CausewayError(`there is no event ${event}; there are ${this.info.events.join(", ")}`);
    this.#engine.check(this.#calls.cw_event(this.#at, index));
  }

  /** Comes when the device is ready to make frames. A GPU that refuses what the world was made of says so here; a processor is ready at once. */
  ready() {
    return this.#engine.settled();
  }

  /** Computes for about so many milliseconds, or hands so much to a GPU; true when a frame is ready. A GPU goes on while the page does something else: with it, return to the browser between two calls. */
  pump(milliseconds) {
    return this.#engine.check(this.#calls.cw_pump(this.#at, Math.max(1, milliseconds * 1000))) === 1;
  }

  /** On a GPU: comes when that is done with all that it has been handed by now, so that there is room for another pump. */
  done() {
    return this.#engine.done();
  }

  /** The frame that is ready, and room for the next one. */
  take() {
    const at = this.#calls.cw_frame(this.#at);
    if (at === 0) throw new CausewayError("no frame is ready: pump first");
    const pixels = new Uint8ClampedArray(this.#calls.memory.buffer, at, 4 * this.info.width * this.info.height).slice();
    this.#calls.cw_receipt(this.#at);
    const receipt = JSON.parse(this.#engine.text());
    this.#calls.cw_release(this.#at);
    return { pixels, width: this.info.width, height: this.info.height, receipt };
  }

  /** The next frame. */
  step(action, event) {
    if (this.#engine.module === "webgpu") throw new CausewayError("step would wait for the GPU, which a page cannot: take frames from a Stream, or pump from time to time");
    if (action) this.act(action);
    if (event !== undefined) this.event(event);
    while (!this.pump(1000));
    return this.take();
  }

  /** Makes a picture, RGBA8 of the world's size, the newest frame. */
  place(pixels) {
    this.#engine.lend(pixels, (at, count) => this.#engine.check(this.#calls.cw_place(this.#at, at, count)));
  }

  /** Begins anew. */
  restart(seed = 0) {
    this.#engine.check(this.#calls.cw_restart(this.#at, seed >>> 0));
  }

  /** A saved game. */
  save() {
    const count = this.#engine.check(this.#calls.cw_save(this.#at));
    return new Uint8Array(this.#calls.memory.buffer, this.#calls.cw_saved(this.#at), count).slice();
  }

  /** Goes on from a saved game. */
  load(saved) {
    this.#engine.lend(saved, (at, count) => this.#engine.check(this.#calls.cw_load(this.#at, at, count)));
  }

  /** This very moment, for a world of the same model, options and module: the same future, bit for bit. The world may go on before it is there. */
  async snapshot() {
    this.#engine.check(this.#calls.cw_begin_snapshot(this.#at));
    let count;
    while ((count = this.#engine.check(this.#calls.cw_poll_snapshot(this.#at))) === 0) {
      await turn();
      if (this.#at === 0) throw new CausewayError("the world was closed before its snapshot was there");
    }
    return new Uint8Array(this.#calls.memory.buffer, this.#calls.cw_snapshot(this.#at), count).slice();
  }

  /** Returns to a snapshot. */
  restore(snapshot) {
    this.#engine.lend(snapshot, (at, count) => this.#engine.check(this.#calls.cw_restore(this.#at, at, count)));
  }

  /** Gives its memory back; it must not be used after that. */
  close() {
    this.#calls.cw_close(this.#at);
    this.#at = 0;
  }
}
