// The Node part of scripts/build-contracts; usage there.
'use strict';
const { spawn } = require('node:child_process');
const crypto = require('node:crypto');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const tests = path.resolve(__dirname, '..');
const root = path.resolve(tests, '..');
const sources = path.join(root, 'contracts');
const artifacts = path.join(root, 'wrappers/artifacts');
const wrappers = path.join(tests, 'build');
const stampFile = path.join(wrappers, '.stamp');
const compiler = path.join(tests, 'node_modules/@tact-lang/compiler/bin/tact.js');

class BuildError extends Error {}

function tactFiles(dir) {
    return fs
        .readdirSync(dir, { withFileTypes: true })
        .flatMap((e) => (e.isDirectory() ? tactFiles(path.join(dir, e.name)) : [path.join(dir, e.name)]))
        .filter((f) => f.endsWith('.tact') || f.endsWith('tact.config.json'))
        .sort();
}

/** A digest of everything that the outputs depend on. */
function stamp() {
    const hash = crypto.createHash('sha256');
    for (const file of [...tactFiles(sources), path.join(tests, 'package-lock.json'), __filename]) {
        hash.update(path.relative(root, file) + '\0').update(fs.readFileSync(file)).update('\0');
    }
    return hash.digest('hex');
}

/** The file and all that it imports. */
function importClosure(file, seen = new Set()) {
    if (seen.has(file)) return seen;
    seen.add(file);
    for (const [, target] of fs.readFileSync(file, 'utf8').matchAll(/^import\s+"(\.[^"]+)";/gm)) {
        importClosure(path.resolve(path.dirname(file), target.endsWith('.tact') ? target : `${target}.tact`), seen);
    }
    return seen;
}

/**
 * Named error codes: `const ERR_NAME: Int = 123;` with the doc comment above it. Tact does not export constants, so
 * they are added to the ABI's table of errors, where bindings and explorers look for them.
 */
function namedErrors(file) {
    const errors = new Map();
    for (const source of importClosure(file)) {
        const text = fs.readFileSync(source, 'utf8');
        for (const [, doc, name, code] of text.matchAll(/((?:^[ \t]*\/\/\/.*\n)*)^const (ERR_\w+): Int = (\w+);/gm)) {
            const message = doc
                .split('\n')
                .map((line) => line.replace(/^\s*\/\/\/\s?/, ''))
                .join(' ')
                .trim();
            const where = path.relative(root, source);
            if (!message) throw new BuildError(`${where}: ${name} has no doc comment that says what it means`);
            const other = errors.get(Number(code));
            if (other) throw new BuildError(`${where}: ${name} and ${other.name} share the code ${code}`);
            errors.set(Number(code), { name, message: `${name}: ${message}` });
        }
    }
    return errors;
}

function compile(work, names) {
    return new Promise((resolve, reject) => {
        const args = [compiler, '-q', '-c', path.join(work, 'tact.config.json'), ...names.flatMap((name) => ['-p', name])];
        const child = spawn(process.execPath, args, { cwd: work, stdio: ['ignore', 'pipe', 'pipe'] });
        let output = '';
        child.stdout.on('data', (d) => (output += d));
        child.stderr.on('data', (d) => (output += d));
        child.on('error', reject);
        child.on('close', (code) =>
            code === 0 ? resolve() : reject(new BuildError(output.replaceAll(work, 'contracts').trim())),
        );
    });
}

