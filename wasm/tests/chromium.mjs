// Has a real Chromium play, told by its debugging pipe.
//
//     node chromium.mjs SITE frames FRAMES STEPS     the script of examples/c/headless.c in a Worker: a hash a frame
//     node chromium.mjs SITE page [PICTURES]         the page as a player uses it; PICTURES: a folder for a picture of it ten times a second
//     node chromium.mjs SITE webgpu FRAMES STEPS RAW the script by WebGPU, on the browser's GPU of software; RAW: a file for the frames' bytes, of
//                                                    which the last two times two are those after a saved game, by WebGPU and by the processor
//     node chromium.mjs SITE switch                  the page's switch between the processor and WebGPU
//     node chromium.mjs SITE kernels FOLDER          a line for each text of WGSL in the folder that the browser's compiler refuses, and one that counts
import { spawn } from "node:child_process";
import { createReadStream, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { dirname, extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";

const [site, mode, ...more] = process.argv.slice(2);
const here = dirname(fileURLToPath(import.meta.url));
const TYPES = { ".html": "text/html", ".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm" };
const server = createServer((request, answer) => {
  const path = normalize(new URL(request.url, "http://x").pathname);
  if (path === "/empty") return answer.setHeader("content-type", "text/html").end("<!doctype html>");
  const file = path === "/hash.mjs" ? join(here, "hash.mjs") : join(site, path === "/" ? "index.html" : path);
  if (!existsSync(file)) return answer.writeHead(404).end();
  answer.setHeader("content-type", TYPES[extname(file)] ?? "application/octet-stream");
  createReadStream(file).pipe(answer);
});
await new Promise((done) => server.listen(0, "127.0.0.1", done));
const origin = `http://127.0.0.1:${server.address().port}`;

const profile = mkdtempSync(join(tmpdir(), "causeway-chromium-"));
const gpu = ["webgpu", "switch", "kernels"].includes(mode) ? ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"] : ["--disable-gpu"];
const flags = ["--headless=new", "--no-sandbox", ...gpu, "--no-first-run", "--remote-debugging-pipe", `--user-data-dir=${profile}`, "about:blank"];
const browser = spawn(process.env.CHROMIUM ?? "chromium", flags, { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] });
browser.on("error", (error) => { throw error; });
const [asked, heard] = [new Map(), []];
let id = 0, rest = "";
browser.stdio[4].on("data", (data) => {
  const parts = (rest + data).split("\0");
  rest = parts.pop();
  for (const message of parts.map((part) => JSON.parse(part))) {
    if (message.id === undefined) { heard.push(message); continue; }
    const { done, refused } = asked.get(message.id);
    asked.delete(message.id);
    if (message.error) refused(new Error(message.error.message)); else done(message.result);
  }
});
let sessionId;
const call = (method, params = {}) => new Promise((done, refused) => {
  asked.set(++id, { done, refused });
  browser.stdio[3].write(JSON.stringify({ id, method, params, sessionId }) + "\0");
});
const evaluate = async (source) => {
  const { result, exceptionDetails } = await call("Runtime.evaluate", { expression: `(async () => { ${source} })()`, awaitPromise: true, returnByValue: true });
  if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
  return result.value;
};
const sleep = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));
async function until(what, source, seconds = 120) {
  for (let n = 0; n < seconds * 5; n++) {
    if (await evaluate(`return ${source}`)) return;
    await sleep(200);
  }
  throw new Error(`${what}: not in ${seconds} seconds; the page says: ${await evaluate('return document.getElementById("told")?.textContent')}`);
}
function ensure(truth, what) {
  if (!truth) throw new Error(what);
}

// Of the page: frames that it has shown, and what it says.
const frames = "Number(document.body.dataset.frames ?? 0)";
const told = () => evaluate('return document.getElementById("told").textContent');
/** The button `to` pressed, and which one is on when the page has said that and shown frames. */
async function switched(to, said) {
  await evaluate(`document.getElementById("${to}").click()`);
  await until(`a switch to ${to}`, `document.getElementById("told").textContent.${said}`);
  const before = await evaluate(`return ${frames}`);
  // A GPU of software on a busy machine is slow.
  await until(`frames of ${to}`, `${frames} > ${before}`, 300);
  console.log(`${await told()}: ${await evaluate('return document.getElementById("numbers").textContent')}`);
  return evaluate('return [...document.querySelectorAll("#devices button.on")].map((button) => button.id).join()');
}

