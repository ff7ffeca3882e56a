"""Debian packages at the exact bytes that packages.lock names: fetched into a cache, checked, unpacked.

No package is installed: nothing of it runs but the programs that are named, and they run with their own libraries.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

if sys.version_info < (3, 11):
    sys.exit(f"needs Python 3.11 or newer, this is {sys.version.split()[0]}")

HERE = Path(__file__).resolve().parent
LOCK = HERE / "packages.lock"
LIBRARIES = "usr/lib/x86_64-linux-gnu"
LOADER = f"{LIBRARIES}/ld-linux-x86-64.so.2"


class ImageError(Exception):
    """Something that the person at the terminal has to know; shown without a trace."""


@dataclass(frozen=True)
class Package:
    groups: tuple[str, ...]
    name: str
    version: str
    size: int
    sha256: str
    path: str


@dataclass(frozen=True)
class Lock:
    mirror: str
    packages: tuple[Package, ...]

    @staticmethod
    def read(path: Path = LOCK) -> "Lock":
        mirror, packages = None, []
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            fields = line.split()
            if not fields or fields[0].startswith("#"):
                continue
            if fields[0] == "mirror" and len(fields) == 2:
                mirror = fields[1]
            elif len(fields) == 6 and len(fields[4]) == 64:
                groups, name, version, size, sha256, place = fields
                packages.append(Package(tuple(groups.split(",")), name, version, int(size), sha256, place))
            else:
                raise ImageError(f"{path}, line {number}: not `groups name version size sha256 path`")
        if mirror is None:
            raise ImageError(f"{path} names no mirror")
        return Lock(mirror, tuple(packages))

    def group(self, name: str) -> list[Package]:
        return [package for package in self.packages if name in package.groups]

    def one(self, prefix: str) -> Package:
        found = [package for package in self.packages if package.name.startswith(prefix)]
        if len(found) != 1:
            raise ImageError(f"the lock has {len(found)} packages called {prefix}*, there must be one")
        return found[0]


def cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "cocoon" / "image"


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetch(lock: Lock, package: Package) -> Path:
    """The package's file, with the bytes that the lock names. COCOON_DEBIAN_MIRROR stands in for the lock's mirror."""
    place = cache() / "debs" / package.sha256 / Path(package.path).name
    if place.exists() and digest(place) == package.sha256:
        return place
    mirror = os.environ.get("COCOON_DEBIAN_MIRROR", lock.mirror).rstrip("/")
    url = f"{mirror}/{package.path}"
    place.parent.mkdir(parents=True, exist_ok=True)
    partial = place.with_suffix(f".{os.getpid()}.part")
    try:
        with urllib.request.urlopen(url, timeout=60) as answer, partial.open("wb") as file:
            shutil.copyfileobj(answer, file)
    except urllib.error.HTTPError as error:
        raise ImageError(
            f"{url}: {error}. Debian's mirrors drop a version when a newer one is released: set COCOON_DEBIAN_MIRROR to a "
            "snapshot of the day in packages.lock, or renew the lock with scripts/build-image --refresh-lock"
        ) from error
    except OSError as error:
        raise ImageError(f"{url}: {error}") from error
    found = digest(partial)
    if found != package.sha256:
        partial.unlink()
        raise ImageError(f"{url} has SHA-256 {found}, the lock says {package.sha256}: nothing was unpacked")
    partial.rename(place)
    return place


def sysroot(lock: Lock, group: str) -> Path:
    """A directory with a group's packages unpacked, made anew when the lock's list of them changes."""
    packages = lock.group(group)
    if not packages:
        raise ImageError(f"the lock has no group {group}")
    files = [fetch(lock, package) for package in packages]
    name = hashlib.sha256("".join(package.sha256 for package in packages).encode()).hexdigest()[:16]
    place = cache() / "unpacked" / f"{group}-{name}"
    if place.exists():
        return place
    place.parent.mkdir(parents=True, exist_ok=True)
    partial = place.with_name(f"{place.name}.{os.getpid()}.part")
    for file in files:
        subprocess.run(["dpkg-deb", "--extract", file, partial], check=True)
    try:
        partial.rename(place)
    except OSError:
        # Somebody else was faster; the contents are the same.
        shutil.rmtree(partial)
    return place


def command(root: Path, program: str, *arguments: object) -> list[str]:
    """How to run a program of a sysroot with that sysroot's libraries and nothing of this machine's."""
    libraries = ":".join(str(root / place) for place in (LIBRARIES, f"{LIBRARIES}/swtpm", "usr/lib"))
    return [
        str(root / LOADER), "--library-path", libraries, str(root / program), *(str(argument) for argument in arguments)
    ]  # fmt: skip