/** Compiles in a copy, so that outputs hold no path of this machine; returns file name → bytes for both folders. */
async function build(wanted) {
    const { projects } = JSON.parse(fs.readFileSync(path.join(sources, 'tact.config.json'), 'utf8'));
    const known = projects.map((p) => p.name);
    for (const name of wanted) {
        if (!known.includes(name)) throw new BuildError(`no contract is called ${name}; there are ${known.join(', ')}`);
    }
    const names = wanted.length ? wanted : known;
    const work = fs.mkdtempSync(path.join(os.tmpdir(), 'contracts-'));
    try {
        fs.cpSync(sources, work, { recursive: true });
        const lanes = Math.max(1, Math.min(os.cpus().length, names.length));
        const parts = Array.from({ length: lanes }, (_, lane) => names.filter((_, i) => i % lanes === lane));
        const results = await Promise.allSettled(parts.map((part) => compile(work, part)));
        const failed = results.filter((r) => r.status === 'rejected');
        if (failed.length) throw new BuildError(failed.map((r) => r.reason.message).join('\n'));

        const out = { artifacts: new Map(), wrappers: new Map() };
        for (const project of projects.filter((p) => names.includes(p.name))) {
            const { name } = project;
            const dir = path.join(work, project.output);
            const read = (suffix) => fs.readFileSync(path.join(dir, `${name}_${name}${suffix}`));
            const abi = JSON.parse(read('.abi'));
            for (const [code, { message }] of namedErrors(path.join(sources, project.path))) {
                abi.errors[code] = { message };
            }
            out.artifacts.set(`${name}.code.boc`, read('.code.boc'));
            out.artifacts.set(`${name}.abi`, Buffer.from(JSON.stringify(abi, null, 2) + '\n'));
            out.wrappers.set(`${name}.ts`, Buffer.from(`// @ts-nocheck: generated by the Tact compiler\n${read('.ts')}`));
        }
        // A contract that another one deploys is compiled in both projects: both must know the same code.
        for (const project of projects.filter((p) => names.includes(p.name))) {
            const dir = path.join(work, project.output);
            for (const child of known.filter((n) => n !== project.name && out.artifacts.has(`${n}.code.boc`))) {
                const inside = path.join(dir, `${project.name}_${child}.code.boc`);
                if (fs.existsSync(inside) && !fs.readFileSync(inside).equals(out.artifacts.get(`${child}.code.boc`))) {
                    throw new BuildError(`${project.name} embeds another ${child} than ${child}'s own: their options in contracts/tact.config.json differ`);
                }
            }
        }
        return { out, all: names.length === known.length };
    } finally {
        fs.rmSync(work, { recursive: true, force: true });
    }
}

/** Whole file or none, also when two builds run at once. */
function write(dir, name, bytes) {
    const target = path.join(dir, name);
    if (fs.existsSync(target) && fs.readFileSync(target).equals(bytes)) return false;
    const part = `${target}.${process.pid}.part`;
    fs.writeFileSync(part, bytes);
    fs.renameSync(part, target);
    return true;
}

function orphans(expected) {
    return (fs.existsSync(artifacts) ? fs.readdirSync(artifacts) : []).filter((name) => !expected.has(name));
}

async function main(args) {
    const flags = args.filter((a) => a.startsWith('-'));
    const wanted = args.filter((a) => !a.startsWith('-'));
    const [flag] = flags;
    if (flags.length > 1 || !['--check', '--if-stale', undefined].includes(flag) || (flag && wanted.length)) {
        throw new BuildError('usage: scripts/build-contracts [--check | --if-stale | NAME...]');
    }
    const before = stamp();
    if (flag === '--if-stale' && fs.existsSync(stampFile) && fs.readFileSync(stampFile, 'utf8') === before) return;

    const { out, all } = await build(wanted);

    if (flag === '--check') {
        const stale = [...out.artifacts]
            .filter(([name, bytes]) => {
                const file = path.join(artifacts, name);
                return !fs.existsSync(file) || !fs.readFileSync(file).equals(bytes);
            })
            .map(([name]) => name)
            .concat(orphans(out.artifacts));
        if (stale.length) {
            const list = stale.map((name) => `  wrappers/artifacts/${name}`).join('\n');
            throw new BuildError(`stale, run scripts/build-contracts and commit:\n${list}`);
        }
        console.log(`wrappers/artifacts: ${out.artifacts.size} files are fresh`);
        return;
    }

    fs.mkdirSync(artifacts, { recursive: true });
    fs.mkdirSync(wrappers, { recursive: true });
    for (const [name, bytes] of out.artifacts) {
        if (write(artifacts, name, bytes)) console.log(`wrappers/artifacts/${name}`);
    }
    for (const [name, bytes] of out.wrappers) write(wrappers, name, bytes);
    if (all) {
        for (const name of orphans(out.artifacts)) {
            fs.rmSync(path.join(artifacts, name));
            console.log(`wrappers/artifacts/${name} removed`);
        }
        fs.writeFileSync(stampFile, before);
    }
}

main(process.argv.slice(2)).catch((e) => {
    console.error(`build-contracts: ${e instanceof BuildError ? e.message : e.stack}`);
    process.exitCode = 1;
});
