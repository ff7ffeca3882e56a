import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { test } from 'node:test';

test('the committed trace is what the contracts of today do, to the byte', () => {
    const root = path.resolve(__dirname, '..');
    execFileSync(process.execPath, ['--import', 'tsx', 'trace/record.ts', '--check'], { cwd: root, stdio: 'pipe' });
});
