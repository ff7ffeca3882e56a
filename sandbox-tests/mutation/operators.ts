// What a mutation tester changes in a Tact source: every small wrongness that a hurried author could have written. Sources
// are parsed by the compiler's own parser; a mutant is a piece of text put in the place of another.
import type { AstNode, Expression, FunctionDef, Module, Receiver, Statement } from '@tact-lang/compiler/dist/ast/ast';
import { getAstFactory } from '@tact-lang/compiler/dist/ast/ast-helpers';
import { traverse } from '@tact-lang/compiler/dist/ast/iterators';
import { getParser } from '@tact-lang/compiler/dist/grammar';
import type { SrcInfo } from '@tact-lang/compiler/dist/grammar';
import { Sources } from './sources';

export type Mutant = {
    /** Names the mutant as long as its piece of source stays the same, wherever it moves within its function. */
    key: string;
    /** Path below contracts/. */
    file: string;
    line: number;
    /** Function, receiver or constant that it lies in. */
    where: string;
    operator: Operator;
    before: string;
    after: string;
    /** Offsets of `before` in the file. */
    start: number;
    end: number;
};

export type Operator =
    | 'delete check'
    | 'delete statement'
    | 'drop term'
    | 'compare'
    | 'arithmetic'
    | 'min max'
    | 'mode'
    | 'constant'
    | 'literal'
    | 'condition'
    | 'swap arguments';

const COMPARISONS: Record<string, string[]> = {
    '==': ['!='],
    '!=': ['=='],
    '<': ['<=', '>='],
    '<=': ['<', '>'],
    '>': ['>=', '<='],
    '>=': ['>', '<'],
};

const ARITHMETIC: Record<string, string> = {
    '+': '-',
    '-': '+',
    '*': '/',
    '/': '*',
    '%': '*',
    '<<': '>>',
    '>>': '<<',
    '&': '|',
    '^': '&',
};

const CHECKS = new Set(['throwUnless', 'throwIf', 'require', 'nativeThrowUnless', 'nativeThrowIf']);
const EXTREMES: Record<string, string> = { min: 'max', max: 'min' };

/** What else a flag could have been. Zero, its absence, is tried always. */
const MODES: Record<string, string> = {
    SendRemainingBalance: 'SendRemainingValue',
    SendRemainingValue: 'SendRemainingBalance',
    SendIgnoreErrors: 'SendBounceIfActionFail',
    SendBounceIfActionFail: 'SendIgnoreErrors',
    ReserveExact: 'ReserveAllExcept',
    ReserveAllExcept: 'ReserveExact',
};
const MODE = /^(Send|Reserve)[A-Z]/;

const parser = getParser(getAstFactory());

/** All mutants of one file, in the order of the text. */
export function mutantsOf(file: string, sources: Sources): Mutant[] {
    const text = sources.get(file);
    if (text === undefined) throw new Error(`no file is called contracts/${file}`);
    const module = parser.parse({ code: text, path: file as never, origin: 'user' });
    const walker = new Walker(file, text, parameterTypes(sources));
    walker.module(module);
    return walker.finish();
}

const parameters = new WeakMap<Sources, Map<string, string[]>>();

/** Types of the parameters of the project's own functions, by name: only neighbours of one type can be swapped. */
function parameterTypes(sources: Sources): Map<string, string[]> {
    const known = parameters.get(sources);
    if (known) return known;
    const types = new Map<string, string[]>();
    parameters.set(sources, types);
    for (const [file, code] of sources) {
        traverse(parser.parse({ code, path: file as never, origin: 'user' }), (node) => {
            if (node.kind !== 'function_def') return;
            types.set(node.name.text, node.params.map((p) => text(p.type.loc)));
        });
    }
    return types;
}

class Walker {
    private readonly found: Omit<Mutant, 'key'>[] = [];
    private where = '';

