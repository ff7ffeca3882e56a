"""The archives and the hash tree depend on what is in them and on nothing else."""

import hashlib
import random
import unittest

from tree import Tree
from verity import BLOCK, SALT, verity

FILES = {"etc/a": b"1", "etc/b/c": b"22", "bin/x": b"", "etc/b-c": b"333"}


def tree(names: list[str]) -> Tree:
    made = Tree()
    for name in names:
        made.file(name, FILES[name])
    made.link("lib", "usr/lib")
    return made


class Archives(unittest.TestCase):
    def test_the_order_in_which_a_tree_is_made_does_not_show(self) -> None:
        names = list(FILES)
        first = tree(names)
        for seed in range(20):
            random.Random(seed).shuffle(names)
            self.assertEqual((tree(names).cpio(), tree(names).tar()), (first.cpio(), first.tar()))

    def test_a_folder_comes_before_what_is_in_it(self) -> None:
        paths = [path for path, _ in tree(list(FILES)).sorted()]
        for path in paths:
            parent = path.rpartition("/")[0]
            self.assertTrue(not parent or paths.index(parent) < paths.index(path))

    def test_every_byte_of_a_file_is_in_both_archives(self) -> None:
        for archive in (Tree.cpio, Tree.tar):
            before = archive(tree(list(FILES)))
            other = tree(list(FILES))
            other.file("etc/a", b"2")
            self.assertNotEqual(before, archive(other))


class HashTree(unittest.TestCase):
    def test_two_levels_are_what_the_kernel_documents(self) -> None:
        data = random.Random(1).randbytes(200 * BLOCK)

        def hashed(block: bytes) -> bytes:
            return hashlib.sha256(SALT + block).digest()

        leaves = b"".join(hashed(data[at : at + BLOCK]) for at in range(0, len(data), BLOCK))
        low = [leaves[:BLOCK], leaves[BLOCK:].ljust(BLOCK, b"\0")]
        top = b"".join(map(hashed, low)).ljust(BLOCK, b"\0")
        made = verity(data)
        self.assertEqual(made.tree, top + b"".join(low))
        self.assertEqual((made.blocks, made.root), (200, hashed(top).hex()))

    def test_half_a_block_is_refused(self) -> None:
        for length in (0, 1, BLOCK - 1, BLOCK + 1):
            with self.assertRaises(ValueError):
                verity(bytes(length))


if __name__ == "__main__":
    unittest.main()
