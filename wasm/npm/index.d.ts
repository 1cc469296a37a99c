/** On the processor, with SIMD or without: the frames are the same. On the GPU: nearly the same, and a module that needs the JavaScript beside it. */
export type Module = "simd" | "plain" | "webgpu";

export interface LoadOptions {
  /** A module by its name, instead of the processor's best one. Where "webgpu" cannot be had, that one takes its place, and `note` says why. */
  module?: Module;
  /** Address beside which the .wasm files are. */
  base?: string | URL;
}

export interface OpenOptions {
  seed?: number;
  /** Denoise steps a frame; 0 are the model's. */
  steps?: number;
}

export interface Info {
  name: string;
  /** Frames a second of the world, 0 where the file does not say. */
  fps: number;
  width: number;
  height: number;
  actions: string[];
  events: string[];
  steps: number;
  /** That the session holds. */
  bytes: number;
  device: string;
}

export interface Receipt {
  /** Number of the frame in the stream. */
  frame: number;
  /** Ticket of the newest action that it was made with, and whether it is the first one. */
  action: number;
  firstOfAction: boolean;
  /** Number of the event in force, and whether this frame is the first under it. */
  event: number;
  firstOfEvent: boolean;
  /** When its chunk took the action, and when it was done; microseconds of the worker's `performance.now()`. */
  began: number;
  ready: number;
}

export interface Frame {
  /** RGBA8, row by row. */
  pixels: Uint8ClampedArray;
  width: number;
  height: number;
  receipt: Receipt;
}

/** Of a stream: what it took. */
export interface StreamFrame extends Frame {
  milliseconds: number;
  computed: number;
}

export type Bytes = ArrayBuffer | ArrayBufferView;

export class CausewayError extends Error {}

/** Which module the processor takes, and what there is to say about that: a sentence where it is the slow one. */
export function best(): { module: Module; note: string };

/** The module, in the thread that calls. */
export class Engine {
  private constructor();
  static load(options?: LoadOptions): Promise<Engine>;
  readonly module: Module;
  readonly note: string;
  readonly memory: number;
  open(model: Bytes, options?: OpenOptions): World;
  /** Comes when the device has looked at all that it was handed: a GPU that refuses some of it says so here. */
  settled(): Promise<void>;
  /** On a GPU: comes when that is done with all that it has been handed by now. */
  done(): Promise<void> | undefined;
}

/** A world, in the thread that calls. */
export class World {
  private constructor();
  readonly info: Info;
  /** Gives the action's ticket, which receipts name. */
  act(action: ArrayLike<number>): number;
  event(event: string | number): void;
  /** Comes when the device is ready to make frames; a GPU that refuses what the world was made of says so here. */
  ready(): Promise<void>;
  /** Computes for about so many milliseconds, or hands so much to a GPU; true when a frame is ready. With a GPU, return to the browser between two calls. */
  pump(milliseconds: number): boolean;
  /** On a GPU: comes when that is done with all that it has been handed by now, so that there is room for another pump. */
  done(): Promise<void> | undefined;
  take(): Frame;
  /** The next frame; not on a GPU, which a page cannot wait for. */
  step(action?: ArrayLike<number>, event?: string | number): Frame;
  place(pixels: Bytes): void;
  restart(seed?: number): void;
  save(): Uint8Array;
  load(saved: Bytes): void;
  /** This very moment, for a world of the same model, options and module: the same future, bit for bit. The world may go on before it is there. */
  snapshot(): Promise<Uint8Array>;
  restore(snapshot: Bytes): void;
  close(): void;
}

/** A world in a Worker. */
export class Stream implements AsyncIterable<StreamFrame> {
  private constructor();
  static open(model: Bytes | string | URL, options?: LoadOptions & OpenOptions & { worker?: string | URL }): Promise<Stream>;
  reopen(model: Bytes | string | URL, options?: LoadOptions & OpenOptions): Promise<void>;
  readonly info: Info;
  readonly module: Module;
  readonly note: string;
  act(action: ArrayLike<number>): Promise<number>;
  event(event: string | number): Promise<void>;
  restart(seed?: number): Promise<void>;
  save(): Promise<Uint8Array>;
  load(saved: Bytes): Promise<void>;
  snapshot(): Promise<Uint8Array>;
  restore(snapshot: Bytes): Promise<void>;
  place(pixels: Bytes): Promise<void>;
  next(): Promise<StreamFrame>;
  [Symbol.asyncIterator](): AsyncIterator<StreamFrame>;
  close(): void;
}