try {
  const { targetId } = await call("Target.createTarget", { url: `${origin}/${["page", "switch"].includes(mode) ? "" : "empty"}` });
  ({ sessionId } = await call("Target.attachToTarget", { targetId, flatten: true }));
  await call("Page.enable");
  await until("the page", `location.origin === "${origin}" && document.readyState === "complete"`);
  if (mode === "frames") {
    const lines = await evaluate(`
      const { Stream } = await import("/causeway/index.js");
      const { hash, script } = await import("/hash.mjs");
      const stream = await Stream.open("/keep.safetensors", { seed: 7, steps: ${Number(more[1])} });
      const lines = [];
      for (let n = 0; n < ${Number(more[0])}; n++) {
        const [action, event] = script(n, stream.info.actions.length, stream.info.events.length);
        await stream.act(action);
        if (event !== undefined) await stream.event(event);
        const frame = await stream.next();
        lines.push(frame.receipt.frame + " " + hash(frame.pixels));
      }
      return lines.join("\\n");`);
    console.log(lines);
  } else if (mode === "webgpu") {
    const { text, frames } = await evaluate(`
      const { Stream } = await import("/causeway/index.js");
      const { script } = await import("/hash.mjs");
      const model = await (await fetch("/keep.safetensors")).arrayBuffer();
      const open = (module) => Stream.open(model, { seed: 7, steps: ${Number(more[1])}, module });
      const stream = await open("webgpu");
      const frames = [];
      const play = async (stream, from, to) => {
        for (let n = from; n < to; n++) {
          const [action, event] = script(n, stream.info.actions.length, stream.info.events.length);
          await stream.act(action);
          if (event !== undefined) await stream.event(event);
          const { pixels } = await stream.next();
          frames.push(btoa(String.fromCharCode(...pixels)));
        }
      };
      const count = ${Number(more[0])};
      await play(stream, 0, count);
      // Twice the same future of a snapshot.
      const snapshot = await stream.snapshot();
      const future = async () => { await stream.restore(snapshot); return btoa(String.fromCharCode(...(await stream.next()).pixels)); };
      if ((await future()) !== (await future())) throw new Error("a snapshot has two futures");
      const saved = await stream.save();
      await stream.restart(1);
      await stream.next();
      await stream.load(saved);
      await play(stream, count, count + 2);
      const other = await open();
      await other.load(saved);
      await play(other, count, count + 2);
      return { text: stream.module + (stream.note && ": " + stream.note) + ", then " + other.module, frames };`);
    console.log(text);
    writeFileSync(more[2], Buffer.concat(frames.map((frame) => Buffer.from(frame, "base64"))));
  } else if (mode === "kernels") {
    const texts = Object.fromEntries(readdirSync(more[0]).map((name) => [name, readFileSync(join(more[0], name), "utf8")]));
    const refused = await evaluate(`
      const device = await (await navigator.gpu.requestAdapter()).requestDevice();
      const refused = [];
      for (const [name, code] of Object.entries(${JSON.stringify(texts)})) {
        const { messages } = await device.createShaderModule({ code }).getCompilationInfo();
        const wrong = messages.find(({ type }) => type === "error");
        if (wrong) refused.push(name + ": " + wrong.message + ": " + code.split("\\n")[wrong.lineNum - 1]);
      }
      return refused;`);
    console.log([...refused, `${Object.keys(texts).length} kernels, ${refused.length} refused`].join("\n"));
  } else if (mode === "switch") {
    await until("frames", `${frames} > 3`);
    ensure((await switched("webgpu", 'endsWith("module webgpu")')) === "webgpu", "the switch does not show WebGPU");
    ensure((await switched("cpu", 'endsWith("module simd")')) === "cpu", "the switch does not show the processor");
  } else {
    await until("frames", `${frames} > 3`);
    console.log(await told());
    ensure((await told()).startsWith("keep: 64x64"), await told());
    ensure(await evaluate('return new Set(document.getElementById("canvas").getContext("2d").getImageData(0, 0, 64, 64).data).size > 50'), "the canvas is empty");
    const key = (type, code, key) => call("Input.dispatchKeyEvent", { type, code, key });
    const on = (row) => evaluate(`return [...document.querySelectorAll("#${row} button.on")].map((button) => button.textContent).join()`);
    await key("keyDown", "ArrowUp", "ArrowUp");
    await key("keyDown", "KeyA", "a");
    ensure((await on("actions")) === "forward,left", `held: ${await on("actions")}`);
    await key("keyDown", "Digit3", "3");
    ensure((await on("events")) === "night", `event: ${await on("events")}`);
    if (more[0]) {
      mkdirSync(more[0], { recursive: true });
      for (let n = 0; n < 64; n++) {
        if (n === 20) await key("keyUp", "KeyA", "a");
        if (n === 40) await key("keyDown", "Digit1", "1");
        const { data } = await call("Page.captureScreenshot", { format: "png" });
        writeFileSync(join(more[0], `${String(n).padStart(3, "0")}.png`), Buffer.from(data, "base64"));
        await sleep(100);
      }
    }
    await until("a latency", 'document.getElementById("numbers").textContent.includes("frames/s")');
    await key("keyUp", "ArrowUp", "ArrowUp");
    await key("keyUp", "KeyA", "a");
    ensure((await on("actions")) === "", "a key stays down");
    // A finger on a button.
    const at = await evaluate('const { x, y } = document.querySelectorAll("#actions button")[4].getBoundingClientRect(); return [x + 5, y + 5]');
    await call("Input.dispatchTouchEvent", { type: "touchStart", touchPoints: [{ x: at[0], y: at[1] }] });
    ensure((await on("actions")) === "use", `touched: ${await on("actions")}`);
    await call("Input.dispatchTouchEvent", { type: "touchEnd", touchPoints: [] });

    // A wrong model is named, and the world goes on.
    const wrong = join(profile, "holiday.safetensors");
    writeFileSync(wrong, "these are no weights");
    await call("DOM.enable");
    const { root } = await call("DOM.getDocument");
    const { nodeId } = await call("DOM.querySelector", { nodeId: root.nodeId, selector: "#file" });
    await call("DOM.setFileInputFiles", { nodeId, files: [wrong] });
    await until("a refusal", 'document.getElementById("told").textContent.startsWith("holiday.safetensors: ")');
    console.log(await told());
    const before = await evaluate(`return ${frames}`);
    await until("frames after a refusal", `${frames} > ${before}`);
    console.log(await evaluate('return document.getElementById("numbers").textContent'));
    // Where there is no GPU, the page says so in a sentence and the world goes on.
    ensure((await switched("webgpu", 'startsWith("WebGPU has no GPU here")')) === "cpu", "the switch shows a GPU that is not there");
  }
} finally {
  browser.kill();
  server.close();
  await sleep(300);
  rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
}
process.exit(0);
