"""The runtime's noise (ops/src/philox.rs): Philox 4x32-10 and Box-Muller as a function of (seed, frame, step, element)."""

import numpy as np

MASK = np.uint64(0xFFFF_FFFF)
MULTIPLIERS = np.uint64(0xD251_1F53), np.uint64(0xCD9E_8D57)
WEYL = 0x9E37_79B9, 0xBB67_AE85


def philox(counter, key):
    """Ten rounds; `counter` is uint64 [4, n] holding 32-bit words, `key` two integers; returns uint64 [4, n]."""
    for i in range(10):
        low, high = (np.uint64((k + i * w) & 0xFFFF_FFFF) for k, w in zip(key, WEYL))
        a, b = MULTIPLIERS[0] * counter[0], MULTIPLIERS[1] * counter[2]
        shift = np.uint64(32)
        counter = np.stack([(b >> shift) ^ counter[1] ^ low, b & MASK, (a >> shift) ^ counter[3] ^ high, a & MASK])
    return counter


def normal(seed, frame, step, count):
    """`count` (a multiple of 4) standard normal numbers f32 of one latent frame, in channels-last order."""
    quads = np.arange(count // 4, dtype=np.uint64)
    rest = [np.full_like(quads, value) for value in (frame & 0xFFFF_FFFF, step, 0)]
    bits = philox(np.stack([quads, *rest]), (seed & 0xFFFF_FFFF, seed >> 32))
    words = (bits >> np.uint64(8)).astype(np.float32)
    radius = np.sqrt(-2 * np.log((words[0::2] + np.float32(0.5)) * np.float32(2**-24)))
    angle = words[1::2] * np.float32(2**-24) * np.float32(2 * np.pi)
    # [2 pairs, (cos, sin), quads] to one row of four a quad.
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).reshape(4, -1).T.ravel()


def check():
    """Known answers of the Random123 distribution (philox4x32, 10 rounds)."""
    for word, expected in [
        (0, [0x6627_E8D5, 0xE169_C58D, 0xBC57_AC4C, 0x9B00_DBD8]),
        (0xFFFF_FFFF, [0x408F_276D, 0x41C8_3B0E, 0xA20B_C7C6, 0x6D54_51FD]),
    ]:
        found = philox(np.full((4, 1), word, dtype=np.uint64), (word, word)).ravel().tolist()
        assert found == expected, f"philox of {word:#x}: {found}"


if __name__ == "__main__":
    check()