    constructor(
        private readonly file: string,
        private readonly source: string,
        private readonly parameters: Map<string, string[]>,
    ) {}

    finish(): Mutant[] {
        const seen = new Map<string, number>();
        return this.found
            .sort((a, b) => a.start - b.start || a.end - b.end)
            .map((m) => {
                const stem = `${m.file}|${m.where}|${m.operator}|${flat(m.before)}|${flat(m.after)}`;
                const n = (seen.get(stem) ?? 0) + 1;
                seen.set(stem, n);
                return { ...m, key: n === 1 ? stem : `${stem}|${n}` };
            });
    }

    module(module: Module): void {
        for (const item of module.items) {
            if (item.kind === 'function_def') this.function(item);
            else if (item.kind === 'constant_def') this.constant(item.name.text, item.initializer);
            else if (item.kind === 'contract' || item.kind === 'trait') {
                for (const part of item.declarations) {
                    if (part.kind === 'function_def') this.function(part, `${item.name.text}.`);
                    else if (part.kind === 'receiver') this.receiver(part, `${item.name.text}.`);
                    else if (part.kind === 'constant_def') this.constant(part.name.text, part.initializer);
                    else if (part.kind === 'contract_init') this.body(`${item.name.text}.init`, part.statements);
                }
            }
        }
    }

    private function(def: FunctionDef, owner = ''): void {
        this.body(owner + def.name.text, def.statements);
    }

    private receiver(receiver: Receiver, owner: string): void {
        const { selector } = receiver;
        let name: string = selector.kind;
        if (selector.kind === 'bounce') name = `bounced(${text(selector.param.type.loc)})`;
        else if (selector.subKind.kind === 'simple') name = `receive(${text(selector.subKind.param.type.loc)})`;
        else name = `receive(${selector.subKind.kind})`;
        this.body(owner + name, receiver.statements);
    }

    private constant(name: string, value: Expression): void {
        this.where = name;
        const whole = text(value.loc);
        if (value.kind === 'string' || value.kind === 'address' || value.kind === 'null') return;
        if (value.kind === 'boolean') return this.add('constant', value.loc, String(!value.value));
        if (value.kind === 'static_call' && !['ton'].includes(value.function.text)) return;
        // A code that says why is right or wrong; what matters is that somebody looks at it.
        const changes = name.startsWith('ERR_') ? ['+ 1'] : ['+ 1', '- 1', '* 2'];
        for (const change of changes) this.add('constant', value.loc, `(${whole}) ${change}`);
        if (changes.length > 1) this.add('constant', value.loc, '0');
    }

    private body(where: string, statements: readonly Statement[]): void {
        this.where = where;
        for (const statement of statements) {
            traverse(statement, (node) => this.node(node));
        }
    }

    private node(node: AstNode): void {
        switch (node.kind) {
            case 'statement_assign':
            case 'statement_augmentedassign':
                this.add('delete statement', node.loc, '');
                if (node.kind === 'statement_augmentedassign') this.augmented(node);
                break;
            case 'statement_expression': {
                const call = node.expression;
                const isCheck = call.kind === 'static_call' && CHECKS.has(call.function.text);
                this.add(isCheck ? 'delete check' : 'delete statement', node.loc, '');
                break;
            }
            case 'statement_return':
                if (!node.expression) this.add('delete statement', node.loc, '');
                break;
            case 'statement_condition':
                this.condition(node.condition, true);
                break;
            case 'statement_while':
                this.condition(node.condition, false);
                break;
            case 'conditional':
                this.condition(node.condition, false);
                break;
            case 'op_binary':
                this.binary(node);
                break;
            case 'op_unary':
                if (node.op === '!') this.add('condition', node.loc, text(node.operand.loc));
                break;
            case 'boolean':
                this.add('literal', node.loc, String(!node.value));
                break;
            case 'number':
                this.literal(node.loc, node.value);
                break;
            case 'id':
                if (MODE.test(node.text)) {
                    this.add('mode', node.loc, '0');
                    if (MODES[node.text]) this.add('mode', node.loc, MODES[node.text]);
                }
                break;
            case 'static_call':
                if (EXTREMES[node.function.text]) this.add('min max', node.function.loc, EXTREMES[node.function.text]);
                this.swap(node.function.text, node.args);
                break;
            case 'method_call':
                this.swap(node.method.text, node.args);
                break;
        }
    }

