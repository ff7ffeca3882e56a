// The mutation tester itself: what it changes, and that its verdicts are right. The whole run is scripts/mutate-contracts.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CompileError, Compiler } from '../mutation/compile';
import { Mutant, apply, mutantsOf } from '../mutation/operators';
import { readExplanations } from '../mutation/report';
import { projects, readSources } from '../mutation/sources';
import { Suite, committedCode } from '../mutation/suite';
import { Trials } from '../mutation/trial';

const SOURCE = `
const LIMIT: Int = ton("0.5");
/// Why not.
const ERR_NO: Int = 77;
contract Sample(
    owner: Address,
    sum: Int as coins,
    seen: map<Int as uint32, Int as uint32>,
) {
    receive(msg: Slice) {
        throwUnless(ERR_NO, sender() == self.owner && self.sum < LIMIT);
        if (self.sum >= 3) {
            self.sum += max(self.sum, 2);
            return;
        }
        self.seen.set(1, now());
        pay(self.sum, LIMIT, !false);
        sendRawMessage(beginCell().endCell(), SendRemainingBalance | SendIgnoreErrors);
    }
}
fun pay(amount: Int, limit: Int, really: Bool) {
    let x = amount - limit;
}
`;

test('every kind of wrongness is made, each in its place', () => {
    const sources = new Map([['sample.tact', SOURCE]]);
    const mutants = mutantsOf('sample.tact', sources);
    const made = (operator: string) => mutants.filter((m) => m.operator === operator).map((m) => `${m.before} -> ${m.after}`);
    assert.deepEqual(made('delete check'), ['throwUnless(ERR_NO, sender() == self.owner && self.sum < LIMIT); -> ']);
    assert.deepEqual(made('drop term'), [
        'sender() == self.owner && self.sum < LIMIT -> (sender() == self.owner)',
        'sender() == self.owner && self.sum < LIMIT -> (self.sum < LIMIT)',
    ]);
    assert.deepEqual(made('compare').sort(), [
        'self.sum < LIMIT -> (self.sum <= LIMIT)',
        'self.sum < LIMIT -> (self.sum >= LIMIT)',
        'self.sum >= 3 -> (self.sum < 3)',
        'self.sum >= 3 -> (self.sum > 3)',
        'sender() == self.owner -> (sender() != self.owner)',
    ]);
    assert.deepEqual(made('arithmetic'), ['self.sum += max(self.sum, 2); -> self.sum -= max(self.sum, 2);', 'amount - limit -> (amount + limit)']);
    assert.deepEqual(made('min max'), ['max -> min']);
    assert.deepEqual(made('mode'), [
        'SendRemainingBalance -> 0',
        'SendRemainingBalance -> SendRemainingValue',
        'SendIgnoreErrors -> 0',
        'SendIgnoreErrors -> SendBounceIfActionFail',
    ]);
    assert.deepEqual(made('constant'), ['ton("0.5") -> (ton("0.5")) + 1', 'ton("0.5") -> (ton("0.5")) - 1', 'ton("0.5") -> (ton("0.5")) * 2', 'ton("0.5") -> 0', '77 -> (77) + 1']);
    assert.deepEqual(made('condition'), ['self.sum >= 3 -> !(self.sum >= 3)', 'self.sum >= 3 -> true', 'self.sum >= 3 -> false', '!false -> false']);
    assert.deepEqual(made('swap arguments'), ['self.sum, LIMIT -> LIMIT, self.sum']);
    for (const deleted of ['return;', 'self.seen.set(1, now());', 'self.sum += max(self.sum, 2);', 'pay(self.sum, LIMIT, !false);']) {
        assert.ok(made('delete statement').includes(`${deleted} -> `), deleted);
    }
    assert.equal(new Set(mutants.map((m) => m.key)).size, mutants.length, 'every mutant has a name of its own');
    for (const mutant of mutants) {
        const text = apply(mutant, sources).get('sample.tact')!;
        assert.equal(text.length, SOURCE.length - mutant.before.length + mutant.after.length);
        assert.notEqual(text, SOURCE);
    }
});

test('a piece of text that moved keeps its name', () => {
    const names = (text: string) => mutantsOf('sample.tact', new Map([['sample.tact', text]])).map((m) => m.key);
    assert.deepEqual(names('\n\n' + SOURCE.replace('    receive', '    // A word more.\n    receive')), names(SOURCE));
});

test('a sample of the mutants of a small contract is killed or explained, and every verdict is given for its reason', async () => {
    const sources = readSources();
    const all = projects().filter((p) => p.name === 'Reputation');
    const suite = await Suite.load(['Reputation'], ['reputation.record.test.ts']);
    const trials = new Trials(all, sources, suite);
    const explained = readExplanations();

    const mutants = ['reputation/reputation.tact', 'reputation/decay.tact'].flatMap((file) => mutantsOf(file, sources));
    const checks = mutants.filter((m) => m.operator === 'delete check' || m.operator === 'delete statement');
    const sample = checks.filter((m, i) => i % 3 === 0 && !explained.has(m.key)).slice(0, 4);
    assert.ok(sample.length === 4);
    for (const mutant of sample) {
        const outcome = await trials.run(mutant);
        assert.equal(outcome.status, 'killed', `${mutant.key}: ${JSON.stringify(outcome)}`);
    }
    const [any] = sample;
    const with_ = (change: Partial<Mutant>): Mutant => ({ ...any, ...change });
    assert.equal((await trials.run(with_({ after: '1 + ;' }))).status, 'refused');
    assert.equal((await trials.run(with_({ after: any.before + ' // a remark' }))).status, 'equivalent');

    // The same mutant, and nobody who looks: it survives.
    const blind = new Trials(all, sources, Object.assign(Object.create(Suite.prototype) as Suite, { tests: [] }));
    assert.deepEqual(await blind.run(any), { status: 'survived', tests: 0 });
});

test('code compiled in memory is the committed code, and a wrong text is an error of its own kind', async () => {
    const sources = readSources();
    const all = projects();
    const compiler = new Compiler(sources, all);
    for (const { name } of all) {
        const { cell } = await compiler.original(name);
        assert.equal(cell.hash().toString('hex'), committedCode(name).hash().toString('hex'), name);
    }
    const broken = new Map(sources).set('reputation/decay.tact', 'fun fade(');
    await assert.rejects(compiler.variant('Reputation', broken), CompileError);
});
