"""Shows that an image is what docs/image.md says. Each check prints one line; the first that fails ends it."""

import argparse
import contextlib
import io
import ipaddress
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import emulate
import probe
from build import ADDED_BY_FIRMWARE
from packages import ImageError, cache

TOP = Path(__file__).resolve().parent.parent
FILES = ("OVMF.fd", "vmlinuz", "initrd", "root.img", "cmdline", "measurements.json", "manifest.json")


def passed(what: str) -> None:
    print(f"ok   {what}", flush=True)


def demand(fact: bool, what: str, detail: str = "") -> None:
    if not fact:
        raise ImageError(f"NOT so: {what}\n{detail[-3000:]}")
    passed(what)


def build(cocoon: Path, role: str, config: Path, out: Path, **surroundings: str) -> None:
    subprocess.run(
        ["sh", "-c", 'umask "$0"; exec "$@"', surroundings.pop("UMASK", "022"), TOP / "scripts/build-image", "--role", role,
         "--cocoon", cocoon, "--config", config, out],
        check=True, stdout=subprocess.DEVNULL, env={**os.environ, **surroundings},
    )  # fmt: skip


def elsewhere(folder: Path) -> Path:
    """A second cache: the same packages, unpacked anew at another place."""
    debs = folder / "cache/cocoon/image/debs"
    shutil.copytree(cache() / "debs", debs, copy_function=os.link if same_device(folder) else shutil.copy)
    return folder / "cache"


def same_device(folder: Path) -> bool:
    return folder.stat().st_dev == cache().stat().st_dev


def replay(cocoon: Path, log: bytes, *arguments: object) -> tuple[int, dict]:
    with tempfile.NamedTemporaryFile() as file:
        file.write(log)
        file.flush()
        command = [cocoon, "image", "replay", "--tpm", "--json", file.name, *arguments]
        done = subprocess.run(command, capture_output=True, text=True)
        if not done.stdout:
            raise ImageError(f"cocoon image replay: {done.stderr}")
        return done.returncode, json.loads(done.stdout)


def boot_options(cocoon: Path, log: bytes) -> list[str]:
    """What the firmware measured of its own boot options: they follow from no file, and a reference boot tells them."""
    _, report = replay(cocoon, log, "--events")
    return [f"--boot-option={event['digest']}" for event in report["log"] if event["kind"] == "EV_EFI_VARIABLE_BOOT"]


def flipped(image: Path, folder: Path, at: int) -> Path:
    data = bytearray((image / "root.img").read_bytes())
    data[at] ^= 1
    other = folder / "flipped.img"
    other.write_bytes(data)
    return other


# What the worker says last on a machine without TDX.
NO_TDX = "this machine gives no quote"
# Text is a file's contents, a path is what a symbolic link points to.
Members = dict[str, str | Path]
OPERATOR: Members = {
    "worker.toml": 'owner = "0:%s"\nmodel = "/run/operator/model"\nprice = { prompt = "1TON", completion = "1TON" }\n' % ("11" * 32),
    "model/config.json": "{}\n",
}
# What a host may try with the second disk, and what is said of each.
HOSTILE: dict[str, tuple[Members, str]] = {
    "a name that climbs stays inside": ({"../../data/key": "x"}, "removing leading '../../'"),
    "a link out with a file behind it is refused": (
        {"out": Path("/data"), "out/key": "x"}, "operator's disk is no plain archive"
    ),
    "a link is refused": ({"worker.toml": Path("/etc/passwd")}, "operator's disk has more than files and folders"),
    "other settings for a measured table are refused": (
        OPERATOR | {"worker.toml": f'{OPERATOR["worker.toml"]}[node]\nnetwork = "/run/operator/network.json"\n'},
        "duplicate key",
    ),
}  # fmt: skip


def archive(members: Members) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, contents in members.items():
            info = tarfile.TarInfo(name)
            if isinstance(contents, Path):
                info.type, info.linkname = tarfile.SYMTYPE, str(contents)
                tar.addfile(info)
            else:
                info.size = len(contents)
                tar.addfile(info, io.BytesIO(contents.encode()))
    return out.getvalue()


@contextlib.contextmanager
def development_network(cocoon: Path, folder: Path) -> Iterator[dict]:
    """A chain with a liteserver on this machine, and its network file as the guest sees it."""
    data, errors = folder / "chain", folder / "chain.log"
    with errors.open("wb") as log:
        chain = subprocess.Popen([cocoon, "devnet", "serve", "--ready-json", "--data", data], stdout=subprocess.PIPE, stderr=log)
    try:
        if not chain.stdout.readline():
            raise ImageError(f"cocoon devnet serve: {errors.read_text()}")
        network = json.loads((data / "network.json").read_text())
        for server in network["global_config"]["liteservers"]:
            server["ip"] = int(ipaddress.IPv4Address("10.0.2.2"))
        # No registry is there yet; the worker asks for its quote before it looks.
        yield {"global_config": network["global_config"], "registry": f"0:{'22' * 32}"}
    finally:
        chain.terminate()
        chain.wait()


def write_settings(folder: Path, network: dict) -> None:
    (folder / "network.json").write_text(json.dumps(network), encoding="utf-8")
    common = (
        '[node]\nnetwork = "/etc/cocoon/network.json"\ndata = "/data"\n'
        '[platform]\nkind = "tdx"\npccs = "https://api.trustedservices.intel.com"\n'
    )
    for role in ("worker", "proxy"):
        (folder / f"{role}.toml").write_text(common, encoding="utf-8")


