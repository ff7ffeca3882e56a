// What operations may cost at most (design figures), and which of them cost more.
import { Figure } from './meter';

export type Target = { name: string; what: 'gas' | 'nano'; limit: number };

export const TARGETS: Target[] = [
    { name: 'channel: claim', what: 'gas', limit: 9000 },
    { name: 'channel: claim', what: 'nano', limit: 8_000_000 },
    { name: 'channel: top-up', what: 'gas', limit: 7000 },
    { name: 'channel: settle', what: 'gas', limit: 7000 },
    { name: 'stake: vote', what: 'gas', limit: 15000 },
];

export function misses(now: ReadonlyMap<string, Figure>): { target: string; value: number; limit: number }[] {
    return TARGETS.flatMap(({ name, what, limit }) => {
        const figure = now.get(name);
        if (!figure) return [];
        const value = Number(figure[what]);
        return value > limit ? [{ target: `${name}: ${what}`, value, limit }] : [];
    });
}
