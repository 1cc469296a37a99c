// A world in a thread of its own, told by stream.js. Between slices of a frame what is pressed comes in.
import { Engine } from "./engine.js";

const SLICE = 6;
let engine, asked, world;
// Answers come in the order of questions: one frame is under way at a time.
let wanted = 0, busy = false;

// A turn of the event loop that is not put off, as timers are.
const { port1, port2 } = new MessageChannel();
const turn = () => new Promise((done) => { port1.onmessage = done; port2.postMessage(0); });

async function work() {
  if (busy) return;
  busy = true;
  while (wanted > 0 && world) {
    const began = performance.now();
    let ready = false, spent = 0, before;
    while (!ready && wanted > 0 && world) {
      const from = performance.now();
      ready = world.pump(SLICE);
      spent += performance.now() - from;
      // A GPU goes on by itself. It is waited for what it had before the last pump, so that it always has something to do.
      const handed = ready ? undefined : world.done();
      await before;
      before = handed;
      await turn();
    }
    if (!ready || !world) break;
    const frame = world.take();
    wanted -= 1;
    postMessage({ frame: { ...frame, milliseconds: performance.now() - began, computed: spent } }, [frame.pixels.buffer]);
  }
  busy = false;
}

const answers = {
  async open({ model, options }) {
    // A GPU may have been lost since it was opened.
    if (!engine || engine.module === "webgpu" || (options.module ?? asked) !== asked) engine = await Engine.load({ ...options, module: options.module ?? asked });
    asked = options.module ?? asked;
    const next = engine.open(model, options);
    await next.ready();
    world?.close();
    world = next;
    return { info: world.info, module: engine.module, note: engine.note };
  },
  act: ({ action }) => world.act(action),
  event: ({ event }) => world.event(event),
  restart: ({ seed }) => world.restart(seed),
  save: () => world.save(),
  load: ({ saved }) => world.load(saved),
  snapshot: () => world.snapshot(),
  restore: ({ snapshot }) => world.restore(snapshot),
  place: ({ pixels }) => world.place(pixels),
};

onmessage = async ({ data }) => {
  if (data.call === "next") {
    wanted += 1;
    work().catch((error) => { busy = false; wanted = 0; postMessage({ failed: error.message }); });
    return;
  }
  try {
    if (!world && data.call !== "open") throw new Error("no world is open");
    postMessage({ id: data.id, answer: await answers[data.call](data) });
  } catch (error) {
    postMessage({ id: data.id, error: error.message });
  }
};