def check(cocoon: Path, folder: Path, network: dict, record: Path | None) -> None:
    config = folder / "settings"
    config.mkdir()
    write_settings(config, network)
    first, second = folder / "first", folder / "a/longer/way/to/the second"
    build(cocoon, "worker", config, first)
    copy = folder / "cocoon-copy"
    shutil.copy(cocoon, copy)
    os.utime(copy, (1e9, 1e9))
    strange = {"UMASK": "077", "TZ": "Pacific/Kiritimati", "LC_ALL": "C.UTF-8", "SOURCE_DATE_EPOCH": "1", "PYTHONHASHSEED": "7"}
    build(copy, "worker", config, second, XDG_CACHE_HOME=str(elsewhere(folder)), **strange)
    for name in FILES:
        demand((first / name).read_bytes() == (second / name).read_bytes(), f"two builds have the same {name}")

    measured = json.loads((first / "measurements.json").read_text())
    build(cocoon, "proxy", config, folder / "proxy")
    proxy = json.loads((folder / "proxy/measurements.json").read_text())
    differing = [name for name in measured if measured[name] != proxy[name]]
    demand(differing == ["rtmr2"], "worker and proxy differ in RTMR2 and nothing else", str(differing))
    shutil.copytree(config, folder / "other settings")
    config = folder / "other settings"
    (config / "network.json").write_text("{}", encoding="utf-8")
    build(cocoon, "worker", config, folder / "other")
    other = json.loads((folder / "other/measurements.json").read_text())
    demand(other["rtmr2"] != measured["rtmr2"], "other settings are another image")

    disk = folder / "operator.tar"
    disk.write_bytes(archive(OPERATOR))
    boot = emulate.boot(first, operator=disk, reach_host=True)
    version = subprocess.run([cocoon, "--version"], check=True, capture_output=True, text=True).stdout.strip()
    demand(f"cocoon-image: role worker, {version}" in boot.console, f"the guest starts and runs {version}", boot.console)
    demand("cocoon-image: eth0 has 10.0.2.15" in boot.console, "the guest takes its address from the network", boot.console)
    demand("cocoon-image: starting cocoon worker" in boot.console, "the guest starts its role", boot.console)
    demand("unpacked the operator's disk" in boot.console, "the operator's disk is unpacked", boot.console)
    demand(NO_TDX in boot.console, f"the role reaches the network and then says: {NO_TDX}", boot.console)
    # The kernel says "Power down" to any console that it has.
    silent = "Power down" not in boot.console.partition("starting cocoon")[2]
    demand(silent, "the kernel prints nothing once the program runs", boot.console)
    demand(boot.ended and "cocoon-image: cocoon ended" in boot.console, "the guest ends with its program", boot.console)

    acpi = folder / "acpi"
    probe.acpi(first, disk, acpi)
    line = (first / "cmdline").read_text().rstrip("\n")
    changed = emulate.boot(first, operator=disk, line=f"{line} quiet").log()
    files = [
        "--kernel", first / "vmlinuz", "--initrd", first / "initrd", "--cmdline", line + ADDED_BY_FIRMWARE, "--acpi", acpi,
        *boot_options(cocoon, changed),
    ]  # fmt: skip
    log = boot.log()
    code, report = replay(cocoon, log, *files)
    demand(code == 0 and report["compared"] == "RTMR0 RTMR1 RTMR2", "every event of the boot is the predicted one", str(report))
    demand(all(report[name] == measured[name] for name in ("rtmr1", "rtmr2")), "the log chains to the predicted registers")
    code, report = replay(cocoon, changed, *files)
    demand(code == 1 and "command line" in report["misfit"], "another command line is named as the difference", str(report))
    demand(report["rtmr2"] != measured["rtmr2"], "another command line gives another RTMR2", str(report))

    image = (first / "root.img").read_bytes()
    blocks = int(line.rpartition("cocoon.root=")[2].partition(":")[0])
    places = {"the file system's first block": 1024, "a program": image.index(b"\x7fELF") + 64, "the hash tree": blocks * 4096}
    for name, at in places.items():
        boot = emulate.boot(first, root=flipped(first, folder, at))
        refused = "starting cocoon" not in boot.console and "corrupted" in boot.console and boot.ended
        demand(refused, f"a flipped bit in {name} is refused", boot.console)

    for name, (members, said) in HOSTILE.items():
        disk.write_bytes(archive(members))
        console = emulate.boot(first, operator=disk, reach_host=True).console
        demand(said in console, f"on the operator's disk, {name}", console)
    if record:
        write_fixture(record, log, acpi, first, line)


def write_fixture(out: Path, log: bytes, acpi: Path, image: Path, line: str) -> None:
    """The log of a boot and what explains it, small enough to be committed: offchain/image/tests/emulated.rs reads it."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "log").write_bytes(log)
    (out / "cmdline").write_text(line + ADDED_BY_FIRMWARE, encoding="utf-8")
    for name in ("table-loader", "rsdp", "tables"):
        # The rest is zeros, up to the length that the test states.
        (out / name).write_bytes((acpi / name).read_bytes().rstrip(b"\0"))
    shutil.copy(image / "manifest.json", out / "manifest.json")


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/test-image", description="Builds images twice, boots them, compares.")
    parser.add_argument("--cocoon", type=Path, required=True, help="the cocoon program to put into the guest")
    parser.add_argument("--record", type=Path, help="a folder for the boot's log, as a fixture for tests")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cocoon-test-image-") as temporary:
        cocoon, folder = args.cocoon.resolve(), Path(temporary)
        with development_network(cocoon, folder) as network:
            check(cocoon, folder, network, args.record)
    print("all passed")


if __name__ == "__main__":
    try:
        main()
    except (ImageError, OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"test-image: {error}")
