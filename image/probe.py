"""What QEMU hands to the firmware of a machine of a given shape: ACPI tables, as `cocoon image measure --acpi` takes them.

They depend on QEMU and on the machine and not on the image. QEMU shows them to nobody but its guest, so a guest prints them.
"""

import base64
import gzip
import re
import tempfile
from pathlib import Path

import emulate
import guest
from packages import ImageError, Lock, sysroot
from tree import Tree

PART = re.compile(r"cocoon-probe: begin (\S+)\n(.*?)cocoon-probe: end \1\n", re.DOTALL)


def probe_initrd() -> Tree:
    packages = sysroot(Lock.read(), "guest")
    tree = Tree()
    tree.console()
    tree.directory("sys")
    for name, data in guest.needed_modules(packages / "usr/lib/modules", ["qemu_fw_cfg"]):
        tree.file(f"modules/{name}.ko", data)
    guest.add_busybox(tree, packages, ["base64", "gzip", "insmod", "mount", "poweroff", "sh"])
    tree.file("init", (guest.HERE / "probe" / "init").read_bytes(), 0o755)
    return tree


def acpi(image: Path, operator: Path, out: Path) -> None:
    """Writes table-loader, rsdp, tables, and the TPM's log area, of the machine that `emulate.boot` makes with two disks."""
    with tempfile.TemporaryDirectory(prefix="cocoon-probe-") as temporary:
        initrd = Path(temporary, "initrd")
        initrd.write_bytes(probe_initrd().cpio())
        console = emulate.boot(image, initrd=initrd, operator=operator, line="console=ttyS0 loglevel=4 panic=-1").console
    parts = {name: gzip.decompress(base64.b64decode("".join(text.split()))) for name, text in PART.findall(console)}
    if "acpi/tables" not in parts:
        raise ImageError(f"the guest printed no ACPI tables:\n{console[-2000:]}")
    out.mkdir(parents=True, exist_ok=True)
    for name, data in parts.items():
        (out / name.replace("acpi/", "").replace("/", "-")).write_bytes(data)
