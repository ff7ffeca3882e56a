"""Builds a guest image. See docs/image.md."""

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import guest
from packages import ImageError, Lock, command, sysroot
from refresh import refresh
from verity import BLOCK, verity

ROLES = ("worker", "proxy")
# The same for all images of one shape, so that root file systems have no random part.
FILE_SYSTEM_UUID = "c0c00000-0000-4000-8000-000000000000"
# panic=-1 and oops=panic: a guest that misbehaves ends. Entropy comes from the processor, never from what the host offers.
# With lockdown, not even a program with all rights loads foreign modules or reads the kernel's memory. Without SysRq, nobody at
# the other end of the console commands the kernel.
COMMAND_LINE = (
    "console=ttyS0 loglevel=4 panic=-1 oops=panic random.trust_bootloader=off lockdown=confidentiality sysctl.kernel.sysrq=0"
)
# What OVMF adds for the kernel when QEMU starts it directly with an initrd.
ADDED_BY_FIRMWARE = " initrd=initrd"


def strip(tools: Path, cocoon: Path, target: Path) -> None:
    """Without symbols and without the notes that differ between two builds of the same code."""
    arguments = ["--strip-all", "--remove-section=.comment", "--remove-section=.note.gnu.build-id", "-o", target, cocoon]
    subprocess.run(command(tools, "usr/bin/x86_64-linux-gnu-strip", *arguments), check=True)
    target.chmod(0o755)


def file_system(tools: Path, tar: bytes, folder: Path) -> bytes:
    source, image = folder / "root.tar", folder / "root.erofs"
    source.write_bytes(tar)
    arguments = ["--quiet", "--tar=f", "--all-root", "-T0", f"-U{FILE_SYSTEM_UUID}", f"-b{BLOCK}", image, source]
    # The program reads no setting from its surroundings but the day; times are given.
    clean = {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}
    subprocess.run(command(tools, "usr/bin/mkfs.erofs", *arguments), check=True, env=clean, stdout=subprocess.DEVNULL)
    data = image.read_bytes()
    return data + bytes(-len(data) % BLOCK)


def measurements(cocoon: Path, out: Path, line: str, firmware: Path) -> dict[str, str]:
    """What `cocoon image measure` predicts; the register of the machine's shape is not the image's."""
    arguments = ["--firmware", firmware, "--kernel", out / "vmlinuz", "--initrd", out / "initrd"]
    done = subprocess.run(
        [cocoon, "image", "measure", *arguments, "--cmdline", line + ADDED_BY_FIRMWARE, "--json"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return {name: value for name, value in json.loads(done.stdout).items() if name != "ok"}


def settings(folder: Path, role: str) -> dict[str, bytes]:
    """The files for /etc/cocoon."""
    files = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    if f"{role}.toml" not in files:
        raise ImageError(f"{folder} has no {role}.toml: docs/image.md says what belongs there")
    return files


def build(role: str, cocoon: Path, config: Path, out: Path) -> None:
    lock = Lock.read()
    packages, tools = sysroot(lock, "guest"), sysroot(lock, "build")
    firmware = sysroot(lock, "emulate") / "usr/share/ovmf/OVMF.fd"
    kernel = lock.one("linux-image-")
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="cocoon-image-") as temporary:
        folder = Path(temporary)
        strip(tools, cocoon, folder / "cocoon")
        files = settings(config, role)
        root = guest.root(packages, tools, role, folder / "cocoon", files)
        data = file_system(tools, root.tar(), folder)
        inside = {f"/etc/cocoon/{name}": hashlib.sha256(data).hexdigest() for name, data in files.items()}
        inside["/bin/cocoon"] = sha256(folder / "cocoon")
    checked = verity(data)
    line = f"{COMMAND_LINE} cocoon.root={checked.blocks}:{checked.root}"
    version = kernel.name.removeprefix("linux-image-")
    shutil.copyfile(packages / "boot" / f"vmlinuz-{version}", out / "vmlinuz")
    shutil.copyfile(firmware, out / "OVMF.fd")
    (out / "initrd").write_bytes(guest.initrd(packages, tools).cpio())
    (out / "root.img").write_bytes(data + checked.tree)
    (out / "cmdline").write_text(line + "\n", encoding="utf-8")
    predicted = measurements(cocoon, out, line, out / "OVMF.fd")
    write_json(out / "measurements.json", predicted)
    names = ["OVMF.fd", "vmlinuz", "initrd", "root.img", "cmdline", "measurements.json"]
    manifest = {
        "role": role,
        "kernel": f"{kernel.name} {kernel.version}",
        "inside": inside,
        "packages_lock": sha256(Path(guest.HERE / "packages.lock")),
        "files": {name: {"bytes": (out / name).stat().st_size, "sha256": sha256(out / name)} for name in names},
    }
    write_json(out / "manifest.json", manifest)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/build-image", description="Builds a guest image, always to the same bytes.")
    parser.add_argument("--role", choices=ROLES, help="what the guest runs")
    parser.add_argument("--cocoon", type=Path, help="the cocoon program, for x86-64 Linux, to put into the guest")
    parser.add_argument("--config", type=Path, help="folder of the network's settings: ROLE.toml, network.json; measured")
    parser.add_argument("--refresh-lock", action="store_true", help="take the newest packages of Debian into image/packages.lock")
    parser.add_argument("out", type=Path, nargs="?", help="the folder for the image")
    args = parser.parse_args()
    if args.refresh_lock:
        refresh()
        return
    if not (args.role and args.cocoon and args.config and args.out):
        parser.error("needs --role, --cocoon, --config and the folder for the image")
    build(args.role, args.cocoon, args.config, args.out)
    print((args.out / "manifest.json").read_text(encoding="utf-8"), end="")


if __name__ == "__main__":
    try:
        main()
    except (ImageError, OSError) as error:
        sys.exit(f"build-image: {error}")
    except subprocess.CalledProcessError as error:
        sys.exit(f"build-image: {Path(error.cmd[3] if len(error.cmd) > 3 else error.cmd[0]).name} failed: {error.stderr or ''}")
