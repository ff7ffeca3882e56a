// Compiles one contract in memory, as scripts/build-contracts does on disk, but fast enough for thousands of variants: files
// that did not change are parsed once, the WebAssembly of the FunC compiler is compiled once, and a contract that others
// deploy is put into their code as a cell instead of compiling them again.
import '../support/fast';
import { Cell, beginCell } from '@ton/core';
import { getAstFactory } from '@tact-lang/compiler/dist/ast/ast-helpers';
import type { Module } from '@tact-lang/compiler/dist/ast/ast';
import { featureEnable } from '@tact-lang/compiler/dist/config/features';
import type { CompilerContext } from '@tact-lang/compiler/dist/context/context';
import { Logger } from '@tact-lang/compiler/dist/context/logger';
import { openContext } from '@tact-lang/compiler/dist/context/store';
import errors = require('@tact-lang/compiler/dist/error/errors');
import { getParser } from '@tact-lang/compiler/dist/grammar';
import type { SrcInfo } from '@tact-lang/compiler/dist/grammar';
import type { Source } from '@tact-lang/compiler/dist/imports/source';
import { resolveImports } from '@tact-lang/compiler/dist/imports/resolveImports';
import { setAstFactoryToStore } from '@tact-lang/compiler/dist/pipeline/ast-factory-store';
import { enableFeatures } from '@tact-lang/compiler/dist/pipeline/build';
import { compileFunc, compileTact } from '@tact-lang/compiler/dist/pipeline/compile';
import { topSortContracts } from '@tact-lang/compiler/dist/pipeline/utils';
import { resolveAllocations } from '@tact-lang/compiler/dist/storage/resolveAllocation';
import * as Stdlib from '@tact-lang/compiler/dist/stdlib/stdlib';
import { computeReceiversEffects } from '@tact-lang/compiler/dist/types/effects';
import { evalComptimeExpressions } from '@tact-lang/compiler/dist/types/evalComptimeExpressions';
import { computeGlobalVariablesUsages, getContracts, resolveDescriptors } from '@tact-lang/compiler/dist/types/resolveDescriptors';
import { resolveErrors } from '@tact-lang/compiler/dist/types/resolveErrors';
import { resolveSignatures } from '@tact-lang/compiler/dist/types/resolveSignatures';
import { resolveStatements } from '@tact-lang/compiler/dist/types/resolveStatements';
import { createVirtualFileSystem } from '@tact-lang/compiler/dist/vfs/createVirtualFileSystem';
import { Project, Sources } from './sources';

/**
 * What the compiler has found out so far. Its own keeps every earlier state, which costs a copy for each expression; here nobody
 * goes back to one.
 */
class Growing {
    readonly stores = new Map<symbol, Map<unknown, unknown>>();

    updateStore(store: symbol, key: unknown, value: unknown): this {
        const known = this.stores.get(store);
        if (known) known.set(key, value);
        else this.stores.set(store, new Map([[key, value]]));
        return this;
    }
}

// Thrown for every expression that is no constant, and caught: a picture of the source in its message is for nobody.
(errors as { throwConstEvalError: unknown }).throwConstEvalError = (message: string, fatal: boolean, source: SrcInfo) => {
    throw new errors.TactConstEvalError(message, fatal, source);
};

/** The compiler refuses this text. */
export class CompileError extends Error {
    override name = 'CompileError';
}

/** A contract's code, with the contracts that it deploys inside. */
export type Code = {
    cell: Cell;
    /** Names of the contracts that it deploys, itself excepted. */
    children: string[];
    /** What the Tact compiler handed to the FunC compiler: equal text means equal code. */
    func: string;
};

export class Compiler {
    private readonly ast = getAstFactory();
    private readonly parser = getParser(this.ast);
    private readonly parsed = new Map<string, Module>();
    private readonly imports = new Map<string, ReturnType<ReturnType<typeof getParser>['parseImports']>>();
    private readonly originals = new Map<string, Code>();

    constructor(
        private readonly sources: Sources,
        private readonly all: Project[],
    ) {}

    /** Code of the unchanged contract. */
    async original(name: string): Promise<Code> {
        const known = this.originals.get(name);
        if (known) return known;
        const code = await this.own(name, this.sources);
        this.originals.set(name, code!);
        return code!;
    }

    /**
     * Code that these sources give, with the original children inside; `undefined` when it is the original code.
     */
    async variant(name: string, sources: Sources): Promise<Code | undefined> {
        const original = await this.original(name);
        return this.own(name, sources, original);
    }

