// The page: a world in a canvas, told by keyboard, touch and gamepad.
import { Stream } from "./causeway/index.js";

const $ = (id) => document.getElementById(id);
const canvas = $("canvas"), context = canvas.getContext("2d");
const KEYS = {
  forward: ["ArrowUp", "KeyW"], back: ["ArrowDown", "KeyS"], left: ["ArrowLeft", "KeyA"], right: ["ArrowRight", "KeyD"], use: ["Space", "Enter"],
};
const SPARE = ["KeyE", "KeyQ", "KeyF", "KeyR", "KeyX", "KeyC"];

let stream, keys = new Map();
let model;                   // what plays: its bytes and its name
const held = new Map();      // what holds each action down: keys, fingers, the gamepad
const pressed = [];          // times of actions that no frame has shown yet, by their tickets

const say = (text) => { $("told").textContent = text; };

/** Tells the world what is down; a tap stays down until it is told. */
function act() {
  if (!stream) return;
  const action = stream.info.actions.map((_, index) => Number((held.get(index)?.size ?? 0) > 0));
  const at = performance.now();
  stream.act(action).then((ticket) => pressed.push({ ticket, at }), (error) => say(error.message));
  [...$("actions").children].forEach((button, index) => button.classList.toggle("on", action[index] > 0));
}

function hold(index, by, down) {
  if (!held.has(index)) held.set(index, new Set());
  const set = held.get(index), before = set.size;
  if (down) set.add(by); else set.delete(by);
  if (set.size !== before) act();
}

function tell(index) {
  if (!stream || index >= stream.info.events.length) return;
  stream.event(index).catch((error) => say(error.message));
  [...$("events").children].forEach((button, at) => button.classList.toggle("on", at === index));
}

/** Buttons and keys of the model's own actions and events. */
function furnish() {
  const { info } = stream;
  [canvas.width, canvas.height] = [info.width, info.height];
  canvas.style.aspectRatio = `${info.width} / ${info.height}`;
  keys = new Map();
  held.clear();
  pressed.length = 0;
  const spare = [...SPARE];
  const button = (name, title) => Object.assign(document.createElement("button"), { textContent: name, title });
  $("actions").replaceChildren(...info.actions.map((name, index) => {
    const codes = KEYS[name] ?? [spare.shift()].filter(Boolean);
    codes.forEach((code) => keys.set(code, index));
    const made = button(name, codes.join(", "));
    made.onpointerdown = (event) => { made.setPointerCapture(event.pointerId); hold(index, `finger ${event.pointerId}`, true); };
    made.onpointerup = made.onpointercancel = (event) => hold(index, `finger ${event.pointerId}`, false);
    return made;
  }));
  $("events").replaceChildren(...info.events.map((name, index) => {
    const made = button(name, `key ${index + 1}`);
    made.onclick = () => tell(index);
    return made;
  }));
  const size = Math.round(info.bytes / 1e6);
  say(stream.note || `${info.name}: ${info.width}x${info.height}, ${info.steps} steps, ${size} MB, module ${stream.module}`);
}

/** Stick and buttons: the first four directions, and the first button for what comes fifth. */
function gamepad() {
  const pad = navigator.getGamepads?.().find(Boolean);
  if (!pad || !stream) return;
  const [x = 0, y = 0] = pad.axes, on = (index) => pad.buttons[index]?.pressed ?? false;
  const down = { forward: y < -0.4 || on(12), back: y > 0.4 || on(13), left: x < -0.4 || on(14), right: x > 0.4 || on(15), use: on(0) };
  stream.info.actions.forEach((name, index) => { if (name in down) hold(index, "gamepad", down[name]); });
}

/** Opens a model on a device, the one that plays unless it is told; `from` is a saved game to go on from. */
async function open(bytes, name, { webgpu = stream?.module === "webgpu", from } = {}) {
  let next;
  try {
    next = await Stream.open(bytes, { seed: Math.floor(Math.random() * 2 ** 31), module: webgpu ? "webgpu" : undefined });
    if (from) await next.load(from);
  } catch (error) {
    // The world that plays goes on.
    next?.close();
    say(`${name}: ${error.message}`);
    return;
  }
  stream?.close();
  stream = next;
  model = { bytes, name };
  for (const id of ["cpu", "webgpu"]) $(id).classList.toggle("on", (id === "webgpu") === (stream.module === "webgpu"));
  furnish();
  play(stream);
}

let moving = false;

/** The same place on the other device. */
async function move(webgpu) {
  if (!stream || moving || webgpu === (stream.module === "webgpu")) return;
  moving = true;
  say(webgpu ? "opening the GPU …" : "back to the processor …");
  try {
    await open(model.bytes, model.name, { webgpu, from: await stream.save() });
  } catch (error) {
    say(error.message);
  } finally {
    moving = false;
  }
}

async function play(mine) {
  let frames = 0, since = performance.now(), latency = 0, due = since;
  try {
    for await (const frame of mine) {
      if (mine !== stream) return;
      gamepad();
      context.putImageData(new ImageData(frame.pixels, frame.width, frame.height), 0, 0);
      const now = performance.now();
      while (pressed.length && pressed[0].ticket <= frame.receipt.action) latency = now - pressed.shift().at;
      frames += 1;
      if (now - since > 1000) {
        const rate = (1000 * frames / (now - since)).toFixed(1);
        $("numbers").textContent = `${rate} frames/s, ${(mine.module === "webgpu" ? frame.milliseconds : frame.computed).toFixed(0)} ms a frame, input to picture ${latency.toFixed(0)} ms`;
        document.body.dataset.frames = Number(document.body.dataset.frames ?? 0) + frames;
        [frames, since] = [0, now];
      }
      // No faster than the world's own pace.
      due = Math.max(due + 1000 / (mine.info.fps || 20), now - 100);
      if (due > now) await new Promise((done) => setTimeout(done, due - now));
    }
  } catch (error) {
    if (mine === stream) say(error.message);
  }
}

addEventListener("keydown", (event) => {
  if (event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
  if (keys.has(event.code)) hold(keys.get(event.code), event.code, true);
  else if (/^Digit[1-9]$/.test(event.code)) tell(Number(event.code[5]) - 1);
  else return;
  event.preventDefault();
});
addEventListener("keyup", (event) => { if (keys.has(event.code)) hold(keys.get(event.code), event.code, false); });
addEventListener("blur", () => { held.clear(); act(); });
$("cpu").onclick = () => move(false);
$("webgpu").onclick = () => move(true);
$("again").onclick = () => stream?.restart(Math.floor(Math.random() * 2 ** 31));
$("file").onchange = async ({ target }) => { const [file] = target.files; if (file) open(await file.arrayBuffer(), file.name); };
addEventListener("dragover", (event) => { event.preventDefault(); $("main").classList.add("over"); });
addEventListener("dragleave", () => $("main").classList.remove("over"));
addEventListener("drop", async (event) => {
  event.preventDefault();
  $("main").classList.remove("over");
  const [file] = event.dataTransfer.files;
  if (file) open(await file.arrayBuffer(), file.name);
});

const answer = await fetch("./keep.safetensors").catch((error) => ({ statusText: error.message }));
if (answer.ok) open(await answer.arrayBuffer(), "keep.safetensors");
else say(`keep.safetensors: ${answer.statusText}; the page must come from a web server, not from a file`);
