"""What is in the guest: the first root (initrd), which checks and mounts the second, and the second, which runs one program."""

import lzma
import re
import subprocess
from pathlib import Path

from packages import LIBRARIES, ImageError, command
from tree import Tree

HERE = Path(__file__).resolve().parent
LOADER = "lib64/ld-linux-x86-64.so.2"
# Modules with their purposes; what they depend on is found in the modules themselves.
MODULES = {
    "virtio_blk": "the disk with the root file system",
    "virtio_net": "the network",
    "sha256-ssse3": "hashes with the processor's instructions, for dm-verity",
    "dm-verity": "checks each block of the root file system",
    "erofs": "the root file system",
    "configfs": "the interface to quotes",
    "tsm": "quotes, for any confidential platform",
    "tdx-guest": "quotes of TDX",
}
# What the two start scripts call. Anything more would only help somebody who got in.
INITRD_APPLETS = ["cat", "insmod", "mkdir", "mount", "poweroff", "sh", "sleep", "switch_root"]
ROOT_APPLETS = [
    "base64", "cat", "find", "gzip", "ip", "mkdir", "mount", "poweroff", "sh", "sleep", "tar", "udhcpc",
]  # fmt: skip


def module_files(modules: Path) -> dict[str, Path]:
    return {path.name.removesuffix(".ko.xz").replace("-", "_"): path for path in modules.rglob("*.ko.xz")}


def needed_modules(modules: Path, wanted: list[str]) -> list[tuple[str, bytes]]:
    """Modules in an order in which they load: each after those it depends on."""
    files = module_files(modules)
    order: dict[str, bytes] = {}

    def add(name: str) -> None:
        name = name.replace("-", "_")
        if name in order:
            return
        if name not in files:
            raise ImageError(f"the kernel has no module {name}: the lists in image/guest.py have to follow the kernel")
        data = lzma.decompress(files[name].read_bytes())
        depends = re.search(rb"\0depends=([^\0]*)\0", data)
        for other in (depends[1].decode() if depends else "").split(","):
            if other:
                add(other)
        order[name] = data

    for name in wanted:
        add(name)
    return list(order.items())


def add_busybox(tree: Tree, packages: Path, applets: list[str]) -> None:
    tree.file("bin/busybox", (packages / "usr/bin/busybox").read_bytes(), 0o755)
    for applet in applets:
        tree.link(f"bin/{applet}", "busybox")


def needed(tools: Path, program: Path) -> list[str]:
    """The libraries that a program or a library names as needed."""
    said = subprocess.run(
        command(tools, "usr/bin/x86_64-linux-gnu-readelf", "--dynamic", "--wide", program),
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    return re.findall(r"\(NEEDED\).*\[(.+)\]", said)


def add_program(tree: Tree, packages: Path, tools: Path, source: Path, place: str) -> None:
    """A program with the libraries that it needs, those that they need, and the loader. The libraries come from the guest's
    packages, never from the machine that builds."""
    tree.file(place, source.read_bytes(), 0o755)
    found, todo = set(), needed(tools, source)
    while todo:
        name = todo.pop(0)
        if name in found or name == Path(LOADER).name:
            continue
        path = packages / LIBRARIES / name
        if not path.exists():
            raise ImageError(f"{source} needs {name}, which none of the guest's packages in image/packages.lock has")
        found.add(name)
        tree.file(f"lib/{name}", path.read_bytes(), 0o755)
        todo.extend(needed(tools, path))
    tree.file(LOADER, (packages / LIBRARIES / Path(LOADER).name).read_bytes(), 0o755)


def initrd(packages: Path, tools: Path) -> Tree:
    tree = Tree()
    tree.console()
    for place in ("dev", "proc", "sys", "root"):
        tree.directory(place)
    modules = needed_modules(packages / "usr/lib/modules", list(MODULES))
    for name, data in modules:
        tree.file(f"modules/{name}.ko", data)
    tree.file("modules/order", "".join(f"{name}\n" for name, _ in modules).encode())
    add_busybox(tree, packages, INITRD_APPLETS)
    add_program(tree, packages, tools, packages / "usr/sbin/dmsetup", "bin/dmsetup")
    tree.file("init", (HERE / "initrd" / "init").read_bytes(), 0o755)
    return tree


def certificates(packages: Path) -> bytes:
    """Debian's list of authorities in one file, in the order of their names."""
    files = sorted((packages / "usr/share/ca-certificates/mozilla").glob("*.crt"))
    if not files:
        raise ImageError("the package ca-certificates has no certificates where they were expected")
    return b"".join(file.read_bytes() for file in files)


def root(packages: Path, tools: Path, role: str, cocoon: Path, settings: dict[str, bytes]) -> Tree:
    tree = Tree()
    for place in ("dev", "proc", "sys", "run", "tmp", "data"):
        tree.directory(place)
    add_busybox(tree, packages, ROOT_APPLETS)
    add_program(tree, packages, tools, cocoon, "bin/cocoon")
    for file in sorted((HERE / "root").rglob("*")):
        if file.is_file():
            place = file.relative_to(HERE / "root").as_posix()
            tree.file(place, file.read_bytes(), 0o755 if place.startswith("sbin/") else 0o644)
    tree.link("etc/resolv.conf", "/run/resolv.conf")
    tree.file("etc/ssl/certs/ca-certificates.crt", certificates(packages))
    tree.file("etc/cocoon/role", f"{role}\n".encode())
    for name, data in settings.items():
        tree.file(f"etc/cocoon/{name}", data)
    return tree