    private async own(name: string, sources: Sources, original?: Code): Promise<Code | undefined> {
        const config = this.all.find((p) => p.name === name);
        if (!config) throw new CompileError(`no contract is called ${name}`);
        let ctx: CompilerContext;
        try {
            ctx = this.precompile(config, sources);
        } catch (e) {
            throw new CompileError(`${name}: ${e instanceof Error ? e.message : String(e)}`);
        }
        const contracts = getContracts(ctx);
        if (!topSortContracts(contracts)) throw new CompileError(`${name}: contracts that deploy each other are not supported`);
        const contract = contracts.find((c) => c.name === name)!;
        const children = contract.dependsOn.map((c) => c.name).filter((child) => child !== name);
        const built: Record<string, unknown> = {};
        for (const child of children) built[child] = { codeBoc: (await this.original(child)).cell.toBoc({ idx: false, crc32: true }) };

        const project = createVirtualFileSystem('/', {}, false);
        const stdlib = createVirtualFileSystem('@stdlib/', Stdlib.files);
        const errorMessages: Error[] = [];
        const bCtx = {
            config: { ...config, name },
            logger: new Logger(0),
            project,
            stdlib,
            compilerInfo: '',
            ctx: featureEnable(ctx, 'optimizedChildCode'),
            built,
            errorMessages,
        } as unknown as Parameters<typeof compileTact>[0];
        const tact = await compileTact(bCtx, contract);
        if (!tact) throw new CompileError(`${name}: ${errorMessages.map((e) => e.message).join('; ')}`);
        const func = withoutFreshNames(tact.funcSource.content);
        if (original?.func === func) return undefined;
        const boc = await compileFunc(bCtx, name, tact.entrypointPath, tact.funcSource);
        if (!boc) throw new CompileError(`${name}: ${errorMessages.map((e) => e.message).join('; ')}`);
        const cell = Cell.fromBoc(boc)[0];
        for (const child of children) {
            if (!contains(cell, (await this.original(child)).cell.hash())) {
                throw new CompileError(`${name} does not hold the code of ${child} as a cell`);
            }
        }
        if (original && cell.equals(original.cell)) return undefined;
        return { cell, children, func };
    }

    /** As the compiler's own `precompile`, with parsed files kept. */
    private precompile(config: Project, sources: Sources): CompilerContext {
        const { ast } = this;
        const files = Object.fromEntries([...sources].map(([file, text]) => [file, Buffer.from(text).toString('base64')]));
        const project = createVirtualFileSystem('/', files, false);
        const stdlib = createVirtualFileSystem('@stdlib/', Stdlib.files);
        let ctx = enableFeatures(new Growing() as unknown as CompilerContext, new Logger(0), config as never);
        setAstFactoryToStore(ctx, ast);
        const parseImports = (source: Source) => {
            const key = `${source.path}\0${source.code}`;
            let found = this.imports.get(key);
            if (!found) this.imports.set(key, (found = this.parser.parseImports(source)));
            return found;
        };
        const imported = resolveImports({
            entrypoint: config.path as never,
            project,
            stdlib,
            parser: { ...this.parser, parseImports },
        });
        const modules = imported.tact.map((source) => this.parse(source));
        ctx = openContext(ctx, imported.tact, imported.func, modules);
        ctx = resolveDescriptors(ctx, ast);
        ctx = resolveStatements(ctx);
        evalComptimeExpressions(ctx, ast);
        ctx = computeGlobalVariablesUsages(ctx);
        ctx = resolveSignatures(ctx, ast);
        ctx = resolveErrors(ctx, ast);
        ctx = resolveAllocations(ctx);
        computeReceiversEffects(ctx);
        return ctx;
    }

    private parse(source: Source): Module {
        const known = this.parsed.get(source.path);
        const original = source.origin === 'stdlib' || this.sources.get(source.path.replace(/^\//, '')) === source.code;
        if (!original) return this.parser.parse(source);
        if (known) return known;
        const module = this.parser.parse(source);
        this.parsed.set(source.path, module);
        return module;
    }
}

/** The compiler numbers variables that it makes up through all that it ever compiled: numbers them within this text. */
function withoutFreshNames(func: string): string {
    const names = new Map<string, number>();
    return func.replace(/(\$fresh\$\w*?_)(\d+)/g, (name, stem: string) => {
        if (!names.has(name)) names.set(name, names.size);
        return `${stem}${names.get(name)}`;
    });
}

/** Replaces cells by hash, however deep. */
export function relink(cell: Cell, replacements: ReadonlyMap<string, Cell>, done = new Map<string, Cell>()): Cell {
    const key = cell.hash().toString('hex');
    const replacement = replacements.get(key);
    if (replacement) return replacement;
    const known = done.get(key);
    if (known) return known;
    const refs = cell.refs.map((ref) => relink(ref, replacements, done));
    let result = cell;
    if (refs.some((ref, i) => ref !== cell.refs[i])) {
        const builder = beginCell().storeBits(cell.bits);
        refs.forEach((ref) => builder.storeRef(ref));
        result = builder.endCell();
    }
    done.set(key, result);
    return result;
}

function contains(cell: Cell, hash: Buffer): boolean {
    const seen = new Set<string>();
    const visit = (c: Cell): boolean => {
        const key = c.hash().toString('hex');
        if (seen.has(key)) return false;
        seen.add(key);
        return c.hash().equals(hash) || c.refs.some(visit);
    };
    return visit(cell);
}