    private augmented(node: Extract<Statement, { kind: 'statement_augmentedassign' }>): void {
        const other = ARITHMETIC[node.op.slice(0, -1)];
        if (!other) return;
        const [left, right] = [text(node.path.loc), text(node.expression.loc)];
        this.add('arithmetic', node.loc, `${left} ${other}= ${right};`);
    }

    private binary(node: Extract<Expression, { kind: 'op_binary' }>): void {
        const [left, right] = [text(node.left.loc), text(node.right.loc)];
        if (node.op === '&&' || node.op === '||') {
            this.add('drop term', node.loc, `(${left})`);
            this.add('drop term', node.loc, `(${right})`);
            return;
        }
        for (const op of COMPARISONS[node.op] ?? []) this.add('compare', node.loc, `(${left} ${op} ${right})`);
        const flags = [node.left, node.right].some((side) => side.kind === 'id' && MODE.test(side.text));
        if (node.op === '|' && flags) return;
        const other = ARITHMETIC[node.op] ?? (node.op === '|' ? '&' : undefined);
        if (other) this.add('arithmetic', node.loc, `(${left} ${other} ${right})`);
    }

    private condition(condition: Expression, both: boolean): void {
        this.add('condition', condition.loc, `!(${text(condition.loc)})`);
        if (!both) return;
        this.add('condition', condition.loc, 'true');
        this.add('condition', condition.loc, 'false');
    }

    private literal(loc: SrcInfo, value: bigint): void {
        const digits = text(loc);
        this.add('literal', loc, `(${digits} + 1)`);
        if (value > 0n) this.add('literal', loc, `(${digits} - 1)`);
    }

    private swap(name: string, args: readonly Expression[]): void {
        const types = this.parameters.get(name);
        if (!types || types.length < args.length) return;
        // A method's first parameter is the object itself.
        const offset = types.length - args.length;
        for (let i = 0; i + 1 < args.length; i++) {
            if (types[i + offset] !== types[i + 1 + offset]) continue;
            const [a, b] = [args[i], args[i + 1]];
            const between = this.source.slice(a.loc.interval.endIdx, b.loc.interval.startIdx);
            const [first, second] = [text(a.loc), text(b.loc)];
            if (flat(first) === flat(second)) continue;
            this.put('swap arguments', a.loc.interval.startIdx, b.loc.interval.endIdx, second + between + first);
        }
    }

    private add(operator: Operator, loc: SrcInfo, after: string): void {
        this.put(operator, loc.interval.startIdx, loc.interval.endIdx, after);
    }

    private put(operator: Operator, start: number, end: number, after: string): void {
        const before = this.source.slice(start, end).trimEnd();
        const line = this.source.slice(0, start).split('\n').length;
        this.found.push({ file: this.file, line, where: this.where, operator, before, after, start, end: start + before.length });
    }
}

function text(loc: SrcInfo): string {
    return loc.interval.contents.trim();
}

function flat(code: string): string {
    return code.replace(/\s+/g, ' ').trim();
}

/** The sources with the mutant in them. */
export function apply(mutant: Mutant, sources: Sources): Sources {
    const original = sources.get(mutant.file);
    if (original?.slice(mutant.start, mutant.end) !== mutant.before) {
        throw new Error(`contracts/${mutant.file} changed while its mutants were tried`);
    }
    return new Map(sources).set(mutant.file, original.slice(0, mutant.start) + mutant.after + original.slice(mutant.end));
}
