// A world in a Worker: frames come by `for await`, actions go in at any time.
import { CausewayError } from "./engine.js";

export class Stream {
  #worker;
  #asked = new Map();
  #waiting = [];
  #id = 0;
  #closed;

  /** Opens a model file, bytes or an address. Options are those of Engine.load and Engine.open. */
  static async open(model, options = {}) {
    const stream = new Stream();
    const at = options.worker ?? new URL("./worker.js", import.meta.url);
    stream.#worker = new Worker(at, { type: "module" });
    stream.#worker.onmessage = ({ data }) => stream.#told(data);
    stream.#worker.onerror = (event) => stream.#fail(new CausewayError(event.message || `${at} cannot be loaded`));
    try {
      await stream.reopen(model, options);
    } catch (error) {
      stream.close();
      throw error;
    }
    return stream;
  }

  /** Opens another model in place of the one that plays, which goes on where the other one is refused. */
  async reopen(model, { seed, steps, module, base } = {}) {
    if (typeof model === "string" || model instanceof URL) {
      const answer = await fetch(model);
      if (!answer.ok) throw new CausewayError(`${model}: ${answer.status} ${answer.statusText}`);
      model = await answer.arrayBuffer();
    }
    const told = await this.#ask("open", { model, options: { seed, steps, module, base: base && String(base) } });
    /** As World.info. */
    this.info = told.info;
    this.module = told.module;
    this.note = told.note;
  }

  #told(data) {
    if (data.frame) return this.#waiting.shift()?.done(data.frame);
    if (data.failed) return this.#fail(new CausewayError(data.failed));
    const { done, refused } = this.#asked.get(data.id);
    this.#asked.delete(data.id);
    if (data.error === undefined) done(data.answer);
    else refused(new CausewayError(data.error));
  }

  #fail(error) {
    for (const { refused } of [...this.#asked.values(), ...this.#waiting]) refused(error);
    this.#asked.clear();
    this.#waiting = [];
  }

  #ask(call, data = {}) {
    if (this.#closed) return Promise.reject(new CausewayError("the stream is closed"));
    const id = this.#id++;
    return new Promise((done, refused) => {
      this.#asked.set(id, { done, refused });
      this.#worker.postMessage({ call, id, ...data });
    });
  }

  /** What is pressed from now on; gives its ticket. */
  act(action) {
    return this.#ask("act", { action: [...action] });
  }

  /** Puts an event in force with the next frame, by its name or number. */
  event(event) {
    return this.#ask("event", { event });
  }

  /** Begins anew. */
  restart(seed = 0) {
    return this.#ask("restart", { seed });
  }

  /** A saved game. */
  save() {
    return this.#ask("save");
  }

  /** Goes on from a saved game. */
  load(saved) {
    return this.#ask("load", { saved });
  }

  /** This very moment, for a stream of the same model, options and module: the same future, bit for bit. */
  snapshot() {
    return this.#ask("snapshot");
  }

  /** Returns to a snapshot. */
  restore(snapshot) {
    return this.#ask("restore", { snapshot });
  }

  /** Makes a picture, RGBA8 of the world's size, the newest frame. */
  place(pixels) {
    return this.#ask("place", { pixels });
  }

  /** The next frame: pixels (RGBA8), width, height, receipt, milliseconds that it took, and those that were computed. */
  next() {
    if (this.#closed) return Promise.reject(new CausewayError("the stream is closed"));
    return new Promise((done, refused) => {
      this.#waiting.push({ done, refused });
      this.#worker.postMessage({ call: "next" });
    });
  }

  async *[Symbol.asyncIterator]() {
    while (!this.#closed) yield await this.next();
  }

  /** Ends the thread. */
  close() {
    this.#closed = true;
    this.#worker.terminate();
    this.#fail(new CausewayError("the stream is closed"));
  }
}
