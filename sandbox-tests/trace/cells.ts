// Cells by the thousand, each kept once whoever mentions it, and written as one bag with many roots. Works on the bytes of bags
// of cells (TL-B: serialized_boc#b5ee9c72), because objects of @ton/core for every state of every account would not fit.

/** A cell: descriptors and data as they are in a bag, and the numbers of the cells that it refers to. */
type Stored = { bytes: Buffer; refs: number[] };

export class CellStore {
    private readonly cells: Stored[] = [];
    private readonly index = new Map<string, number>();
    private readonly roots = new Map<number, number>();

    /** How many cells have a name. */
    get names(): number {
        return this.roots.size;
    }

    /** Takes in a bag of one root; returns the name of the root, the same for the same cell. */
    name(boc: Buffer): number {
        const root = this.take(boc);
        let name = this.roots.get(root);
        if (name === undefined) this.roots.set(root, (name = this.roots.size));
        return name;
    }

    /** The bag of all that has a name; the roots are in the order of the names. */
    toBoc(): Buffer {
        const count = this.cells.length;
        const refSize = bytesFor(count);
        // A cell is taken in after those that it refers to; in a bag it stands before them.
        const position = (id: number) => count - 1 - id;
        const bodies: Buffer[] = [];
        for (let id = count - 1; id >= 0; id--) {
            const { bytes, refs } = this.cells[id];
            const links = Buffer.alloc(refs.length * refSize);
            refs.forEach((ref, i) => links.writeUIntBE(position(ref), i * refSize, refSize));
            bodies.push(bytes, links);
        }
        const body = Buffer.concat(bodies);
        const offsetSize = bytesFor(body.length);
        const head = Buffer.alloc(6 + 3 * refSize + offsetSize + this.roots.size * refSize);
        head.writeUInt32BE(0xb5ee9c72, 0);
        head.writeUInt8(refSize, 4);
        head.writeUInt8(offsetSize, 5);
        let at = 6;
        for (const [value, size] of [[count, refSize], [this.roots.size, refSize], [0, refSize], [body.length, offsetSize]]) {
            head.writeUIntBE(value, at, size);
            at += size;
        }
        for (const id of this.roots.keys()) {
            head.writeUIntBE(position(id), at, refSize);
            at += refSize;
        }
        return Buffer.concat([head, body]);
    }

    private take(boc: Buffer): number {
        if (boc.readUInt32BE(0) !== 0xb5ee9c72) throw new Error('not a bag of cells');
        const flags = boc.readUInt8(4);
        const refSize = flags & 7;
        const offsetSize = boc.readUInt8(5);
        const count = boc.readUIntBE(6, refSize);
        const roots = boc.readUIntBE(6 + refSize, refSize);
        if (roots !== 1) throw new Error(`a bag of ${roots} roots`);
        let at = 6 + 3 * refSize + offsetSize;
        const root = boc.readUIntBE(at, refSize);
        at += refSize;
        if (flags & 0x80) at += count * offsetSize;
        const raw: { bytes: Buffer; refs: number[] }[] = [];
        for (let i = 0; i < count; i++) {
            const [d1, d2] = [boc[at], boc[at + 1]];
            if (d1 & 0x10) throw new Error('a cell with its hashes');
            const end = at + 2 + Math.ceil(d2 / 2);
            const refs = Array.from({ length: d1 & 7 }, (_, n) => boc.readUIntBE(end + n * refSize, refSize));
            raw.push({ bytes: boc.subarray(at, end), refs });
            at = end + refs.length * refSize;
        }
        const ids = new Array<number>(count);
        for (let i = count - 1; i >= 0; i--) {
            const refs = raw[i].refs.map((ref) => ids[ref]);
            const key = `${raw[i].bytes.toString('latin1')}|${refs.join()}`;
            let id = this.index.get(key);
            if (id === undefined) {
                id = this.cells.push({ bytes: Buffer.from(raw[i].bytes), refs }) - 1;
                this.index.set(key, id);
            }
            ids[i] = id;
        }
        return ids[root];
    }
}

function bytesFor(value: number): number {
    return Math.max(1, Math.ceil(Math.log2(value + 1) / 8));
}
