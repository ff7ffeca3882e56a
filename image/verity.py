"""The hash tree of dm-verity, version 1: what the kernel's documentation describes under device-mapper/verity.

The guest's kernel checks every block that it reads against this tree, so a mistake here is an image that does not start.
"""

import hashlib
from dataclasses import dataclass

BLOCK = 4096
PER_BLOCK = BLOCK // 32
# initrd/init names the same salt. The data are public, so a secret or a random one would protect nothing.
SALT = bytes(32)


@dataclass(frozen=True)
class Verity:
    """The tree begins right after the data, without a header: its shape follows from the number of blocks."""

    blocks: int
    root: str
    tree: bytes


def block_hashes(data: bytes) -> list[bytes]:
    salted = hashlib.sha256(SALT)
    hashes = []
    for at in range(0, len(data), BLOCK):
        state = salted.copy()
        state.update(data[at : at + BLOCK])
        hashes.append(state.digest())
    return hashes


def verity(data: bytes) -> Verity:
    """The tree over data of whole blocks; the level next to the root comes first."""
    if not data or len(data) % BLOCK:
        raise ValueError(f"{len(data)} bytes are no whole blocks of {BLOCK}")
    blocks, hashes, levels = len(data) // BLOCK, block_hashes(data), []
    while len(hashes) > 1 or not levels:
        level = b"".join(
            b"".join(hashes[at : at + PER_BLOCK]).ljust(BLOCK, b"\0") for at in range(0, len(hashes), PER_BLOCK)
        )
        levels.append(level)
        hashes = block_hashes(level)
    return Verity(blocks, hashes[0].hex(), b"".join(reversed(levels)))
