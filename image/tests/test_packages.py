"""What the builder believes of a mirror: nothing. No test leaves this machine."""

import functools
import hashlib
import http.server
import os
import tempfile
import threading
import unittest
from pathlib import Path
from unittest import mock

from packages import LOCK, ImageError, Lock, Package, fetch

GOOD = b"the package that the lock names"


def package(data: bytes) -> Package:
    return Package(("guest",), "thing", "1", len(data), hashlib.sha256(data).hexdigest(), "pool/thing_1_amd64.deb")


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


class Mirror(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.file = self.folder / "mirror/pool/thing_1_amd64.deb"
        self.file.parent.mkdir(parents=True)
        handler = functools.partial(Quiet, directory=str(self.folder / "mirror"))
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        surroundings = {"XDG_CACHE_HOME": str(self.folder / "cache"), "no_proxy": "127.0.0.1"}
        patch = mock.patch.dict(os.environ, surroundings)
        patch.start()
        self.addCleanup(patch.stop)
        os.environ.pop("COCOON_DEBIAN_MIRROR", None)
        self.lock = Lock(f"http://127.0.0.1:{server.server_port}", (package(GOOD),))

    def test_a_package_with_other_bytes_than_the_lock_names_is_refused_and_not_kept(self) -> None:
        self.file.write_bytes(b"something else")
        with self.assertRaisesRegex(ImageError, "the lock says"):
            fetch(self.lock, package(GOOD))
        self.assertEqual([path for path in (self.folder / "cache").rglob("*") if path.is_file()], [])

    def test_a_cache_that_somebody_changed_is_not_believed(self) -> None:
        self.file.write_bytes(GOOD)
        place = fetch(self.lock, package(GOOD))
        place.write_bytes(b"changed in the cache")
        self.assertEqual(fetch(self.lock, package(GOOD)).read_bytes(), GOOD)

    def test_a_version_that_the_mirror_has_no_more_is_explained(self) -> None:
        with self.assertRaisesRegex(ImageError, "COCOON_DEBIAN_MIRROR"):
            fetch(self.lock, package(GOOD))


class TheLock(unittest.TestCase):
    def test_the_committed_lock_has_one_kernel_and_all_groups(self) -> None:
        lock = Lock.read()
        self.assertTrue(lock.one("linux-image-").name.endswith("-cloud-amd64"))
        for group in ("guest", "build", "emulate"):
            self.assertTrue(lock.group(group))

    def test_a_line_that_is_no_entry_is_named(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "lock")
            path.write_text(LOCK.read_text() + "guest thing 1 5 abc pool/thing.deb\n")
            with self.assertRaisesRegex(ImageError, "line"):
                Lock.read(path)


if __name__ == "__main__":
    unittest.main()
