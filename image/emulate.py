"""Boots an image under plain emulation, with a TPM in the place of TDX's registers: no privileges and no special processor."""

import base64
import gzip
import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from packages import ImageError, Lock, command, sysroot

LOG = re.compile(r"cocoon-image: boot log \S+\n(.*?)cocoon-image: end of boot log", re.DOTALL)


MEMORY_MIB = 1024


@dataclass(frozen=True)
class Boot:
    console: str
    ended: bool

    def log(self) -> bytes:
        """The event log that the guest printed."""
        found = LOG.search(self.console)
        if not found:
            raise ImageError("the guest printed no boot log")
        return gzip.decompress(base64.b64decode("".join(found[1].split())))


def boot(
    image: Path,
    *,
    line: str | None = None,
    root: Path | None = None,
    initrd: Path | None = None,
    operator: Path | None = None,
    reach_host: bool = False,
    seconds: int = 180,
) -> Boot:
    """Starts the image and waits until it powers off. A line, root or initrd stands in for the image's own; `operator` is the
    second disk. With `reach_host`, this machine's 127.0.0.1 is 10.0.2.2 in the guest; without, nothing is reached."""
    tools = sysroot(Lock.read(), "emulate")
    append = line if line is not None else (image / "cmdline").read_text(encoding="utf-8").rstrip("\n")
    with tempfile.TemporaryDirectory(prefix="cocoon-boot-") as temporary:
        folder = Path(temporary)
        socket, console = folder / "tpm.sock", folder / "console"
        state = folder / "tpm"
        state.mkdir()
        tpm = subprocess.Popen(
            command(
                tools, "usr/bin/swtpm", "socket", "--tpm2", "--tpmstate", f"dir={state}", "--ctrl", f"type=unixio,path={socket}",
                "--terminate",
            ),
        )  # fmt: skip
        try:
            arguments = [
                "-machine", "q35,accel=tcg", "-cpu", "max", "-m", MEMORY_MIB, "-nodefaults", "-display", "none", "-no-reboot",
                "-L", tools / "usr/share/qemu", "-L", tools / "usr/share/seabios",
                "-bios", image / "OVMF.fd",
                "-kernel", image / "vmlinuz", "-initrd", initrd or image / "initrd", "-append", append,
                "-drive", f"if=none,id=root,format=raw,read-only=on,file={root or image / 'root.img'}",
                "-device", "virtio-blk-pci,drive=root,disable-legacy=on",
                "-netdev", f"user,id=net,restrict={'off' if reach_host else 'on'}", "-device", "virtio-net-pci,netdev=net,romfile=",
                "-chardev", f"socket,id=tpm,path={socket}", "-tpmdev", "emulator,id=tpm,chardev=tpm",
                "-device", "tpm-crb,tpmdev=tpm",
                "-serial", f"file:{console}", "-monitor", "none",
            ]  # fmt: skip
            if operator:
                arguments += ["-drive", f"if=none,id=operator,format=raw,read-only=on,file={operator}"]
                arguments += ["-device", "virtio-blk-pci,drive=operator,disable-legacy=on"]
            wait_for(socket, tpm)
            try:
                done = subprocess.run(
                    command(tools, "usr/bin/qemu-system-x86_64", *arguments), timeout=seconds, capture_output=True, text=True
                )
                if done.returncode != 0:
                    raise ImageError(f"QEMU ended with {done.returncode}: {done.stderr}")
                ended = True
            except subprocess.TimeoutExpired:
                ended = False
        finally:
            tpm.terminate()
            tpm.wait()
        return Boot(console.read_text(encoding="utf-8", errors="replace").replace("\r", ""), ended)


def wait_for(socket: Path, process: subprocess.Popen) -> None:
    while not socket.exists():
        if process.poll() is not None:
            raise ImageError(f"swtpm ended with {process.returncode} before it listened")
        try:
            process.wait(0.02)
        except subprocess.TimeoutExpired:
            pass
