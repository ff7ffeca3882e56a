"""The hash tree of dm-verity, version 1: what the kernel's documentation describes under device-mapper/verity.

The guest's kernel checks every block that it reads against this tree, so a mistake here is an image that does not start.
"""

import hashlib
from dataclasses import dataclass

BLOCK = 4096
PER_BLOCK = BLOCK // 32
# A salt makes no two images share work of an attacker who has none to share: the data are public.
SALT = bytes(32)


@dataclass(frozen=True)
class Verity:
    blocks: int
    root: str
    tree: bytes

    def table(self, device: str) -> str:
        """The device-mapper table: everything about the tree, so that nothing is read from the disk unchecked."""
        first = self.blocks  # The tree begins right after the data; there is no header.
        return (
            f"0 {self.blocks * BLOCK // 512} verity 1 {device} {device} {BLOCK} {BLOCK} {self.blocks} {first} "
            f"sha256 {self.root} {SALT.hex()}"
        )


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
