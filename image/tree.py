"""A file system as a list of entries, and the two archives that it becomes. The order, owners, times and numbers of entries
never come from the machine that builds: that is what makes the bytes the same everywhere."""

import io
import stat
import tarfile
from dataclasses import dataclass, field

DEVICE_CONSOLE = (5, 1)


@dataclass(frozen=True)
class Entry:
    mode: int
    data: bytes = b""
    device: tuple[int, int] = (0, 0)


@dataclass
class Tree:
    """Paths without a leading slash. All belong to root, all are from the first second of 1970."""

    entries: dict[str, Entry] = field(default_factory=dict)

    def directory(self, path: str, mode: int = 0o755) -> None:
        self._put(path, Entry(stat.S_IFDIR | mode))

    def file(self, path: str, data: bytes, mode: int = 0o644) -> None:
        self._put(path, Entry(stat.S_IFREG | mode, data))

    def link(self, path: str, target: str) -> None:
        self._put(path, Entry(stat.S_IFLNK | 0o777, target.encode()))

    def console(self) -> None:
        """What the kernel opens for its first process."""
        self._put("dev/console", Entry(stat.S_IFCHR | 0o600, device=DEVICE_CONSOLE))

    def _put(self, path: str, entry: Entry) -> None:
        parent = path.rpartition("/")[0]
        if parent and parent not in self.entries:
            self.directory(parent)
        self.entries[path] = entry

    def sorted(self) -> list[tuple[str, Entry]]:
        """Parents come before their children, since a prefix sorts first."""
        return sorted(self.entries.items(), key=lambda item: item[0].split("/"))

    def cpio(self) -> bytes:
        """The "newc" archive that the kernel unpacks as its first root."""
        out = bytearray()
        for number, (path, entry) in enumerate([*self.sorted(), ("TRAILER!!!", Entry(0))], 1):
            name = path.encode() + b"\0"
            links = 2 if stat.S_ISDIR(entry.mode) else 1
            fields = (number, entry.mode, 0, 0, links, 0, len(entry.data), 0, 0, *entry.device, len(name), 0)
            out += b"070701" + b"".join(b"%08X" % value for value in fields) + name
            out += bytes(-len(out) % 4)
            out += entry.data
            out += bytes(-len(out) % 4)
        return bytes(out + bytes(-len(out) % 512))

    def tar(self) -> bytes:
        """What mkfs.erofs reads."""
        kinds = {stat.S_IFDIR: tarfile.DIRTYPE, stat.S_IFREG: tarfile.REGTYPE, stat.S_IFLNK: tarfile.SYMTYPE}
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
            for path, entry in self.sorted():
                info = tarfile.TarInfo(path)
                info.mode, info.type = stat.S_IMODE(entry.mode), kinds[stat.S_IFMT(entry.mode)]
                if info.type == tarfile.SYMTYPE:
                    info.linkname = entry.data.decode()
                    archive.addfile(info)
                else:
                    info.size = len(entry.data)
                    archive.addfile(info, io.BytesIO(entry.data))
        return out.getvalue()
