// The module and worlds of it, in the thread that calls. A page keeps its thread free with a Stream (stream.js).

/** What the library answered. */
export class CausewayError extends Error {
  name = "CausewayError";
}

// A module of one function that makes a vector: a machine that takes it has 128-bit SIMD.
const SIMD = Uint8Array.from("0061736d010000000105016000017b030201000a080106004100fd0f0b".match(/../g), (byte) => parseInt(byte, 16));

const MODULES = ["simd", "plain"];

/** Which module this machine takes, and what there is to say about that. Both make the same frames. */
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

export class Engine {
  #calls;

  /** Loads the module: the best one, or `options.module` by its name; `options.base` is where the .wasm files are. */
  static async load({ module, base = import.meta.url } = {}) {
    const chosen = best();
    if (module !== undefined && !MODULES.includes(module)) throw new CausewayError(`module is ${module}; there are ${MODULES.join(", ")}`);
    const name = module ?? chosen.module;
    const code = await read(new URL(`causeway-${name}.wasm`, base));
    const { instance } = await WebAssembly.instantiate(code, { causeway: { now: () => performance.now() } });
    const engine = new Engine();
    engine.#calls = instance.exports;
    engine.module = name;
    engine.note = module === undefined ? chosen.note : "";
    return engine;
  }

  /** Opens a model file. */
  open(model, { seed = 0, steps = 0 } = {}) {
    const at = this.lend(model, (from, count) => this.#calls.cw_open(from, count, seed >>> 0, steps));
    if (at === 0) throw this.#error();
    return new World(this, this.#calls, at);
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

  /** Computes for about so many milliseconds; true when a frame is ready. */
  pump(milliseconds) {
    return this.#engine.check(this.#calls.cw_pump(this.#at, Math.max(1, milliseconds * 1000))) === 1;
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

  /** Gives its memory back; it must not be used after that. */
  close() {
    this.#calls.cw_close(this.#at);
    this.#at = 0;
  }
}
