// FNV-1a of 64 bits in two halves: a prime of 2^40 + 435.
export function hash(bytes) {
  let low = 0x84222325, high = 0xcbf29ce4;
  for (const byte of bytes) {
    low = (low ^ byte) >>> 0;
    const product = low * 435;
    high = (Math.imul(high, 435) + Math.floor(product / 2 ** 32) + (low << 8)) >>> 0;
    low = product >>> 0;
  }
  const text = (half) => half.toString(16).padStart(8, "0");
  return text(high) + text(low);
}

/** What examples/c/headless.c presses for a frame. */
export function script(n, actions, events) {
  const action = new Array(actions).fill(0);
  action[Math.floor(n / 3) % actions] = 1;
  return [action, n % 7 === 4 ? Math.floor(n / 7) % events : undefined];
}
