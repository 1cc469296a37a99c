export { CausewayError, Engine, World, best } from "./engine.js";
export { Stream } from "./stream.js";
