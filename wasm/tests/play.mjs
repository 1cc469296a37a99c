// Plays the script of examples/c/headless.c in node, and prints the hash of each frame, then processor time a frame of the second half: in the first one the
// engine compiles.
//
//     node play.mjs PACKAGE MODEL MODULE FRAMES STEPS [RAW]      RAW: a file for the frames' bytes
import { readFileSync, writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { hash, script } from "./hash.mjs";

const [packaged, file, module, frames, steps, raw] = process.argv.slice(2);
const { best, CausewayError, Engine } = await import(pathToFileURL(`${packaged}/index.js`));
const engine = await Engine.load({ module });
const world = engine.open(readFileSync(file), { seed: 7, steps: Number(steps) });
const { actions, events } = world.info;
const all = [];
let before;
for (let n = 0; n < Number(frames); n++) {
  if (n === Number(frames) >> 1) before = process.cpuUsage();
  all.push(world.step(...script(n, actions.length, events.length)));
}
const { user, system } = process.cpuUsage(before);
for (const frame of all) console.log(frame.receipt.frame, hash(frame.pixels));
console.log("milliseconds", (user + system) / 1000 / (all.length - (all.length >> 1)));
if (raw) writeFileSync(raw, Buffer.concat(all.map((frame) => Buffer.from(frame.pixels))));

// A saved game goes on, and what is wrong is said.
const saved = world.save();
world.step();
world.load(saved);
world.step();
const snapshot = await world.snapshot();
const next = world.step().pixels;
world.restore(snapshot);
if (hash(next) !== hash(world.step().pixels)) throw new Error("a snapshot has two futures");
const refused = (wrong, part) => {
  try {
    wrong();
  } catch (error) {
    if (error instanceof CausewayError && error.message.includes(part)) return;
    throw error;
  }
  throw new Error(`nothing was refused where ${part} was expected`);
};
// node has no WebGPU: the processor takes its place.
const instead = await Engine.load({ module: "webgpu" });
if (instead.module !== best().module || !instead.note.startsWith("there is no WebGPU here")) throw new Error(`${instead.module}: ${instead.note}`);
refused(() => world.act([1]), "5");
refused(() => world.event("noon"), "there is no event noon; there are day, dusk, night");
refused(() => world.load(saved.slice(1)), " ");
refused(() => engine.open(new TextEncoder().encode("no model at all, but a text")), " ");
refused(() => world.take(), "no frame is ready");
world.close();

// A machine without SIMD takes the slow module and says so.
if (best().module !== "simd") throw new Error("this node has no SIMD");
WebAssembly.validate = () => false;
const { module: slow, note } = best();
if (slow !== "plain" || !note.includes("no WebAssembly SIMD")) throw new Error(`${slow}: ${note}`);
