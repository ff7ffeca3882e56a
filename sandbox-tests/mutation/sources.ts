// The contracts as the compiler sees them: which files each is made of, and which other contracts it deploys.
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';

export const ROOT = path.resolve(__dirname, '../..');
export const TESTS = path.resolve(__dirname, '..');
const CONTRACTS = path.join(ROOT, 'contracts');

/** A project of contracts/tact.config.json: one contract. */
export type Project = { name: string; path: string; output: string; options: Record<string, unknown> };

/** Path below contracts/ → text. */
export type Sources = ReadonlyMap<string, string>;

/** All contracts, in the order of the configuration. */
export function projects(): Project[] {
    const config = JSON.parse(readFileSync(path.join(CONTRACTS, 'tact.config.json'), 'utf8')) as { projects: Project[] };
    return config.projects.map((project) => ({ ...project, path: path.posix.normalize(project.path) }));
}

/** Every Tact file below contracts/. */
export function readSources(): Sources {
    const found = new Map<string, string>();
    const walk = (dir: string) => {
        for (const entry of readdirSync(dir, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))) {
            const file = path.join(dir, entry.name);
            if (entry.isDirectory()) walk(file);
            else if (file.endsWith('.tact')) found.set(path.relative(CONTRACTS, file), readFileSync(file, 'utf8'));
        }
    };
    walk(CONTRACTS);
    return found;
}

/** The file and all that it imports, however deep. */
export function closure(file: string, sources: Sources, seen = new Set<string>()): Set<string> {
    if (seen.has(file)) return seen;
    seen.add(file);
    for (const [, target] of (sources.get(file) ?? '').matchAll(/^import\s+"(\.[^"]+)";/gm)) {
        const next = path.posix.join(path.posix.dirname(file), target.endsWith('.tact') ? target : `${target}.tact`);
        closure(next, sources, seen);
    }
    return seen;
}
